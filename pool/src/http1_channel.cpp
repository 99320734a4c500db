#include "http1_channel.hpp"

#include "http1_parser.hpp"

#include <jirapool/core/secret.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>

#include <sys/socket.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace jirapool::detail {

using asio::ip::tcp;
namespace http = boost::beast::http;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// A body up to this size travels in one write with the head; a larger one is not copied.
constexpr std::size_t inline_body = 16u << 10;

// More than the parts of a head that are the same for all: method, version, names and ends of our own header lines.
constexpr std::size_t fixed_head = 128;

// Interim answers (RFC 9110 section 15.2) before the real one.
constexpr int max_interim = 8;

failure lost(std::string why) { return {errc::channel_lost, std::move(why)}; }

failure parse_failure(error_code const& ec) {
    if (ec == http::error::header_limit) return {errc::response_too_large, "the head is over wire_params::max_head"};
    if (ec == http::error::body_limit) return {errc::response_too_large, "the body is over wire_params::max_body"};
    return {errc::protocol_error, ec.message()};
}

failure wait_failure(error_code const& ec) {
    if (ec == errc::timeout || ec == errc::cancelled || ec == errc::stopped) return {ec};
    return lost(ec.message());
}

}  // namespace

void timed_socket::begin(steady_time deadline) {
    interrupted_ = {};
    timers_.set(*this, deadline);
}

error_code timed_socket::end(error_code ec) noexcept {
    timers_.cancel(*this);
    // What was done before the interruption counts as done.
    if (ec != asio::error::operation_aborted) return ec;
    return interrupted_ ? interrupted_ : make_error_code(errc::cancelled);
}

void timed_socket::on_time() {
    interrupted_ = errc::timeout;
    error_code ignored;
    socket_.cancel(ignored);
}

void timed_socket::on_stop() {
    interrupted_ = errc::stopped;
    error_code ignored;
    socket_.cancel(ignored);
}

asio::awaitable<error_code> timed_socket::connect(tcp::endpoint to, steady_time deadline) {
    if (timers_.stopped()) co_return errc::stopped;
    // Cancelled while no operation was pending: nothing would tell the next one.
    auto const state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return errc::cancelled;
    begin(deadline);
    auto const [ec] = co_await socket_.async_connect(to, as_result);
    co_return end(ec);
}

asio::awaitable<error_code> timed_socket::wait(tcp::socket::wait_type what, steady_time deadline) {
    if (timers_.stopped()) co_return errc::stopped;
    // Cancelled while no operation was pending: nothing would tell the next one.
    auto const state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return errc::cancelled;
    begin(deadline);
    auto const [ec] = co_await socket_.async_wait(what, as_result);
    co_return end(ec);
}

http1_channel::http1_channel(std::unique_ptr<timed_socket> socket, std::unique_ptr<tls_stream> tls, timers& t,
                             wire_params const& wire, read_scratch& scratch)
    : socket_(std::move(socket)), tls_(std::move(tls)), timers_(t), wire_(wire), scratch_(scratch) {}

http1_channel::~http1_channel() { wipe(outgoing_); }

