#include "support/catch.hpp"

#include <jirapool/mock/server.hpp>

#include "text.hpp"
#include "unit/mock/any_client.hpp"
#include "unit/mock/tls_client.hpp"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

std::string const host = "site-0001.atlassian.net";

std::string get(std::string const& target, std::string const& more = {}) {
    return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n";
}
std::string const tenant_info = get("/_edge/tenant_info");
std::string const tenant_path = "/_edge/tenant_info";
std::string const myself = "/rest/api/3/myself";

int plain_socket() {
    int const socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval const limit{10, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return socket;
}

sockaddr_in loopback(unsigned short port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// A connection to the admin port.
class admin_client {
public:
    explicit admin_client(server const& s) : socket_(plain_socket()) {
        sockaddr_in const to = loopback(s.admin_port());
        is_connected_ = ::connect(socket_, reinterpret_cast<sockaddr const*>(&to), sizeof to) == 0;
    }
    ~admin_client() { ::close(socket_); }
    admin_client(admin_client const&) = delete;
    admin_client& operator=(admin_client const&) = delete;

    void send(std::string const& text) {
        is_connected_ = is_connected_ && ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) >= 0;
    }
    /// All up to the end of the connection.
    std::string read() {
        std::string answer;
        char some[1024];
        for (ssize_t n = 0; is_connected_ && (n = ::recv(socket_, some, sizeof some, 0)) > 0;) {
            answer.append(some, static_cast<std::size_t>(n));
        }
        return answer;
    }

private:
    int socket_;
    bool is_connected_ = false;
};

/// One request to the admin port over a connection of its own, and all that comes back.
std::string order(server const& s, std::string const& line, std::string const& headers = {},
                  std::string const& body = {}) {
    admin_client c(s);
    c.send(line + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + "\r\n");
    if (!body.empty()) c.send(body);
    return c.read();
}

http_version any_version() { return GENERATE(http_version::http1_1, http_version::http2); }

any_client::fields credential(connection_info const& c) {
    return {{"authorization", "Basic " + base64(c.email + ':' + c.secret)}};
}

TEST_CASE("mock server: answers over TLS that its own authority vouches for, and keeps the connection") {
    server s{params()};
    CHECK(s.port() == 0);
    s.start();
    CHECK(s.port() != 0);
    CHECK(s.admin_port() != 0);
    any_client c(s, host, any_version());
    REQUIRE(c.is_connected());
    CHECK(c.ask("GET", tenant_path).body.find(s.world().sites()[0].cloud_id) != std::string::npos);
    CHECK(c.ask("GET", myself, credential(*s.world().find("personal-0001"))).status == 200);
    stats const seen = s.snapshot();
    CHECK(seen.requests == 2);
    CHECK(seen.connections_open == 1);
    CHECK(seen.handshakes == 1);
}

TEST_CASE("mock server: its certificate is for the hosts of Jira Cloud only") {
    server s{params()};
    s.start();
    CHECK(client(s, "api.atlassian.com").is_connected());
    CHECK(client(s, "auth.atlassian.com").is_connected());
    CHECK_FALSE(client(s, "example.com").is_connected());
    CHECK_FALSE(client(s, "a.b.atlassian.net").is_connected());
}

TEST_CASE("mock server: a second handshake resumes by ticket") {
    server s{params()};
    s.start();
    std::shared_ptr<SSL_SESSION> session;
    {
        client c(s, host);
        c.ask(tenant_info);
        CHECK_FALSE(c.was_resumed());
        session = c.session();
    }
    client c(s, host, session.get());
    c.ask(tenant_info);
    CHECK(c.was_resumed());
    CHECK(s.snapshot().handshakes_resumed == 1);
}

TEST_CASE("mock server: stops with connections open and starts again on the same ports") {
    params p;
    p.threads = 2;
    server s{p};
    s.start();
    unsigned short const port = s.port();
    unsigned short const admin_port = s.admin_port();
    http_version const version = any_version();
    any_client idle(s, host, version);
    any_client waiting(s, host, version);
    s.set_intercept([](request_view const&) {
        scripted_reply r;
        r.never_answer = true;
        return std::optional(r);
    });
    waiting.send("GET", tenant_path);
    client half(s, host);
    half.send("GET / HT");
    s.stop();
    CHECK(idle.is_ended());
    CHECK(waiting.is_ended());
    CHECK(half.is_ended());
    CHECK(s.snapshot().connections_open == 0);
    CHECK_THROWS(client(s, host));
    s.set_intercept({});
    s.start();
    CHECK(s.port() == port);
    CHECK(s.admin_port() == admin_port);
    CHECK(any_client(s, host, version).ask("GET", tenant_path).status == 200);
}

TEST_CASE("mock server: a port in use is named") {
    server first{params()};
    first.start();
    params p;
    p.port = first.port();
    server second{p};
    std::string message;
    try {
        second.start();
    } catch (std::runtime_error const& e) {
        message = e.what();
    }
    CHECK(message.starts_with("cannot listen on 127.0.0.1:" + std::to_string(p.port) + ": "));
    params wrong;
    wrong.address = "0.0.0.0";
    CHECK_THROWS_AS(server(wrong), std::invalid_argument);
}

TEST_CASE("mock server: idle connections are closed in good order") {
    params p;
    p.idle_timeout = 10ms;
    server s{p};
    s.start();
    client c(s, host);
    c.ask(tenant_info);
    CHECK(c.is_ended());
    CHECK(c.was_closed_in_order());
}

TEST_CASE("mock server: scripted answers are cut, reset or left out as scripted") {
    server s{params()};
    s.start();
    scripted_reply next(200, "0123456789");
    s.set_intercept([&next](request_view const&) { return std::optional(next); });
    SECTION("cut in the middle") {
        next.close_after_bytes = 20;
        client c(s, host);
        CHECK(c.ask(tenant_info).size() == 20);
        CHECK_FALSE(c.was_closed_in_order());
    }
    SECTION("nothing but a close") {
        next.close_after_bytes = 0;
        client c(s, host);
        CHECK(c.ask(tenant_info).empty());
    }
    SECTION("closed after the answer without saying so") {
        next.close = true;
        client c(s, host);
        std::string const text = c.ask(tenant_info);
        CHECK(text.ends_with("0123456789"));
        CHECK(text.find("Connection: close") == std::string::npos);
        CHECK(c.is_ended());
    }
    SECTION("reset after the answer") {
        next.reset = true;
        client c(s, host);
        c.send(tenant_info);
        CHECK(c.read_answer().size() <= 200);
        CHECK(c.is_ended());
        CHECK_FALSE(c.was_closed_in_order());
    }
    SECTION("raw bytes") {
        next.raw = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        next.delay = 1ms;
        client c(s, host);
        CHECK(c.ask(tenant_info) == *next.raw);
        CHECK(c.ask(tenant_info) == *next.raw);
    }
}

TEST_CASE("mock server: every connection can be closed at once") {
    server s{params()};
    s.start();
    http_version const version = any_version();
    any_client first(s, host, version);
    first.ask("GET", tenant_path);
    any_client second(s, host, version);
    second.ask("GET", tenant_path);
    s.close_connections(true);
    CHECK(first.is_ended_behind_answer());
    CHECK(second.is_ended_behind_answer());
    CHECK(any_client(s, host, version).is_connected());
}

TEST_CASE("mock server: goes away for its clients and comes back on the same port with the same world") {
    params p;
    p.threads = 2;
    server s{p};
    s.start();
    unsigned short const port = s.port();
    http_version const version = any_version();
    any_client idle(s, host, version);
    idle.ask("GET", tenant_path);
    any_client other(s, host, version);
    other.ask("GET", tenant_path);
    client half(s, host);
    half.send("GET / HT");
    admin_client begun(s);
    begun.send("GET /sta");
    // Connections are accepted in the order they came, so that one is there by now.
    order(s, "GET /stats");
    s.down();
    CHECK(idle.is_ended_behind_answer());
    CHECK(other.is_ended_behind_answer());
    CHECK(half.is_ended());
    CHECK_THROWS(client(s, host));
    CHECK_THROWS(client(s, host));
    // Twice is once, and the admin port goes on.
    s.down();
    begun.send("ts HTTP/1.1\r\n\r\n");
    CHECK(begun.read().starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(order(s, "GET /stats").starts_with("HTTP/1.1 200 OK\r\n"));
    s.up();
    s.up();
    CHECK(s.port() == port);
    CHECK(any_client(s, host, version).ask("GET", tenant_path).status == 200);
    CHECK(s.snapshot().requests == 3);
}

TEST_CASE("mock server: keeps its port while it is down") {
    server s{params()};
    s.start();
    s.down();
    int const socket = plain_socket();
    sockaddr_in const at = loopback(s.port());
    CHECK(::bind(socket, reinterpret_cast<sockaddr const*>(&at), sizeof at) != 0);
    CHECK(errno == EADDRINUSE);
    ::close(socket);
    s.stop();
    int const later = plain_socket();
    CHECK(::bind(later, reinterpret_cast<sockaddr const*>(&at), sizeof at) == 0);
    ::close(later);
}

TEST_CASE("mock server: is stopped while it is down, and up again when it is started") {
    server s{params()};
    s.down();
    s.up();
    s.start();
    s.down();
    s.stop();
    s.down();
    s.up();
    s.start();
    CHECK(client(s, host).is_connected());
}

TEST_CASE("mock server: going down and coming back while clients come and go") {
    params p;
    p.threads = 2;
    server s{p};
    s.start();
    http_version const version = any_version();
    std::atomic<bool> is_over{false};
    std::atomic<int> answered{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            while (!is_over) {
                try {
                    any_client c(s, host, version);
                    while (c.ask("GET", tenant_path).status == 200) ++answered;
                } catch (std::runtime_error const&) {
                    // No connection: it is down, and the thread that brings it up shall have its turn.
                    std::this_thread::yield();
                }
            }
        });
    }
    for (int round = 0; round < 20; ++round) {
        // Each round only after somebody was answered in it, so that each ends something.
        int const before = answered;
        while (answered == before) std::this_thread::yield();
        s.down();
        s.up();
    }
    is_over = true;
    s.stop();
    for (std::thread& t : threads) t.join();
    CHECK(answered >= 20);
    CHECK(s.snapshot().connections_open == 0);
}

