#include "wire_client.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace jirapool;
using namespace jirapool::wire_test;
using namespace jirapool::detail;
using asio::ip::tcp;

namespace {

using clock = std::chrono::steady_clock;

void serve(tls_peer& peer) {
    if (!peer.handshake()) return;
    peer.stall();
}

/// A listener whose queue is full: the kernel answers no connection any more, as a host that is not there.
class black_hole {
public:
    black_hole() {
        sockaddr_in here{};
        here.sin_family = AF_INET;
        here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof here;
        listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&here), size) == 0);
        REQUIRE(::listen(listener_, 0) == 0);
        REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&here), &size) == 0);
        for (int& f : fillers_) {
            f = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            [[maybe_unused]] int const begun = ::connect(f, reinterpret_cast<sockaddr*>(&here), size);
        }
        port_ = ntohs(here.sin_port);
    }
    ~black_hole() {
        for (int const f : fillers_) ::close(f);
        ::close(listener_);
    }
    tcp::endpoint endpoint() const { return {asio::ip::address_v4::loopback(), port_}; }

private:
    int listener_;
    int fillers_[8];
    std::uint16_t port_ = 0;
};

tcp::endpoint at(std::uint16_t port) { return {asio::ip::address_v4::loopback(), port}; }

/// A port that refuses.
tcp::endpoint nobody() {
    asio::io_context io;
    tcp::acceptor a(io, at(0));
    return a.local_endpoint();
}

resolved found(std::vector<tcp::endpoint> all) {
    resolved r;
    r.how = resolved::outcome::found;
    r.endpoints = std::move(all);
    return r;
}

resolved not_found(resolved::outcome how, char const* problem) {
    resolved r;
    r.how = how;
    r.problem = problem;
    return r;
}

/// Answers at once what a function says.
class scripted_resolver final : public name_resolver {
public:
    using script = std::function<resolved(std::string const& host, steady_duration patience)>;
    scripted_resolver(script s, timers& t) : script_(std::move(s)), timers_(t) {}
    asio::awaitable<resolved> resolve(std::string host, steady_time deadline) override {
        auto r = script_(host, deadline - timers_.now());
        co_return r;
    }

private:
    script script_;
    timers& timers_;
};

wire_client::make_resolver says(scripted_resolver::script s) {
    return [=](asio::any_io_executor, timers& t) { return std::make_unique<scripted_resolver>(s, t); };
}
wire_client::make_resolver says(std::vector<tcp::endpoint> all) {
    return says([=](std::string const&, steady_duration) { return found(all); });
}

}  // namespace

TEST_CASE("dialer: an address that refuses costs nothing, one that is silent costs the attempt's delay") {
    tls_server server(test_identity(), serve);
    black_hole const silent;
    struct {
        std::vector<tcp::endpoint> addresses;
        std::chrono::milliseconds least;
        std::chrono::milliseconds most;
    } const cases[] = {
        {{nobody(), nobody(), at(server.port())}, 0ms, 150ms},
        {{silent.endpoint(), at(server.port())}, 200ms, 2000ms},
        {{silent.endpoint(), nobody(), silent.endpoint(), at(server.port())}, 400ms, 2000ms},
    };
    for (auto const& c : cases) {
        wire_client client(says(c.addresses));
        client.params.wire.attempt_delay = 200ms;
        auto const begun = clock::now();
        auto const dialed = client.dial();
        auto const took = clock::now() - begun;
        INFO(dialed.error.describe());
        CHECK(dialed.channel);
        CHECK(took >= c.least);
        CHECK(took < c.most);
    }
}

TEST_CASE("dialer: when no address connects, the error is the last one's, or names the limit") {
    black_hole const silent;
    {
        wire_client client(says({nobody(), nobody()}));
        auto const dialed = client.dial();
        CHECK(dialed.failed_at == dial_stage::connect);
        CHECK(dialed.error.code() == errc::connect_failed);
        CHECK(dialed.error.rule() == "Connection refused");
        CHECK_FALSE(dialed.timed_out);
    }
    {
        wire_client client(says({silent.endpoint(), nobody()}));
        client.params.wire.attempt_delay = 20ms;
        client.params.wire.connect_timeout = 100ms;
        auto const dialed = client.dial();
        CHECK(dialed.error.code() == errc::connect_failed);
        CHECK(dialed.error.rule() == "no address took the connection within wire_params::connect_timeout");
        CHECK(dialed.timed_out);
    }
}

TEST_CASE("dialer: each dial asks for the name anew, and says whose name it was and what the resolver says") {
    tls_server server(test_identity(), serve);
    int asked = 0;
    wire_client client(says([&](std::string const& host, steady_duration) {
        CHECK(host == test_host);
        if (++asked == 2) return not_found(resolved::outcome::no_address, "the name does not exist");
        if (asked == 4) return not_found(resolved::outcome::failed, "the name servers failed");
        if (asked == 5) return not_found(resolved::outcome::timeout, "");
        return found({at(server.port())});
    }));
    client.params.wire.stale_addresses = 0ms;
    CHECK(client.dial().channel);
    auto const failed = client.dial();
    CHECK(failed.failed_at == dial_stage::resolve);
    CHECK(failed.error.code() == errc::resolve_failed);
    CHECK(failed.error.rule() == "could not resolve site.atlassian.net: the name does not exist");
    CHECK_FALSE(failed.timed_out);
    CHECK(client.dial().channel);
    CHECK(client.dial().error.rule() == "could not resolve site.atlassian.net: the name servers failed");
    auto const late = client.dial();
    CHECK(late.error.rule() ==
          "could not resolve site.atlassian.net: no name server answered within wire_params::resolve_timeout");
    CHECK(late.timed_out);
    CHECK(asked == 5);
}