bool http1_channel::alive() noexcept {
    char byte;
    auto const n = ::recv(socket_->socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    return n > 0 && silent();
}

bool http1_channel::silent() noexcept {
    // Session tickets are fine; a close_notify or anything of HTTP is not, as it belongs to nothing we asked.
    char byte;
    std::size_t got = 0;
    return tls_->read(&byte, 1, got) == tls_status::want_read;
}

void http1_channel::compose(exchange_input const& in) {
    outgoing_.clear();
    // All of it at once: a string that grows leaves the credential behind in the memory that it gave up.
    std::size_t size = fixed_head + in.base_path.size() + in.target.size() + in.fixed_headers.size() +
                       in.authorization.size() + in.content_type.size() +
                       (in.body.size() <= inline_body ? in.body.size() : 0);
    if (in.headers != nullptr)
        for (auto const& [name, value] : *in.headers) size += name.size() + value.size() + 4;
    outgoing_.reserve(size);
    outgoing_.append(to_string(in.method)).append(" ").append(in.base_path).append(in.target).append(" HTTP/1.1\r\n");
    outgoing_.append(in.fixed_headers).append(in.authorization);
    if (in.headers != nullptr)
        for (auto const& [name, value] : *in.headers) outgoing_.append(name).append(": ").append(value).append("\r\n");
    if (!in.content_type.empty()) outgoing_.append("Content-Type: ").append(in.content_type).append("\r\n");
    bool const has_body = in.method != method::get && in.method != method::head;
    if (has_body && (!in.body.empty() || in.method != method::delete_)) {
        char digits[24];
        auto const end = std::to_chars(digits, digits + sizeof digits, in.body.size()).ptr;
        outgoing_.append("Content-Length: ").append(digits, end).append("\r\n");
    }
    outgoing_.append("\r\n");
    if (in.body.size() <= inline_body) outgoing_.append(in.body);
}

asio::awaitable<bool> http1_channel::send(char const* data, std::size_t size, steady_time deadline,
                                          exchange_report* report) {
    while (size > 0) {
        std::size_t n = 0;
        auto const status = tls_->write(data, size, n);
        if (status == tls_status::done) {
            report->wrote = true;
            report->sent += n;
            data += n;
            size -= n;
            continue;
        }
        if (status != tls_status::want_read && status != tls_status::want_write) {
            report->error = lost("the channel closed while the request was sent").at(stage::write);
            co_return false;
        }
        // OpenSSL may have handed a part of the record to the system: from here on Jira may know of the request.
        report->wrote = true;
        auto const ec = co_await socket_->wait(
            status == tls_status::want_read ? tcp::socket::wait_read : tcp::socket::wait_write, deadline);
        if (ec) {
            report->error = wait_failure(ec).at(stage::write);
            co_return false;
        }
    }
    co_return true;
}

asio::awaitable<bool> http1_channel::write(exchange_input const* in, exchange_report* report) {
    compose(*in);
    bool sent = co_await send(outgoing_.data(), outgoing_.size(), in->deadline, report);
    wipe(outgoing_.data(), outgoing_.size());
    outgoing_.clear();
    if (outgoing_.capacity() > inline_body) outgoing_.shrink_to_fit();
    if (sent && in->body.size() > inline_body)
        sent = co_await send(in->body.data(), in->body.size(), in->deadline, report);
    co_return sent;
}

asio::awaitable<bool> http1_channel::read(exchange_input const* in, response* out, exchange_report* report) {
    std::optional<http1_parser> parser;
    parser.emplace(*out, wire_.max_head, wire_.max_body, in->method == method::head);
    int interim = 0;
    unparsed_.clear();

    // Nothing can be there yet: wait first, and save a system call that would say so.
    bool wait = true;
    for (;;) {
        if (wait) {
            auto const limit = report->read ? in->deadline
                                            : std::min(in->deadline, report->written + wire_.first_byte_timeout);
            auto const ec = co_await socket_->wait(tcp::socket::wait_read, limit);
            if (ec) {
                report->error = wait_failure(ec).at(report->read ? stage::body : stage::first_byte);
                co_return false;
            }
        }
        std::copy(unparsed_.begin(), unparsed_.end(), scratch_.data());
        std::size_t got = 0;
        auto const status = tls_->read(scratch_.data() + unparsed_.size(), read_scratch::size - unparsed_.size(), got);
        wait = status == tls_status::want_read;
        if (wait) continue;
        if (status == tls_status::want_write) {
            auto const ec = co_await socket_->wait(tcp::socket::wait_write, in->deadline);
            if (ec) {
                report->error = wait_failure(ec).at(stage::body);
                co_return false;
            }
            continue;
        }
        auto const where = report->read ? stage::body : stage::first_byte;
        if (status == tls_status::closed && report->read) {
            // Only close_notify proves that a body without a length is whole.
            error_code ec;
            parser->put_eof(ec);
            if (!ec && parser->is_done()) co_return true;
            report->error = lost("the server closed the channel in the middle of its answer").at(where);
            co_return false;
        }
        if (status != tls_status::done) {
            report->error = lost("the channel was lost before the answer was whole").at(where);
            co_return false;
        }

        if (!report->read) report->first_byte = timers_.now();
        report->read = true;
        report->received += got;
        auto const size = unparsed_.size() + got;
        std::size_t used = 0;
        while (used < size) {
            error_code ec;
            auto const n = parser->put(asio::buffer(scratch_.data() + used, size - used), ec);
            used += n;
            if (ec && ec != http::error::need_more) {
                report->error = parse_failure(ec).at(stage::body);
                co_return false;
            }
            if (parser->is_done()) {
                if (parser->status() >= 200) {
                    report->announced = !parser->keep_alive();
                    report->reusable = parser->keep_alive() && used == size && (!tls_->has_pending() || silent());
                    co_return true;
                }
                if (parser->status() == 101 || ++interim > max_interim) {
                    report->error = failure(errc::protocol_error, "unexpected interim answers").at(stage::body);
                    co_return false;
                }
                out->clear();
                parser.emplace(*out, wire_.max_head, wire_.max_body, in->method == method::head);
                continue;
            }
            if (n == 0 || ec == http::error::need_more) break;
        }
        unparsed_.assign(scratch_.data() + used, scratch_.data() + size);
        if (unparsed_.size() >= read_scratch::size) {
            report->error = failure(errc::response_too_large, "one header is over 32 KiB").at(stage::body);
            co_return false;
        }
    }
}

asio::awaitable<exchange_report> http1_channel::exchange(exchange_input const* in, response* out) {
    exchange_report report;
    out->clear();
    ++exchanges;
    bool const written = co_await write(in, &report);
    if (!written) co_return report;
    report.written = timers_.now();
    co_await read(in, out, &report);
    // The next exchange of the shard reads into the same bytes, but until then they would hold a token.
    if (in->secret_answer) wipe(scratch_.data(), read_scratch::size);
    co_return report;
}

}  // namespace jirapool::detail
