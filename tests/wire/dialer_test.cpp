#include "wire_client.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <condition_variable>
#include <mutex>

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
    r.endpoints = std::move(all);
    return r;
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
        name_resolver names([&](std::string const&) { return found(c.addresses); });
        wire_client client(names);
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
        name_resolver names([&](std::string const&) { return found({nobody(), nobody()}); });
        wire_client client(names);
        auto const dialed = client.dial();
        CHECK(dialed.failed_at == dial_stage::connect);
        CHECK(dialed.error.code() == errc::connect_failed);
        CHECK(dialed.error.rule() == "Connection refused");
        CHECK_FALSE(dialed.timed_out);
    }
    {
        name_resolver names([&](std::string const&) { return found({silent.endpoint(), nobody()}); });
        wire_client client(names);
        client.params.wire.attempt_delay = 20ms;
        client.params.wire.connect_timeout = 100ms;
        auto const dialed = client.dial();
        CHECK(dialed.error.code() == errc::connect_failed);
        CHECK(dialed.error.rule() == "no address took the connection within wire_params::connect_timeout");
        CHECK(dialed.timed_out);
    }
}

TEST_CASE("dialer: each dial asks for the name anew, and says what the resolver says") {
    tls_server server(test_identity(), serve);
    std::atomic<int> asked{0};
    name_resolver names([&](std::string const& host) {
        CHECK(host == test_host);
        resolved r;
        if (++asked == 2) r.problem = "Name or service not known";
        else if (asked < 4) r.endpoints.push_back(at(server.port()));
        return r;
    });
    wire_client client(names);
    CHECK(client.dial().channel);
    auto const failed = client.dial();
    CHECK(failed.failed_at == dial_stage::resolve);
    CHECK(failed.error.code() == errc::resolve_failed);
    CHECK(failed.error.rule() == "Name or service not known");
    CHECK(client.dial().channel);
    CHECK(client.dial().error.rule() == "the name has no address");
    CHECK(asked == 4);
}

TEST_CASE("dialer: a resolver that does not answer holds up neither the dial nor the end of the program") {
    std::mutex m;
    std::condition_variable changed;
    bool go = false;
    std::atomic<int> asked{0};
    std::atomic<bool> answered{false};
    tls_server server(test_identity(), serve);
    name_resolver names([&](std::string const&) {
        ++asked;
        std::unique_lock lock(m);
        changed.wait(lock, [&] { return go; });
        answered = true;
        return found({at(server.port())});
    });
    {
        auto client = std::make_unique<wire_client>(names);
        client->params.wire.resolve_timeout = 50ms;
        for (int i = 0; i < 3; ++i) {
            auto const dialed = client->dial();
            CHECK(dialed.error.code() == errc::resolve_failed);
            CHECK(dialed.error.rule() == "the name was not resolved within wire_params::resolve_timeout");
            CHECK(dialed.timed_out);
        }
        // Who asks for a name that is being asked for shares the answer: a dead name server costs one thread.
        CHECK(asked == 1);
        auto const begun = clock::now();
        client.reset();
        CHECK(clock::now() - begun < 5s);
        CHECK_FALSE(answered);
    }
    {
        std::lock_guard const lock(m);
        go = true;
    }
    changed.notify_all();
    REQUIRE(eventually([&] { return answered.load(); }));
    wire_client client(names);
    CHECK(client.dial().channel);
}

TEST_CASE("name_resolver: looks up so many names at once and no more, and drops what nobody waits for") {
    std::mutex m;
    std::condition_variable changed;
    std::vector<std::string> running;
    bool go = false;
    name_resolver names(
        [&](std::string const& host) {
            std::unique_lock lock(m);
            running.push_back(host);
            changed.notify_all();
            changed.wait(lock, [&] { return go; });
            return resolved{};
        },
        2);
    auto const a = names.start("a");
    auto const b = names.start("b");
    auto dropped = names.start("dropped");
    auto const c = names.start("c");
    CHECK(names.start("a") == a);
    {
        std::unique_lock lock(m);
        REQUIRE(changed.wait_for(lock, 10s, [&] { return running.size() == 2; }));
        dropped.reset();
        go = true;
    }
    changed.notify_all();
    REQUIRE(eventually([&] { return a->answer() && b->answer() && c->answer(); }));
    std::lock_guard const lock(m);
    CHECK(running.size() == 3);
    CHECK(running.back() == "c");
}

TEST_CASE("name_resolver: the system's knows this machine") {
    auto const l = system_resolver().start("localhost");
    REQUIRE(eventually([&] { return l->answer() != nullptr; }));
    REQUIRE_FALSE(l->answer()->endpoints.empty());
    CHECK(l->answer()->endpoints.front().address().is_loopback());
    CHECK(l->answer()->endpoints.front().port() == 443);
    auto const none = system_resolver().start("nobody.invalid");
    REQUIRE(eventually([&] { return none->answer() != nullptr; }, 30s));
    CHECK(none->answer()->endpoints.empty());
    CHECK_FALSE(none->answer()->problem.empty());
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
        CHECK(::getsockopt(socket->socket().native_handle(), level, name, &value, &size) == 0);
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
    for (auto const [set, expected] : {std::pair(wire_params().tcp_user_timeout, 35'000), std::pair(0ms, 0)}) {
        tls_server server(test_identity(), serve);
        wire_client client(server.port());
        client.params.wire.tcp_user_timeout = set;
        client.params.wire.tcp_keep_alive_idle = 0s;
        auto const socket = client.connect({at(server.port())});
        REQUIRE(socket);
        int value = -1;
        socklen_t size = sizeof value;
        CHECK(::getsockopt(socket->socket().native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size) == 0);
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
