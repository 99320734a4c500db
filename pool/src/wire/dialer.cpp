#include "wire/dialer.hpp"

#include "wait/wait_point.hpp"
#include "wire/ares_resolver.hpp"
#include "wire/happy_eyeballs.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

namespace jirapool::detail {

using asio::ip::tcp;

namespace {

// errc::timeout is for calls: a stage of a dial that took too long is that stage's failure.
void interrupt(dial_result& r, error_code const& ec, errc otherwise, char const* limit) {
    r.timed_out = ec == errc::timeout;
    if (ec == errc::cancelled || ec == errc::stopped) r.error = ec;
    else r.error = {otherwise, r.timed_out ? std::string(limit) : ec.message()};
}

constexpr char const* over_connect = "no address took the connection within wire_params::connect_timeout";
constexpr char const* over_resolve = "no name server answered within wire_params::resolve_timeout";
constexpr char const* over_tls = "no TLS handshake within wire_params::tls_timeout";

/// The socket has the descriptor from then on, or it is closed.
void take(tcp::socket& s, tcp const& protocol, int descriptor, error_code& ec) {
    try {
        s.assign(protocol, descriptor, ec);
    } catch (std::bad_alloc const&) {
        ::close(descriptor);
        throw;
    }
    if (ec) ::close(descriptor);
}

void set_up(tcp::socket& s, wire_params const& wire) noexcept {
    error_code ignored;
    s.set_option(tcp::no_delay(true), ignored);
    s.non_blocking(true, ignored);
    if (wire.tcp_user_timeout.count() > 0) {
        using user_timeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
        s.set_option(user_timeout(static_cast<int>(wire.tcp_user_timeout.count())), ignored);
    }
    if (wire.tcp_keep_alive_idle.count() == 0) return;
    using keep_idle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
    using keep_interval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
    using keep_count = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>;
    s.set_option(keep_idle(static_cast<int>(wire.tcp_keep_alive_idle.count())), ignored);
    s.set_option(keep_interval(static_cast<int>(wire.tcp_keep_alive_interval.count())), ignored);
    s.set_option(keep_count(static_cast<int>(wire.tcp_keep_alive_probes)), ignored);
    s.set_option(asio::socket_base::keep_alive(true), ignored);
}

std::optional<tcp::endpoint> peer_of(int descriptor) noexcept {
    tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    if (::getpeername(descriptor, peer.data(), &size) != 0) return std::nullopt;
    peer.resize(size);
    return peer;
}

failure not_resolved(std::string const& host, char const* why) {
    return {errc::resolve_failed, "could not resolve " + host + ": " + why};
}

}  // namespace

tls_dialer::tls_dialer(asio::any_io_executor ex, timers& t, std::shared_ptr<tls_context const> context,
                       std::shared_ptr<client_params const> params, std::unique_ptr<name_resolver> names,
                       std::uint16_t port)
    : executor_(std::move(ex)),
      timers_(t),
      context_(std::move(context)),
      params_(std::move(params)),
      port_(port),
      names_(std::move(names)),
      poller_(std::make_shared<poller>(executor_)),
      scratch_(params_->wire.max_head),
      versions_(params_->wire.http) {
    if (names_) return;
    ares_resolver::settings s;
    s.timeout = params_->wire.resolve_timeout;
    s.origin_port = port_;
    names_ = std::make_unique<ares_resolver>(executor_, timers_, std::move(s));
}

address_override const* tls_dialer::override_of(std::string const& host) const noexcept {
    for (auto const& o : params_->connect_to)
        if (o.host.empty() || o.host == host) return &o;
    return nullptr;
}

tls_dialer::endpoints const* tls_dialer::stale_addresses(std::string const& host) const noexcept {
    auto const found = worked_.find(host);
    if (found == worked_.end() || timers_.now() - found->second.connected_at > params_->wire.stale_addresses)
        return nullptr;
    return &found->second.all;
}

void tls_dialer::keep(std::string const& host, endpoints all, tcp::endpoint const& winner) {
    auto const first = std::find(all.begin(), all.end(), winner);
    if (first != all.end()) std::rotate(all.begin(), first, first + 1);
    worked_.insert_or_assign(host, addresses{std::move(all), timers_.now()});
}

asio::awaitable<bool> tls_dialer::resolve(std::string host, endpoints* out, dial_result* result) {
    result->failed_at = dial_stage::resolve;
    error_code ec;
    if (auto const* const o = override_of(host)) {
        auto const address = asio::ip::make_address(o->address, ec);
        if (ec) {
            result->error = {errc::resolve_failed, "the address override is not an IP address"};
            co_return false;
        }
        out->emplace_back(address, o->port);
        co_return true;
    }
    auto patience = steady_duration(params_->wire.resolve_timeout);
    if (stale_addresses(host) != nullptr) patience /= 4;
    auto answer = co_await names_->resolve(host, deadline_after(timers_.now(), patience));
    switch (answer.how) {
    case resolved::outcome::found: *out = std::move(answer.endpoints); co_return true;
    case resolved::outcome::no_address:
        // An answer, so what was true before is not: the site may be gone, or have moved.
        worked_.erase(host);
        result->error = not_resolved(host, answer.problem);
        co_return false;
    case resolved::outcome::cancelled: interrupt(*result, errc::cancelled, errc::resolve_failed, ""); co_return false;
    default: break;
    }
    if (auto const* const worked = stale_addresses(host)) {
        *out = *worked;
        co_return true;
    }
    result->timed_out = answer.how == resolved::outcome::timeout;
    result->error = not_resolved(host, result->timed_out ? over_resolve : answer.problem);
    co_return false;
}

/// Attempts under way. Their handlers keep it alive; without a waiter they say nothing more.
class tls_dialer::race {
public:
    race(asio::any_io_executor ex, std::size_t addresses) : executor(std::move(ex)), sockets(addresses) {}

