#include "session.hpp"

#include "app.hpp"
#include "clock.hpp"
#include "compress.hpp"
#include "reply.hpp"
#include "text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <openssl/ssl.h>

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
constexpr std::uint64_t max_body = 10u << 20;
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

class session final : public guest {
public:
    session(worker& host, tcp::socket socket, std::uint64_t number)
        : guest(host), stream_(std::move(socket), host.tls), timer_(host.io), number_(number) {
        application().tally().connection_opened();
    }
    ~session() override { application().tally().connection_closed(); }

    asio::awaitable<void> run();

    void abort(bool reset) override {
        is_aborted_ = true;
        timer_.cancel();
        close_socket(socket(), reset);
    }

    void on_deadline() override {
        deadline_ = steady_time::max();
        if (state_ == state::handshaking) application().tally().handshake_failed();
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
    enum class state : std::uint8_t { handshaking, idle, idled_out, busy };

    app& application() const noexcept { return host_.application; }
    tcp::socket& socket() noexcept { return stream_.next_layer(); }

    void handshake_done();
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

    asio::ssl::stream<tcp::socket> stream_;
    asio::steady_timer timer_;
    boost::beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    std::string out_;
    reply reply_;
    std::string sni_;
    std::array<char, 256> scratch_;
    std::uint64_t const number_;
    std::uint64_t requests_ = 0;
    state state_ = state::handshaking;
    bool is_head_ = false;
    bool keep_alive_ = true;
    bool is_aborted_ = false;
};

asio::awaitable<void> session::run() {
    error_code ec;
    auto into_ec = asio::redirect_error(asio::use_awaitable, ec);
    socket().set_option(tcp::no_delay(true), ec);
    expire_after(handshake_timeout);
    co_await stream_.async_handshake(asio::ssl::stream_base::server, into_ec);
    if (ec) {
        if (!is_aborted_) application().tally().handshake_failed();
        co_return;
    }
    handshake_done();

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

void session::handshake_done() {
    SSL* const ssl = stream_.native_handle();
    application().tally().handshake_done(SSL_session_reused(ssl) == 1);
    if (char const* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) sni_ = lower(name);
}

void session::wait_for_request() {
    parser_.emplace();
    parser_->header_limit(max_header);
    parser_->body_limit(max_body);
    state_ = state::idle;
    expire_after(application().params().idle_timeout);
}

void session::answer() {
    auto const& request = parser_->get();
    fields_lookup const lookup(request);
    std::string_view host = to_std(request[http::field::host]);
    // No IPv6 literal is a host of ours, so the first colon begins the port.
    host = host.substr(0, host.find(':'));
    std::string const host_name = lower(host);
    request_view r;
    r.method = to_std(request.method_string());
    r.target = to_std(request.target());
    r.host = host_name;
    r.sni = sni_;
    r.body = request.body();
    r.connection = number_;
    r.request = ++requests_;
    r.headers = &lookup;
    is_head_ = request.method() == http::verb::head;
    keep_alive_ = request.keep_alive();
    reply_ = application().handle(r, read_clock());
    reply_.chunked = reply_.chunked && request.version() >= 11;
    if (reply_.compress) compress(reply_, r.header("accept-encoding"));
}

void session::refuse(int status) {
    reply_ = application().refuse_unreadable(status);
    is_head_ = false;
    keep_alive_ = false;
}

void session::render_answer() {
    reply_.exchange.end();
    out_.clear();
    render(reply_, is_head_, keep_alive_, read_clock().wall, out_);
    if (reply_.scripted && reply_.scripted->close_after_bytes) {
        out_.resize(std::min(out_.size(), *reply_.scripted->close_after_bytes));
    }
}

}  // namespace

asio::awaitable<void> serve(worker* host, tcp::socket socket, std::uint64_t number) {
    // It may have stopped since the connection was accepted for it.
    if (host->is_stopping) co_return;
    session s(*host, std::move(socket), number);
    co_await s.run();
}

}  // namespace jirapool::mock
