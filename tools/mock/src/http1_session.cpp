#include "http1_session.hpp"

#include "app.hpp"
#include "clock.hpp"
#include "reply.hpp"
#include "text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::mock {
namespace {

namespace http = boost::beast::http;
using std::chrono::milliseconds;

constexpr std::chrono::minutes never_answer_timeout{10};
/// One large answer must not keep its memory for the life of the connection.
constexpr std::size_t worth_keeping = 64 * 1024;

std::string_view to_std(boost::beast::string_view s) noexcept { return std::string_view(s.data(), s.size()); }

class fields_lookup final : public header_lookup {
public:
    explicit fields_lookup(http::fields const& f) : fields_(f) {}
    std::string_view find(std::string_view name) const override {
        auto const it = fields_.find(boost::beast::string_view(name.data(), name.size()));
        if (it == fields_.end()) return {};
        return to_std(it->value());
    }

private:
    http::fields const& fields_;
};

/// The status that tells a client so; nullopt if the connection broke rather than what came over it.
std::optional<int> status_of_unreadable(error_code ec) {
    bool const is_http = ec.category() == http::make_error_code(http::error::end_of_stream).category();
    if (!is_http || ec == http::error::partial_message) return std::nullopt;
    if (ec == http::error::body_limit) return 413;
    if (ec == http::error::header_limit) return 431;
    return 400;
}

class http1_session final : public guest {
public:
    http1_session(worker& host, tls_channel& channel)
        : guest(host), channel_(channel), stream_(channel.stream), timer_(host.io) {}

    asio::awaitable<void> run();

    void abort(bool reset) override {
        is_aborted_ = true;
        timer_.cancel();
        close_socket(socket(), reset);
    }

    void on_deadline() override {
        deadline_ = steady_time::max();
        if (state_ != state::idle) {
            abort(false);
            return;
        }
        // The read ends first: a stream does one thing at a time.
        state_ = state::idled_out;
        error_code ignored;
        socket().cancel(ignored);
    }

private:
    enum class state : std::uint8_t { idle, idled_out, busy };

    app& application() const noexcept { return host_.application; }
    tcp::socket& socket() noexcept { return channel_.socket(); }

    void wait_for_request();
    void answer();
    void refuse(int status);
    void render_answer();
    bool never_answers() const noexcept { return reply_.scripted && reply_.scripted->never_answer; }
    bool breaks_off() const noexcept {
        return reply_.scripted && (reply_.scripted->reset || reply_.scripted->close_after_bytes);
    }
    bool stays_open() const noexcept {
        return keep_alive_ && !reply_.close_silently && !(reply_.scripted && reply_.scripted->close);
    }

    tls_channel& channel_;
    asio::ssl::stream<tcp::socket>& stream_;
    asio::steady_timer timer_;
    boost::beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    std::string out_;
    reply reply_;
    std::array<char, 256> scratch_;
    std::uint64_t requests_ = 0;
    state state_ = state::idle;
    bool is_head_ = false;
    bool keep_alive_ = true;
    bool is_aborted_ = false;
};

asio::awaitable<void> http1_session::run() {
    error_code ec;
    auto into_ec = asio::redirect_error(asio::use_awaitable, ec);
    do {
        // A request, whole.
        wait_for_request();
        co_await http::async_read_header(stream_, buffer_, *parser_, into_ec);
        if (is_aborted_) co_return;
        if (state_ == state::idled_out) break;
        state_ = state::busy;
        if (!ec && !parser_->is_done()) {
            expire_after(transfer_timeout);
            if (same_name(to_std(parser_->get()[http::field::expect]), "100-continue")) {
                out_ = "HTTP/1.1 100 Continue\r\n\r\n";
                co_await asio::async_write(stream_, asio::buffer(out_), into_ec);
                if (ec) co_return;
            }
            co_await http::async_read(stream_, buffer_, *parser_, into_ec);
            if (is_aborted_) co_return;
        }
        if (ec == http::error::end_of_stream) break;
        if (!ec) {
            answer();
        } else if (auto const status = status_of_unreadable(ec)) {
            refuse(*status);
        } else {
            co_return;
        }

        // Its answer, when it is due.
        if (reply_.delay > milliseconds{0}) {
            expire_after(reply_.delay + transfer_timeout);
            timer_.expires_after(reply_.delay);
            co_await timer_.async_wait(into_ec);
            if (is_aborted_) co_return;
        }
        if (never_answers()) {
            expire_after(never_answer_timeout);
            do {
                co_await stream_.async_read_some(asio::buffer(scratch_), into_ec);
            } while (!ec && !is_aborted_);
            co_return;
        }
        expire_after(transfer_timeout);
        render_answer();
        co_await asio::async_write(stream_, asio::buffer(out_), into_ec);
        if (ec || is_aborted_) co_return;
        if (out_.capacity() > worth_keeping) std::string().swap(out_);

        // What comes after it. In the middle of an answer there is no good order.
        if (breaks_off()) {
            abort(reply_.scripted->reset);
            co_return;
        }
        if (reply_.close_silently) application().tally().injected_close();
    } while (stays_open());

    expire_after(shutdown_timeout);
    co_await stream_.async_shutdown(into_ec);
    close_socket(socket(), false);
}

void http1_session::wait_for_request() {
    parser_.emplace();
    parser_->header_limit(max_header);
    parser_->body_limit(application().params().max_body_bytes);
    state_ = state::idle;
    expire_after(application().params().idle_timeout);
}

void http1_session::answer() {
    auto const& request = parser_->get();
    fields_lookup const lookup(request);
    std::string const host = host_of_authority(to_std(request[http::field::host]));
    request_view r;
    r.method = to_std(request.method_string());
    r.target = to_std(request.target());
    r.host = host;
    r.sni = channel_.sni;
    r.body = request.body();
    r.connection = channel_.number;
    r.request = ++requests_;
    r.headers = &lookup;
    is_head_ = request.method() == http::verb::head;
    keep_alive_ = request.keep_alive();
    reply_ = application().handle(r, read_clock());
    reply_.chunked = reply_.chunked && request.version() >= 11;
}

void http1_session::refuse(int status) {
    reply_ = application().refuse_unreadable(status);
    is_head_ = false;
    keep_alive_ = false;
}

void http1_session::render_answer() {
    reply_.exchange.end();
    out_.clear();
    render(reply_, is_head_, keep_alive_, read_clock().wall, out_);
    if (reply_.scripted && reply_.scripted->close_after_bytes) {
        out_.resize(std::min(out_.size(), *reply_.scripted->close_after_bytes));
    }
}

}  // namespace

asio::awaitable<void> serve_http1(worker* host, tls_channel* channel) {
    http1_session s(*host, *channel);
    co_await s.run();
}

}  // namespace jirapool::mock
