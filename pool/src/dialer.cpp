#include "dialer.hpp"

#include "wait_point.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace jirapool::detail {

using asio::ip::tcp;

namespace {

constexpr char const* https_port = "443";

failure interrupted(error_code const& ec, errc otherwise) {
    if (ec == errc::cancelled || ec == errc::stopped) return {ec};
    // errc::timeout is for a call's deadline; a stage that took too long is the stage's failure.
    return {otherwise, ec == errc::timeout ? "timed out" : ec.message()};
}

}  // namespace

tls_dialer::tls_dialer(asio::any_io_executor ex, timers& t, std::shared_ptr<tls_context const> context,
                       std::shared_ptr<client_params const> params)
    : executor_(std::move(ex)),
      timers_(t),
      context_(std::move(context)),
      params_(std::move(params)),
      scratch_(params_->wire.max_head) {}

address_override const* tls_dialer::override_of(std::string const& host) const noexcept {
    for (auto const& o : params_->connect_to)
        if (o.host.empty() || o.host == host) return &o;
    return nullptr;
}

/// getaddrinfo cannot be interrupted: it runs on Asio's resolver thread, and who waits for it may leave earlier.
class tls_dialer::resolution {
public:
    resolution(asio::any_io_executor ex, timers& t) : resolver(ex), done(t, ex) {}
    tcp::resolver resolver;
    wait_point done;
    bool finished = false;
    error_code ec;
    std::vector<tcp::endpoint> endpoints;
};

asio::awaitable<bool> tls_dialer::resolve(std::string host, std::vector<tcp::endpoint>* out, dial_result* result) {
    result->failed_at = dial_stage::resolve;
    if (auto const* const o = override_of(host)) {
        error_code ec;
        auto const address = asio::ip::make_address(o->address, ec);
        if (ec) {
            result->error = {errc::resolve_failed, "the address override is not an IP address"};
            co_return false;
        }
        out->emplace_back(address, o->port);
        co_return true;
    }
    auto const pending = std::make_shared<resolution>(executor_, timers_);
    pending->resolver.async_resolve(host, https_port,
                                    [pending](error_code ec, tcp::resolver::results_type const& found) {
                                        pending->ec = ec;
                                        for (auto const& entry : found) pending->endpoints.push_back(entry.endpoint());
                                        pending->finished = true;
                                        pending->done.notify();
                                    });
    wake const w = co_await pending->done.wait(timers_.now() + params_->wire.resolve_timeout);
    if (!pending->finished) {
        pending->resolver.cancel();
        result->error = interrupted(w == wake::timeout ? errc::timeout : errc::cancelled, errc::resolve_failed);
        co_return false;
    }
    if (pending->ec || pending->endpoints.empty()) {
        result->error = {errc::resolve_failed, pending->ec ? pending->ec.message() : "no address"};
        co_return false;
    }
    *out = std::move(pending->endpoints);
    co_return true;
}

asio::awaitable<std::unique_ptr<timed_socket>> tls_dialer::connect(std::vector<tcp::endpoint> const* to,
                                                                   dial_result* result) {
    result->failed_at = dial_stage::connect;
    auto const deadline = timers_.now() + params_->wire.connect_timeout;
    for (auto const& endpoint : *to) {
        auto socket = std::make_unique<timed_socket>(timers_, executor_);
        auto const ec = co_await socket->connect(endpoint, deadline);
        if (!ec) {
            error_code ignored;
            socket->socket().set_option(tcp::no_delay(true), ignored);
            socket->socket().set_option(asio::socket_base::keep_alive(true), ignored);
            socket->socket().non_blocking(true, ignored);
            co_return socket;
        }
        result->error = interrupted(ec, errc::connect_failed);
        if (ec == errc::timeout || ec == errc::cancelled || ec == errc::stopped) break;
    }
    co_return nullptr;
}

asio::awaitable<bool> tls_dialer::shake_hands(timed_socket* socket, tls_stream* tls, dial_result* result) {
    result->failed_at = dial_stage::tls;
    auto const deadline = timers_.now() + params_->wire.tls_timeout;
    for (;;) {
        auto const status = tls->handshake();
        if (status == tls_status::done) co_return true;
        if (status != tls_status::want_read && status != tls_status::want_write) {
            result->error = tls->why();
            co_return false;
        }
        auto const ec = co_await socket->wait(
            status == tls_status::want_read ? tcp::socket::wait_read : tcp::socket::wait_write, deadline);
        if (ec) {
            result->error = interrupted(ec, errc::tls_failed);
            co_return false;
        }
    }
}

asio::awaitable<dial_result> tls_dialer::dial(std::string host) {
    dial_result result;
    auto const started = timers_.now();
    std::vector<tcp::endpoint> endpoints;
    bool const resolved = co_await resolve(host, &endpoints, &result);
    auto const at_connect = timers_.now();
    result.took[0] = at_connect - started;
    if (!resolved) co_return result;

    auto socket = co_await connect(&endpoints, &result);
    auto const at_tls = timers_.now();
    result.took[1] = at_tls - at_connect;
    if (!socket) co_return result;

    auto tls = std::make_unique<tls_stream>(*context_, socket->socket().native_handle(), host, sessions_[host]);
    bool const secure = co_await shake_hands(socket.get(), tls.get(), &result);
    result.took[2] = timers_.now() - at_tls;
    if (!secure) co_return result;

    result.error = {};
    result.resumed = tls->resumed();
    result.channel = std::make_unique<http1_channel>(std::move(socket), std::move(tls), timers_, params_->wire,
                                                     scratch_);
    co_return result;
}

}  // namespace jirapool::detail
