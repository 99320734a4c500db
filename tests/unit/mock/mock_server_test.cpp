#include "support/catch.hpp"

#include <jirapool/mock/server.hpp>

#include "text.hpp"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

/// A blocking TLS client, as simple as can be; every read ends after 10 s.
class client {
public:
    client(server const& s, std::string const& host, SSL_SESSION* resumed = nullptr) {
        context_.reset(SSL_CTX_new(TLS_client_method()));
        trust(s.ca_pem());
        SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        timeval const limit{10, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(s.port());
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket_, reinterpret_cast<sockaddr const*>(&to), sizeof to) != 0) {
            ::close(socket_);
            throw std::runtime_error("no connection");
        }
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), socket_);
        SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
        SSL_set1_host(ssl_.get(), host.c_str());
        if (resumed) SSL_set_session(ssl_.get(), resumed);
        is_connected_ = SSL_connect(ssl_.get()) == 1;
    }
    ~client() {
        // Else OpenSSL takes the end for a failure and spoils the session's ticket.
        SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        ssl_.reset();
        ::close(socket_);
    }
    client(client const&) = delete;
    client& operator=(client const&) = delete;

    bool is_connected() const { return is_connected_; }
    bool was_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
    std::shared_ptr<SSL_SESSION> session() const { return {SSL_get1_session(ssl_.get()), SSL_SESSION_free}; }

    void send(std::string const& text) { SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())); }
    /// One answer with Content-Length, or without a body; shorter if the connection ends.
    std::string read_answer() {
        std::string text;
        std::size_t wanted = std::string::npos;
        char c = 0;
        while (text.size() < wanted && SSL_read(ssl_.get(), &c, 1) == 1) {
            text += c;
            if (wanted != std::string::npos || !text.ends_with("\r\n\r\n")) continue;
            auto const at = text.find("Content-Length: ");
            wanted = text.size();
            if (at != std::string::npos) wanted += std::stoul(text.substr(at + 16));
        }
        return text;
    }
    std::string ask(std::string const& text) {
        send(text);
        return read_answer();
    }
    /// True if the server ends the connection before it sends anything more.
    bool is_ended() {
        char c = 0;
        return SSL_read(ssl_.get(), &c, 1) <= 0;
    }
    /// How the last failing read ended: SSL_ERROR_ZERO_RETURN is good order.
    bool was_closed_in_order() { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

private:
    void trust(std::string const& pem) {
        std::unique_ptr<BIO, decltype(&BIO_free)> const bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                            &BIO_free);
        std::unique_ptr<X509, decltype(&X509_free)> const ca(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr),
                                                             &X509_free);
        if (!ca) throw std::runtime_error("no CA");
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), ca.get());
    }

    struct free_context {
        void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
    };
    struct free_ssl {
        void operator()(SSL* s) const { SSL_free(s); }
    };
    std::unique_ptr<SSL_CTX, free_context> context_;
    std::unique_ptr<SSL, free_ssl> ssl_;
    int socket_ = -1;
    bool is_connected_ = false;
};

std::string const host = "site-0001.atlassian.net";

std::string get(std::string const& target, std::string const& more = {}) {
    return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n";
}
std::string const tenant_info = get("/_edge/tenant_info");

std::string authorization(connection_info const& c) {
    return "Authorization: Basic " + base64(c.email + ':' + c.secret) + "\r\n";
}

TEST_CASE("mock server: answers over TLS that its own authority vouches for, and keeps the connection") {
    server s{params()};
    CHECK(s.port() == 0);
    s.start();
    CHECK(s.port() != 0);
    CHECK(s.admin_port() != 0);
    client c(s, host);
    REQUIRE(c.is_connected());
    CHECK(c.ask(tenant_info).find(s.world().sites()[0].cloud_id) != std::string::npos);
    std::string const mine = get("/rest/api/3/myself", authorization(*s.world().find("personal-0001")));
    CHECK(c.ask(mine).starts_with("HTTP/1.1 200 OK\r\n"));
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
    client idle(s, host);
    client waiting(s, host);
    s.set_intercept([](request_view const&) {
        scripted_reply r;
        r.never_answer = true;
        return std::optional(r);
    });
    waiting.send(tenant_info);
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
    CHECK(client(s, host).ask(tenant_info).starts_with("HTTP/1.1 200 OK\r\n"));
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
    client first(s, host);
    first.ask(tenant_info);
    client second(s, host);
    second.ask(tenant_info);
    s.close_connections(true);
    CHECK(first.is_ended());
    CHECK(second.is_ended());
    CHECK(client(s, host).is_connected());
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
    std::string const mine = get("/rest/api/3/myself", authorization(*s.world().find("personal-0001")));
    std::vector<int> good(clients);
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) {
        threads.emplace_back([&, i] {
            client c(s, host);
            for (int k = 0; k < requests; ++k) {
                if (c.ask(mine).starts_with("HTTP/1.1 200 OK\r\n")) ++good[static_cast<std::size_t>(i)];
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