TEST_CASE("mock server: the admin port takes the API port down and up, and reads a secret from the body") {
    params p;
    p.threads = 2;
    server s{p};
    s.start();
    http_version const version = any_version();
    any_client open(s, host, version);
    open.ask("GET", tenant_path);
    CHECK(order(s, "POST /down").starts_with("HTTP/1.1 204 No Content\r\n"));
    CHECK(open.is_ended_behind_answer());
    CHECK_THROWS(client(s, host));
    CHECK(order(s, "POST /up").starts_with("HTTP/1.1 204 No Content\r\n"));

    connection_info c = *s.world().find("personal-0001");
    c.secret = std::string(4000, 'x');
    // In two parts, so that the body comes after the head.
    CHECK(order(s, "POST /replace?connection=personal-0001", "Content-Length: 4000\r\n", c.secret)
              .starts_with("HTTP/1.1 204 No Content\r\n"));
    CHECK(any_client(s, host, version).ask("GET", myself, credential(c)).status == 200);
    CHECK(order(s, "POST /replace?connection=personal-0001", "Content-Length: 8193\r\n", std::string(8193, 'x'))
              .starts_with("HTTP/1.1 413 Payload Too Large\r\n"));
}

TEST_CASE("mock server: scenes, revoked credentials and lowered limits reach its clients") {
    server s{params()};
    s.start();
    any_client c(s, host, any_version());
    auto const mine = credential(*s.world().find("personal-0001"));
    scene_request r;
    r.what = scene::limited_retry_after_date;
    r.times = 1;
    s.play(r);
    CHECK(s.playing_count() == 1);
    CHECK(c.ask("GET", myself, mine).status == 429);
    CHECK(s.playing_count() == 0);
    r.times.reset();
    s.play(r);
    s.end_scenes();
    site_limits lower;
    lower.burst_scale = 0.05;
    s.set_limits(0, lower);
    CHECK(c.ask("GET", myself, mine).field("x-ratelimit-limit") == "5");
    s.revoke(0);
    CHECK(c.ask("GET", myself, mine).status == 401);
    s.replace_secret(0, s.world().connections()[0].secret);
    CHECK(c.ask("GET", myself, mine).status == 200);
    r.site = 99;
    CHECK_THROWS_AS(s.play(r), std::invalid_argument);
    lower.burst_scale = 0;
    CHECK_THROWS_AS(s.set_limits(0, lower), std::invalid_argument);
}