TEST_CASE("dialer: addresses that worked are dialled while the name cannot be resolved, not when it has none") {
    tls_server server(test_identity(), serve);
    auto how = resolved::outcome::found;
    steady_duration patience{};
    auto addresses = std::vector<tcp::endpoint>{nobody(), at(server.port())};
    wire_client client(says([&](std::string const&, steady_duration p) {
        patience = p;
        if (how == resolved::outcome::found) return found(addresses);
        return not_found(how, "trouble");
    }));
    client.params.wire.stale_addresses = 2s;
    auto const resolves = client.params.wire.resolve_timeout;

    how = resolved::outcome::timeout;
    CHECK(client.dial().error.code() == errc::resolve_failed);  // nothing worked yet
    CHECK(patience > resolves - 1s);
    how = resolved::outcome::found;
    REQUIRE(client.dial().channel);
    for (auto const trouble : {resolved::outcome::timeout, resolved::outcome::failed}) {
        how = trouble;
        auto const again = client.dial();
        INFO(again.error.describe());
        CHECK(again.channel);
        CHECK_FALSE(again.timed_out);
        CHECK(patience <= resolves / 4);
    }
    // That the name has no address is an answer; what it had before is forgotten.
    how = resolved::outcome::no_address;
    CHECK(client.dial().error.rule() == "could not resolve site.atlassian.net: trouble");
    how = resolved::outcome::failed;
    CHECK(client.dial().error.code() == errc::resolve_failed);

    // Forgotten with the host as well.
    how = resolved::outcome::found;
    REQUIRE(client.dial().channel);
    client.forget(test_host);
    how = resolved::outcome::failed;
    CHECK(client.dial().error.code() == errc::resolve_failed);

    // And when they are too old.
    how = resolved::outcome::found;
    REQUIRE(client.dial().channel);
    how = resolved::outcome::failed;
    CHECK(client.dial().channel);
    auto const kept = clock::now();
    REQUIRE(eventually([&] { return clock::now() - kept > 2100ms; }));
    CHECK(client.dial().error.code() == errc::resolve_failed);

    // An address with another's certificate did not work.
    tls_server stranger(gateway_identity(), serve);
    how = resolved::outcome::found;
    REQUIRE(client.dial().channel);
    addresses = {at(stranger.port())};
    CHECK(client.dial().error.code() == errc::certificate_refused);
    how = resolved::outcome::timeout;
    CHECK(client.dial().channel);
}

TEST_CASE("dialer: sockets send at once, and probe a silent peer as the params say") {
    tls_server server(test_identity(), serve);
    wire_client client(server.port());
    client.params.wire.tcp_keep_alive_idle = std::chrono::seconds(7);
    client.params.wire.tcp_keep_alive_interval = std::chrono::seconds(3);
    client.params.wire.tcp_keep_alive_probes = 2;
    client.params.wire.tcp_user_timeout = 12'345ms;
    auto const socket = client.connect({at(server.port())});
    REQUIRE(socket);
    auto const option = [&](int level, int name) {
        int value = -1;
        socklen_t size = sizeof value;
        CHECK(::getsockopt(socket->descriptor(), level, name, &value, &size) == 0);
        return value;
    };
    CHECK(option(IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK(option(SOL_SOCKET, SO_KEEPALIVE) != 0);
    CHECK(option(IPPROTO_TCP, TCP_KEEPIDLE) == 7);
    CHECK(option(IPPROTO_TCP, TCP_KEEPINTVL) == 3);
    CHECK(option(IPPROTO_TCP, TCP_KEEPCNT) == 2);
    CHECK(option(IPPROTO_TCP, TCP_USER_TIMEOUT) == 12'345);
}

TEST_CASE("dialer: what was sent and not acknowledged has a limit, unless it is set to none") {
    for (auto const& [set, expected] : {std::pair(wire_params().tcp_user_timeout, 12'000), std::pair(0ms, 0)}) {
        tls_server server(test_identity(), serve);
        wire_client client(server.port());
        client.params.wire.tcp_user_timeout = set;
        client.params.wire.tcp_keep_alive_idle = 0s;
        auto const socket = client.connect({at(server.port())});
        REQUIRE(socket);
        int value = -1;
        socklen_t size = sizeof value;
        CHECK(::getsockopt(socket->descriptor(), IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size) == 0);
        CHECK(value == expected);
    }
    client_params p;
    p.user_agent = "jirapool-tests/1 (+tests@example.com)";
    for (auto const wrong : {-1ms, std::chrono::milliseconds::max(), 2'147'483'648ms}) {
        p.wire.tcp_user_timeout = wrong;
        CHECK(std::string(why_invalid(p)) == "wire_params::tcp_user_timeout must be 0 to 2147483647 ms");
    }
    p.wire.tcp_user_timeout = 2'147'483'647ms;
    CHECK(why_invalid(p) == nullptr);
}
