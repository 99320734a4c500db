// What other clients of the listener may do to a scrape, IPv6, and the queries of the README.
#include "scrape_server.hpp"

#include <jirapool/core/stats.hpp>
#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/listener.hpp>

#include "support/catch.hpp"
#include "support/peak_memory.hpp"
#include "told_overview.hpp"

#include <prometheus/metric_family.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;
using metrics::collector;
using metrics::listener;
using metrics::page_table;
using metrics::parse_listen_address;
using metrics::scrape_server;

namespace {

using clock_type = std::chrono::steady_clock;

/// A client that does as it is told.
class peer {
public:
    explicit peer(unsigned short port, bool is_v6 = false, int receive_buffer = 0)
        : fd_(::socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        timeval const limit{10, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (receive_buffer != 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        if (is_v6) {
            sockaddr_in6 to{};
            to.sin6_family = AF_INET6;
            to.sin6_port = htons(port);
            to.sin6_addr = in6addr_loopback;
            connect(reinterpret_cast<sockaddr const*>(&to), sizeof to);
        } else {
            sockaddr_in to{};
            to.sin_family = AF_INET;
            to.sin_port = htons(port);
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            connect(reinterpret_cast<sockaddr const*>(&to), sizeof to);
        }
    }
    peer(peer&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    peer(peer const&) = delete;
    peer& operator=(peer const&) = delete;
    ~peer() {
        if (fd_ >= 0) ::close(fd_);
    }

    bool say(std::string const& text) const {
        return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
    }
    /// All that comes until the other side closes, or for 10 s.
    std::string rest() const {
        std::string all;
        char chunk[4096];
        for (ssize_t n; (n = ::recv(fd_, chunk, sizeof chunk, 0)) > 0;) all.append(chunk, static_cast<std::size_t>(n));
        return all;
    }
    /// Whether the other side closes within this time.
    bool is_let_go(std::chrono::milliseconds limit) const {
        pollfd p{fd_, POLLIN, 0};
        char c = 0;
        return ::poll(&p, 1, static_cast<int>(limit.count())) == 1 && ::recv(fd_, &c, 1, 0) <= 0;
    }

private:
    /// Without a connection nothing can be said, and nothing comes.
    void connect(sockaddr const* to, socklen_t size) noexcept {
        if (::connect(fd_, to, size) == 0) return;
        ::close(fd_);
        fd_ = -1;
    }

    int fd_;
};

std::string ask(unsigned short port, std::string const& request) {
    peer const p(port);
    p.say(request);
    return p.rest();
}

std::string const scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// How long a scrape takes; it must succeed.
std::chrono::milliseconds scrape_time(unsigned short port) {
    auto const began = clock_type::now();
    auto const answer = ask(port, scrape);
    CHECK(answer.starts_with("HTTP/1.1 200 "));
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock_type::now() - began);
}

std::shared_ptr<collector> nothing() { return std::make_shared<collector>(counted({})); }
page_table table_of(std::shared_ptr<prometheus::Collectable> what) {
    return page_table({metrics::metrics_page(std::move(what))});
}

class large final : public prometheus::Collectable {
public:
    explicit large(std::size_t size) noexcept : size_(size) {}
    std::vector<prometheus::MetricFamily> Collect() const override {
        prometheus::MetricFamily f;
        f.name = "large";
        f.help = std::string(size_, 'x');
        return {f};
    }

private:
    std::size_t size_;
};

class broken final : public prometheus::Collectable {
public:
    std::vector<prometheus::MetricFamily> Collect() const override { throw std::runtime_error("broken"); }
};

}  // namespace

TEST_CASE("faults: F7 clients that are silent, drip or do not read delay no scrape") {
    auto const l = listener::open("127.0.0.1:0", nothing()).value();
    std::vector<peer> clients;
    for (int i = 0; i < 150; ++i) {
        clients.emplace_back(l->port());
        if (i % 3 == 1) clients.back().say("GET /metr");
        if (i % 3 == 2) clients.back().say("GET /metrics HTTP/1.1\r\nX: ");
    }
    for (int i = 0; i < 5; ++i) {
        CHECK(scrape_time(l->port()) < 2s);
        for (auto const& c : clients) c.say("x");
    }
}

TEST_CASE("faults: F7 clients that ask for much and read none of it delay no scrape") {
    auto const l = listener::open("127.0.0.1:0", std::make_shared<large>(2'000'000)).value();
    std::vector<peer> clients;
    for (int i = 0; i < 6; ++i) clients.emplace_back(l->port(), false, 4096).say(scrape);
    auto const began = clock_type::now();
    CHECK(ask(l->port(), "GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    CHECK(clock_type::now() - began < 5s);
}

TEST_CASE("faults: F7 answers that nobody reads take no more memory than they may, and the last who asks is served") {
    constexpr std::size_t size = 10'000'000;  // more than the system keeps for a socket
    auto const address = parse_listen_address("127.0.0.1:0").value();
    auto const server = scrape_server::open(address, table_of(std::make_shared<large>(size)),
                                            {.clients = 64, .time = 60s, .answers = 25'000'000})
                            .value();
    std::vector<peer> clients;
    for (int i = 0; i < 8; ++i) {
        clients.emplace_back(server->port(), false, 4096).say(scrape);
        // Another one is served only when this one was.
        CHECK(ask(server->port(), "GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    }
    // Whoever is let go gets what the system had taken already, and no end.
    CHECK(clients.front().rest().size() < size);
    CHECK(clients.back().rest().size() > size);
}

TEST_CASE("faults: F7 who has read its answer and does not close holds no memory") {
    constexpr std::size_t size = 4'000'000;
    auto const l = listener::open("127.0.0.1:0", std::make_shared<large>(size)).value();
    CHECK(ask(l->port(), scrape).size() > size);
    test::forget_peak();
    auto const before = test::peak_mib();
    std::vector<peer> clients;
    for (int i = 0; i < 30; ++i) {
        clients.emplace_back(l->port()).say(scrape);
        CHECK(clients.back().rest().size() > size);
    }
    if (test::peak_means_something) CHECK(test::peak_mib() - before < 40);
}

TEST_CASE("faults: F7 a thousand slow clients, half a request each, and headers of a megabyte cost a few megabytes") {
    rlimit files{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < 1200) {
        WARN("SKIPPED: not enough descriptors");
        return;
    }
    auto const l = listener::open("127.0.0.1:0", nothing()).value();
    CHECK(scrape_time(l->port()) < 2s);
    test::forget_peak();
    auto const before = test::peak_mib();
    std::vector<peer> clients;
    std::string const megabyte(1'000'000, 'x');
    for (int i = 0; i < 1000; ++i) {
        clients.emplace_back(l->port());
        clients.back().say("GET /metrics HTTP/1.1\r\nX: " + megabyte.substr(0, i % 3 == 0 ? 4000 : 0));
        if (i % 100 == 0) {
            CHECK(ask(l->port(), "GET /metrics HTTP/1.1\r\nX: " + megabyte).starts_with("HTTP/1.1 431 "));
            CHECK(scrape_time(l->port()) < 2s);
        }
    }
    CHECK(scrape_time(l->port()) < 2s);
    if (test::peak_means_something) CHECK(test::peak_mib() - before < 8);
}

TEST_CASE("faults: F7 a client has its time in all, however busy it is") {
    auto const address = parse_listen_address("127.0.0.1:0").value();
    auto const server = scrape_server::open(address, table_of(nothing()), {.clients = 4, .time = 300ms}).value();
    peer const dripping(server->port());
    auto const began = clock_type::now();
    bool gone = false;
    while (!gone && clock_type::now() - began < 8s) {
        dripping.say("x");
        gone = dripping.is_let_go(20ms);
    }
    CHECK(gone);
    CHECK(clock_type::now() - began >= 250ms);
}

TEST_CASE("faults: F7 one client more than there is room for takes the place of the first") {
    auto const address = parse_listen_address("127.0.0.1:0").value();
    auto const server = scrape_server::open(address, table_of(nothing()), {.clients = 4, .time = 60s}).value();
    std::vector<peer> clients;
    for (int i = 0; i < 5; ++i) {
        clients.emplace_back(server->port());
        // It was seen when another one behind it is answered.
        if (i < 3) CHECK(ask(server->port(), scrape).starts_with("HTTP/1.1 200 "));
    }
    CHECK(clients.front().is_let_go(5s));
    CHECK_FALSE(clients.back().is_let_go(0ms));
    CHECK(ask(server->port(), scrape).starts_with("HTTP/1.1 200 "));
}

TEST_CASE("scrape_server: what is no scrape is told so, in pieces of any size") {
    auto const l = listener::open("127.0.0.1:0", nothing()).value();
    CHECK(ask(l->port(), "HEAD /metrics HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
    CHECK(ask(l->port(), "GET /metrics?x=1 HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 "));
    CHECK(ask(l->port(), "POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").starts_with("HTTP/1.1 405 "));
    CHECK(ask(l->port(), "GET /metrics2 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    CHECK(ask(l->port(), "nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    CHECK(ask(l->port(), "GET /metrics SMTP\r\n\r\n").starts_with("HTTP/1.1 400 "));
    CHECK(ask(l->port(), "GET /metrics HTTP/1.1\r\nX: " + std::string(9000, 'x')).starts_with("HTTP/1.1 431 "));

    peer const slow(l->port());
    for (char const c : scrape) slow.say(std::string(1, c));
    CHECK(slow.rest().starts_with("HTTP/1.1 200 "));

    auto const b = listener::open("127.0.0.1:0", std::make_shared<broken>()).value();
    CHECK(ask(b->port(), scrape).starts_with("HTTP/1.1 500 "));
}

TEST_CASE("faults: D12 an IPv6 address is listened on, or the system's words say why not") {
    int const fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 loopback{};
    loopback.sin6_family = AF_INET6;
    loopback.sin6_addr = in6addr_loopback;
    bool const has_v6 = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr const*>(&loopback), sizeof loopback) == 0;
    if (fd >= 0) ::close(fd);

    for (std::string const address : {"[::1]:0", "[::]:0"}) {
        INFO(address);
        auto const l = listener::open(address, nothing());
        if (!has_v6) {
            if (!l) CHECK(l.error().rule().starts_with("cannot be listened on: "));
            continue;
        }
        REQUIRE(l.has_value());
        CHECK((*l)->url() == "http://[::1]:" + std::to_string((*l)->port()) + "/metrics");
        peer const p((*l)->port(), true);
        p.say(scrape);
        CHECK(p.rest().starts_with("HTTP/1.1 200 "));
    }
}

TEST_CASE("faults: G6 the README's share of failed calls counts every outcome that is one") {
    std::ifstream in(std::filesystem::path(JIRAPOOL_METRICS_README));
    std::string const text{std::istreambuf_iterator<char>(in), {}};
    auto const at = text.find("sum(rate(jirapool_calls_total{outcome=~\"");
    REQUIRE(at != text.npos);
    auto const query = text.substr(at, text.find("[5m]", at) - at);
    for (std::size_t i = 0; i < outcome_count; ++i) {
        auto const o = static_cast<outcome>(i);
        // An answer that the caller asked for, and a call that the caller ended.
        bool const is_fine = o == outcome::success || o == outcome::redirect || o == outcome::client_error ||
                             o == outcome::cancelled;
        INFO(to_string(o));
        CHECK((query.find(to_string(o)) == query.npos) == is_fine);
    }
}