TEST_CASE("mock server: one that keeps its authority in a file is trusted by the clients of the one before") {
    std::string folder = "/tmp/jirapool-mock-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    params p;
    p.ca_file = folder + "/ca.pem";
    std::string trusted;
    {
        server first{p};
        trusted = first.ca_pem();
        CHECK(trusted.find("PRIVATE KEY") == std::string::npos);
    }
    struct stat is{};
    REQUIRE(::stat(p.ca_file.c_str(), &is) == 0);
    CHECK((is.st_mode & 0777) == 0600);
    {
        server second{p};
        CHECK(second.ca_pem() == trusted);
        second.start();
        CHECK(client(second.port(), trusted, host).is_connected());
        server stranger{params()};
        stranger.start();
        CHECK_FALSE(client(stranger.port(), trusted, host).is_connected());
    }
    // Nothing else was left behind.
    CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
    std::filesystem::remove_all(folder);
}

TEST_CASE("mock server: what is no request or too large is refused and the connection ends") {
    server s{params()};
    s.start();
    auto const answer = [&](std::string const& text) {
        client c(s, host);
        std::string const got = c.ask(text);
        CHECK(c.is_ended());
        return got.substr(0, 12);
    };
    CHECK(answer("rubbish\r\n\r\n") == "HTTP/1.1 400");
    CHECK(answer(get("/", "X: " + std::string(21'000, 'x') + "\r\n")) == "HTTP/1.1 431");
    CHECK(answer("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11000000\r\n\r\n") == "HTTP/1.1 413");
    CHECK(answer("GET /_edge/tenant_info HTTP/1.0\r\nHost: " + host + "\r\n\r\n") == "HTTP/1.1 200");
    CHECK(s.snapshot().bad_requests == 3);
}

TEST_CASE("mock server: who waits for 100 Continue gets it, and then the answer") {
    server s{params()};
    s.start();
    client c(s, host);
    c.send("POST /rest/api/3/issue HTTP/1.1\r\nHost: " + host +
           "\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(c.read_answer() == "HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(c.ask("{}").starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    CHECK(c.ask(tenant_info).starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("mock server: an injected close comes after a whole answer that does not announce it") {
    params p;
    p.faulty.close_rate = 1;
    server s{p};
    s.start();
    client c(s, host);
    std::string const text = c.ask(tenant_info);
    CHECK(text.ends_with(R"({"cloudId":")" + s.world().sites()[0].cloud_id + R"("})"));
    CHECK(text.find("Connection: close") == std::string::npos);
    CHECK(c.is_ended());
    CHECK(c.was_closed_in_order());
    CHECK(s.snapshot().injected_closes == 1);
}

TEST_CASE("mock server: many clients on many threads get an answer each") {
    params p;
    p.threads = 2;
    p.burst_scale = 1000;
    server s{p};
    s.start();
    constexpr int clients = 8;
    constexpr int requests = 50;
    http_version const version = any_version();
    auto const mine = credential(*s.world().find("personal-0001"));
    std::vector<int> good(clients);
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) {
        threads.emplace_back([&, i] {
            any_client c(s, host, version);
            for (int k = 0; k < requests; ++k) {
                if (c.ask("GET", myself, mine).status == 200) ++good[static_cast<std::size_t>(i)];
                if (k % 10 == 0) s.snapshot();
            }
        });
    }
    for (std::thread& t : threads) t.join();
    CHECK(good == std::vector<int>(clients, requests));
    stats const seen = s.snapshot();
    CHECK(seen.requests == clients * requests);
    CHECK(seen.bucket_admitted == clients * requests);
    CHECK(seen.connections_max_open <= clients);
}

}  // namespace
