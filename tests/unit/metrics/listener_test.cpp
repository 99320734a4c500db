#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/listener.hpp>
#include <jirapool/metrics/names.hpp>

#include "support/catch.hpp"
#include "told_overview.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <memory>
#include <string>

using namespace jirapool;
using metrics::collector;
using metrics::listener;

namespace {

/// The whole answer to one GET, or what came of it in 10 s.
std::string get(unsigned short port, std::string const& path) {
    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval const limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (::connect(fd, reinterpret_cast<sockaddr const*>(&to), sizeof to) == 0) {
        std::string const request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
        char chunk[4096];
        for (ssize_t n; (n = ::recv(fd, chunk, sizeof chunk, 0)) > 0;)
            answer.append(chunk, static_cast<std::size_t>(n));
    }
    ::close(fd);
    return answer;
}

}  // namespace

TEST_CASE("listener: it serves the numbers of the moment at /metrics on a port of the system's choice") {
    auto const shard = std::make_shared<shard_stats>();
    auto const l = listener::open("127.0.0.1:0", std::make_shared<collector>(counted({shard}))).value();
    REQUIRE(l->port() != 0);
    CHECK(l->url() == "http://127.0.0.1:" + std::to_string(l->port()) + "/metrics");

    auto const before = get(l->port(), "/metrics");
    CHECK(before.starts_with("HTTP/1.1 200 "));
    CHECK(before.find("\njirapool_channels_opened_total{origin=\"site\"} 0") != before.npos);
    CHECK(before.find("text/plain") != before.npos);

    shard->channels_opened[0].add(3);
    auto const after = get(l->port(), "/metrics");
    CHECK(after.find("\njirapool_channels_opened_total{origin=\"site\"} 3") != after.npos);
    for (auto const& s : metrics::all_series) CHECK(after.find("# TYPE " + std::string(s.name) + " ") != after.npos);

    CHECK(get(l->port(), "/etc/passwd").starts_with("HTTP/1.1 404 "));
}

TEST_CASE("listener: pages are served beside the metrics") {
    auto const l = listener::open("127.0.0.1:0", {metrics::metrics_page(std::make_shared<collector>(counted({}))),
                                                  {"/sites",
                                                   [](metrics::page_request const& r) {
                                                       return metrics::page_answer{
                                                           .status = 200,
                                                           .content_type = "application/json",
                                                           .body = std::string(*r.parameter("state"))};
                                                   }}})
                       .value();
    CHECK(get(l->port(), "/metrics").find("jirapool_calls_in_flight 0") != std::string::npos);
    CHECK(get(l->port(), "/sites?state=paused").ends_with("\r\n\r\npaused"));
}

TEST_CASE("listener: an address without a host is all of the machine, reached by loopback") {
    auto const l = listener::open(":0", std::make_shared<collector>(counted({}))).value();
    CHECK(l->url() == "http://127.0.0.1:" + std::to_string(l->port()) + "/metrics");
    CHECK(get(l->port(), "/metrics").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("listener: a port in use is an error that says so, and is free again when the listener ends") {
    auto const what = std::make_shared<collector>(counted({}));
    auto first = listener::open("127.0.0.1:0", what).value();
    auto const address = "127.0.0.1:" + std::to_string(first->port());

    auto const second = listener::open(address, what);
    REQUIRE(second.has_error());
    CHECK(second.error().code() == errc::invalid_argument);
    CHECK(second.error().field() == "address");
    CHECK(second.error().rule() == "cannot be listened on: Address already in use");

    first.reset();
    CHECK(listener::open(address, what).has_value());
}

TEST_CASE("listener: an address of another machine, of a wrong form, or nothing to show is an error") {
    auto const what = std::make_shared<collector>(counted({}));
    auto const foreign = listener::open("192.0.2.1:9464", what);  // RFC 5737: nobody's
    REQUIRE(foreign.has_error());
    CHECK(foreign.error().field() == "address");
    CHECK(foreign.error().rule() == "cannot be listened on: Cannot assign requested address");

    auto const wrong = listener::open("example.com:9464", what);
    REQUIRE(wrong.has_error());
    CHECK(wrong.error().describe().starts_with("address: must be IPv4:PORT"));

    auto const nothing = listener::open("127.0.0.1:0", std::shared_ptr<collector>());
    REQUIRE(nothing.has_error());
    CHECK(nothing.error().field() == "what");
}