    static void start(std::shared_ptr<race> const& self, std::size_t i, tcp::endpoint const& to) {
        auto& socket = self->sockets[i].emplace(self->executor);
        // Asio opens sockets that a child process of the service inherits, and holds open.
        int const descriptor = ::socket(to.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        error_code problem;
        if (descriptor < 0) problem.assign(errno, boost::system::system_category());
        else take(socket, to.protocol(), descriptor, problem);
        if (problem) return self->on_ended(i, problem);
        socket.async_connect(to, [self, i](error_code ec) { self->on_ended(i, ec); });
    }

    void on_ended(std::size_t i, error_code ec) {
        if (waiter == nullptr || winner) return;
        if (ec) {
            last_problem = ec;
            ++failed;
            sockets[i].reset();
        } else {
            winner = i;
        }
        waiter->notify();
    }

    /// Ends it with the dial, however that ends: closes all but the winner's socket, which was taken out.
    class end {
    public:
        explicit end(std::shared_ptr<race> r) noexcept : race_(std::move(r)) {}
        ~end() {
            race_->waiter = nullptr;
            race_->sockets.clear();
        }
        end(end const&) = delete;
        end& operator=(end const&) = delete;

    private:
        std::shared_ptr<race> race_;
    };

    asio::any_io_executor executor;
    wait_point* waiter = nullptr;
    std::vector<std::optional<tcp::socket>> sockets;
    std::optional<std::size_t> winner;
    std::size_t failed = 0;  ///< since last looked at
    error_code last_problem;
};

asio::awaitable<std::unique_ptr<timed_socket>> tls_dialer::connect(endpoints to, dial_result* result) {
    result->failed_at = dial_stage::connect;
    auto const deadline = deadline_after(timers_.now(), params_->wire.connect_timeout);
    std::vector<happy_eyeballs::family> families;
    for (auto const& e : to)
        families.push_back(e.address().is_v6() ? happy_eyeballs::family::v6 : happy_eyeballs::family::v4);
    happy_eyeballs order(families, saturated(params_->wire.attempt_delay));
    auto const run = std::make_shared<race>(executor_, to.size());
    wait_point done(timers_, executor_);
    race::end const at_end(run);
    run->waiter = &done;
    error_code stopped_by;
    while (!run->winner && !stopped_by) {
        auto const now = timers_.now();
        auto const next = order.next(now);
        if (next.what == happy_eyeballs::decision::kind::start) {
            race::start(run, next.address, to[next.address]);
            continue;
        }
        if (next.what == happy_eyeballs::decision::kind::failed) stopped_by = run->last_problem;
        if (stopped_by) break;
        auto const until = std::min(deadline, next.until);
        wake w = wake::notified;
        if (run->failed == 0) w = co_await done.wait(until);
        for (; run->failed > 0; --run->failed) order.on_failed();
        if (w == wake::cancelled) stopped_by = errc::cancelled;
        if (w == wake::timeout && timers_.now() >= deadline) stopped_by = errc::timeout;
    }
    run->waiter = nullptr;
    std::unique_ptr<timed_socket> socket;
    if (run->winner) {
        // Asio connected it; from here on the poller watches it.
        auto& winner = *run->sockets[*run->winner];
        set_up(winner, params_->wire);
        error_code ec;
        auto const descriptor = winner.release(ec);
        if (!ec) socket = timed_socket::make(descriptor, poller_, timers_, executor_, ec);
        stopped_by = ec;
    }
    if (!socket) interrupt(*result, stopped_by, errc::connect_failed, over_connect);
    co_return socket;
}

asio::awaitable<bool> tls_dialer::shake_hands(timed_socket* socket, tls_stream* tls, dial_result* result) {
    result->failed_at = dial_stage::tls;
    auto const deadline = deadline_after(timers_.now(), params_->wire.tls_timeout);
    for (;;) {
        auto const status = tls->handshake();
        if (status == tls_status::done) co_return true;
        if (over(status)) {
            result->error = tls->why();
            co_return false;
        }
        error_code ec;
        // A peer that always has something to say keeps neither the shard nor the dial.
        if (timers_.now() >= deadline) ec = errc::timeout;
        else if (status == tls_status::again) ec = co_await socket->give_way();
        else
            ec = co_await socket->wait(status == tls_status::want_read ? timed_socket::direction::read
                                                                       : timed_socket::direction::write,
                                       deadline);
        if (ec) {
            interrupt(*result, ec, errc::tls_failed, over_tls);
            co_return false;
        }
    }
}

failure tls_dialer::about(std::string const& host, failure f) const {
    auto const* const o = override_of(host);
    auto const port = std::to_string(o != nullptr ? o->port : port_);
    auto const address = o != nullptr ? " at " + o->address : std::string();
    return std::move(f).with_peer(host + address + ":" + port);
}

bool tls_dialer::on_conduct(std::string const& host, http2_conduct c) {
    auto const now = timers_.now();
    if (c == http2_conduct::good) {
        versions_.on_answer(host);
        return false;
    }
    bool const rests = c == http2_conduct::broken ? versions_.on_error(host, now) : versions_.on_refusal(host, now);
    if (rests && on_http1_instead) on_http1_instead(host);
    return rests ||
           (params_->wire.http == http_versions::either && versions_.offered(host, now) == http_versions::http1);
}

std::unique_ptr<channel> tls_dialer::make_channel(std::string const& host, std::unique_ptr<timed_socket> socket,
                                                  std::unique_ptr<tls_stream> tls, dial_result& result) {
    if (!tls->chose_http2()) {
        if (params_->wire.http != http_versions::http2)
            return std::make_unique<http1_channel>(std::move(socket), std::move(tls), timers_, params_->wire, scratch_);
        result.error = about(host, {errc::tls_failed,
                                    "the server offers no HTTP/2, and wire_params::http allows nothing else"});
        return nullptr;
    }
    if (!tls->fit_for_http2()) {
        on_conduct(host, http2_conduct::wants_http1);
        result.error = about(host, {errc::tls_failed,
                                    "the server chose HTTP/2 over a cipher that is not fit for it (RFC 9113, "
                                    "section 9.2.2)"});
        return nullptr;
    }
    auto told = [self = std::weak_ptr(self_), host](http2_conduct c) {
        auto const d = self.lock();
        return d && (*d)->on_conduct(host, c);
    };
    auto& streams = streams_[host];
    if (!streams) streams = std::make_shared<std::uint32_t>(0);
    return std::make_unique<http2_channel>(std::move(socket), std::move(tls), timers_, executor_, params_->wire,
                                           scratch_, std::move(told), 1, streams);
}

asio::awaitable<dial_result> tls_dialer::dial(std::string host) {
    dial_result result;
    auto const started = timers_.now();
    endpoints found;
    bool const resolved = co_await resolve(host, &found, &result);
    auto const at_connect = timers_.now();
    result.took[0] = at_connect - started;
    if (!resolved) co_return result;

    auto socket = co_await connect(found, &result);
    auto const at_tls = timers_.now();
    result.took[1] = at_tls - at_connect;
    if (!socket) {
        result.error = about(host, std::move(result.error));
        co_return result;
    }

    auto tls = std::make_unique<tls_stream>(*context_, socket->descriptor(), host, sessions_[host],
                                            versions_.offered(host, timers_.now()));
    bool const secure = co_await shake_hands(socket.get(), tls.get(), &result);
    result.took[2] = timers_.now() - at_tls;
    if (!secure) {
        result.error = about(host, std::move(result.error));
        co_return result;
    }

    // Only now: an address that takes connections and has another's certificate is no place to come back to.
    if (params_->wire.stale_addresses.count() > 0 && override_of(host) == nullptr) {
        if (auto const winner = peer_of(socket->descriptor())) keep(host, std::move(found), *winner);
    }

    result.error = {};
    result.resumed = tls->resumed();
    result.channel = make_channel(host, std::move(socket), std::move(tls), result);
    co_return result;
}

}  // namespace jirapool::detail
