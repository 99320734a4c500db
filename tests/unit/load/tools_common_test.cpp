#include <jirapool/tools/endpoint.hpp>
#include <jirapool/tools/http_get.hpp>
#include <jirapool/tools/json_writer.hpp>
#include <jirapool/tools/text.hpp>

#include "support/catch.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <limits>
#include <string>
#include <thread>

using namespace jirapool;
using namespace jirapool::tools;
using namespace std::chrono_literals;

TEST_CASE("parse_connect_to: an address for all hosts or for one") {
    auto const all = parse_connect_to("127.0.0.1:8443");
    REQUIRE(all.has_value());
    CHECK(all->host.empty());
    CHECK(all->address == "127.0.0.1");
    CHECK(all->port == 8443);

    auto const one = parse_connect_to("API.atlassian.com:127.0.0.1:8443");
    REQUIRE(one.has_value());
    CHECK(one->host == "api.atlassian.com");
    CHECK(one->address == "127.0.0.1");

    auto const v6 = parse_connect_to("auth.atlassian.com:[::1]:1");
    REQUIRE(v6.has_value());
    CHECK(v6->host == "auth.atlassian.com");
    CHECK(v6->address == "::1");
    CHECK(parse_connect_to("[::1]:65535")->address == "::1");
}

TEST_CASE("parse_connect_to: what is malformed is refused") {
    auto const text = GENERATE(as<std::string>{}, "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
                               "127.0.0.1:x", "localhost:1", "::1:443", "[::1]", "[::1:443", "[127.0.0.1]:1",
                               ":127.0.0.1:1", "a b:127.0.0.1:1", "a:b:127.0.0.1:1", "host:443:127.0.0.1:1",
                               "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1:1 ");
    INFO(text);
    auto const o = parse_connect_to(text);
    REQUIRE_FALSE(o.has_value());
    CHECK_FALSE(o.error().rule().empty());
}

TEST_CASE("parse_endpoint: port 0 is let through") {
    CHECK(parse_endpoint("127.0.0.1:0")->port == 0);
    CHECK_FALSE(parse_endpoint("example.com:80").has_value());
}

TEST_CASE("json_writer: nested, with everything that must be escaped") {
    json_writer w;
    w.begin_object().member("a\"b", "x\\\n\x01\x7f\xff").member("n", 1.5).member("t", true);
    w.key("list").begin_array().value(1).value(-2).end_array();
    w.key("empty").begin_array().end_array();
    w.member("inf", std::numeric_limits<double>::infinity()).key("none").null().end_object();
    CHECK(w.take() ==
          "{\n  \"a\\\"b\": \"x\\\\\\n\\u0001\x7f\xef\xbf\xbd\",\n  \"n\": 1.5,\n  \"t\": true,\n"
          "  \"list\": [\n    1,\n    -2\n  ],\n  \"empty\": [],\n  \"inf\": null,\n  \"none\": null\n}\n");
}

TEST_CASE("text: valid UTF-8 stays, each bad byte is replaced, control characters do not reach a terminal") {
    CHECK(valid_utf8("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") == "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    CHECK(valid_utf8("a\xc3") == "a\xef\xbf\xbd");
    CHECK(valid_utf8("\xed\xa0\x80") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK(valid_utf8("\xc0\xaf") == "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK(printable("a\x1b[2J\n\x7f") == "a?[2J??");
    CHECK(printable("a\xc2\x9b"
                    "31m") == "a?31m");
    CHECK(printable("\xc2\xa7") == "\xc2\xa7");
}

namespace {

/// Answers one connection with some bytes, on any free port of loopback.
class one_answer {
public:
    explicit one_answer(std::string bytes) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof a;
        REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&a), size) == 0);
        REQUIRE(::listen(socket_, 1) == 0);
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&a), &size);
        at_ = {"127.0.0.1", ntohs(a.sin_port)};
        thread_ = std::thread([this, text = std::move(bytes)] {
            int const peer = ::accept(socket_, nullptr, nullptr);
            char buffer[1024];
            auto const asked = ::recv(peer, buffer, sizeof buffer, 0);
            request_.assign(buffer, asked > 0 ? static_cast<std::size_t>(asked) : 0u);
            ::send(peer, text.data(), text.size(), MSG_NOSIGNAL);
            if (text.empty()) ::recv(peer, buffer, sizeof buffer, 0);  // until the other side gives up
            ::close(peer);
        });
    }
    ~one_answer() {
        if (thread_.joinable()) thread_.join();
        ::close(socket_);
    }
    endpoint const& at() const noexcept { return at_; }
    std::string const& request() {
        thread_.join();
        return request_;
    }

private:
    int socket_;
    endpoint at_;
    std::string request_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("http_get: gives a 200's body, with or without Content-Length") {
    one_answer with("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody and more");
    CHECK(http_get(with.at(), "/stats", 5s).value() == "body and more");
    one_answer without("HTTP/1.0 200 OK\r\n\r\nall of it");
    CHECK(http_get(without.at(), "/stats", 5s).value() == "all of it");
    CHECK(without.request().starts_with("GET /stats HTTP/1.0\r\nHost: 127.0.0.1:"));
}

TEST_CASE("http_get: another status, a cut-off body, no HTTP and nobody there are errors") {
    one_answer missing("HTTP/1.1 404 Not Found\r\n\r\n");
    CHECK(http_get(missing.at(), "/", 5s).error().code() == errc::protocol_error);
    one_answer cut("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    CHECK(http_get(cut.at(), "/", 5s).error().code() == errc::channel_lost);
    one_answer noise("220 smtp ready\r\n");
    CHECK(http_get(noise.at(), "/", 5s).error().code() == errc::protocol_error);
    CHECK(http_get(endpoint{"127.0.0.1", 1}, "/", 5s).error().code() == errc::connect_failed);
}

TEST_CASE("http_get: a server that never answers costs the timeout and no more") {
    one_answer silent("");
    CHECK(http_get(silent.at(), "/", 50ms).error().code() == errc::timeout);
}
