#include "support/catch.hpp"

#include <jirapool/mock/server.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

struct ending {
    std::string text;
    /// By a FIN, not by a reset.
    bool in_order = false;
};

/// Sends `text` without TLS and reads until the server ends the connection; every read ends after 10 s.
ending say(unsigned short port, std::string const& text) {
    int const socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval const limit{10, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket, reinterpret_cast<sockaddr const*>(&to), sizeof to) == 0);
    REQUIRE(::send(socket, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    ending got;
    char part[4096];
    ssize_t n = 0;
    while ((n = ::recv(socket, part, sizeof part, 0)) > 0) got.text.append(part, static_cast<std::size_t>(n));
    got.in_order = n == 0;
    ::close(socket);
    return got;
}

TEST_CASE("mock server: its admin port answers one request a connection and closes in order, even with a body unread") {
    server s{params()};
    s.start();
    ending const changed = say(s.admin_port(),
                               "POST /faults?latency_ms=7 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    CHECK(changed.text.starts_with("HTTP/1.1 204 No Content\r\n"));
    CHECK(changed.in_order);
    CHECK(s.get_faults().latency == 7ms);
    ending const seen = say(s.admin_port(), "GET /stats HTTP/1.1\r\n\r\n");
    CHECK(seen.text.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(seen.text.find("Content-Type: application/json\r\n") != std::string::npos);
    CHECK(seen.text.find("Connection: close\r\n") != std::string::npos);
    CHECK(seen.text.ends_with("}\n"));
    CHECK(seen.in_order);
}

TEST_CASE("mock server: what is no handshake ends the connection and is counted once") {
    server s{params()};
    s.start();
    say(s.port(), "GET / HTTP/1.1\r\n\r\n");
    stats const seen = s.snapshot();
    CHECK(seen.handshakes == 0);
    CHECK(seen.handshakes_failed == 1);
    CHECK(seen.connections_accepted == 1);
}

}  // namespace
