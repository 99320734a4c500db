#include "session.hpp"

#include "app.hpp"
#include "http1_session.hpp"
#include "http2_session.hpp"
#include "text.hpp"
#include "tls_channel.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/ssl.h>

#include <string_view>
#include <utility>

namespace jirapool::mock {
namespace {

/// A connection counts as open while this lives.
class open_mark {
public:
    explicit open_mark(tally& t) : tally_(t) { tally_.connection_opened(); }
    ~open_mark() { tally_.connection_closed(); }
    open_mark(open_mark const&) = delete;
    open_mark& operator=(open_mark const&) = delete;

private:
    tally& tally_;
};

/// The handshake of a connection.
class greeting final : public guest {
public:
    greeting(worker& host, tls_channel& c) : guest(host), channel_(c) {}

    /// Whether the channel may be spoken over.
    asio::awaitable<bool> run();

    void abort(bool reset) override {
        is_aborted_ = true;
        close_socket(channel_.socket(), reset);
    }
    void on_deadline() override {
        deadline_ = steady_time::max();
        is_late_ = true;
        abort(false);
    }

private:
    void read_handshake();

    tls_channel& channel_;
    bool is_aborted_ = false;
    bool is_late_ = false;
};

asio::awaitable<bool> greeting::run() {
    error_code ec;
    auto into_ec = asio::redirect_error(asio::use_awaitable, ec);
    app& a = host_.application;
    channel_.socket().set_option(tcp::no_delay(true), ec);
    expire_after(handshake_timeout);
    co_await channel_.stream.async_handshake(asio::ssl::stream_base::server, into_ec);
    if (ec) {
        if (!is_aborted_ || is_late_) a.tally().handshake_failed();
        co_return false;
    }
    if (is_aborted_) co_return false;
    read_handshake();
    if (channel_.is_http2 || a.params().http != http_versions::http2) co_return true;
    expire_after(shutdown_timeout);
    co_await channel_.stream.async_shutdown(into_ec);
    close_socket(channel_.socket(), false);
    co_return false;
}

void greeting::read_handshake() {
    SSL* const ssl = channel_.stream.native_handle();
    if (char const* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) channel_.sni = lower(name);
    unsigned char const* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &chosen, &size);
    channel_.is_http2 = std::string_view(reinterpret_cast<char const*>(chosen), size) == "h2";
    host_.application.tally().handshake_done(SSL_session_reused(ssl) == 1, channel_.is_http2);
}

}  // namespace

asio::awaitable<void> serve(worker* host, tcp::socket socket, std::uint64_t number) {
    // It may have stopped since the connection was accepted for it.
    if (host->is_stopping) co_return;
    open_mark const is_open(host->application.tally());
    tls_channel channel(*host, std::move(socket), number);
    bool is_ready = false;
    {
        greeting g(*host, channel);
        is_ready = co_await g.run();
    }
    if (!is_ready) co_return;
    if (channel.is_http2) co_await serve_http2(host, &channel);
    else co_await serve_http1(host, &channel);
}

}  // namespace jirapool::mock
