#include "support/http1_answers.hpp"
#include "wire_client.hpp"

#include <future>

using namespace jirapool;
using namespace jirapool::wire_test;
using jirapool::test::http1_answer;
using jirapool::test::http1_answers;
using fate = http1_answer::fate;

namespace {

using clock = std::chrono::steady_clock;

std::string const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// Answers the n-th request of each connection with the n-th of these, and then stays until the client goes.
tls_server::script answering(std::vector<std::string> answers) {
    return [answers = std::move(answers)](tls_peer& peer) {
        if (!peer.handshake()) return;
        for (auto const& a : answers) {
            if (!peer.read_request() || !peer.write(a)) return;
        }
        peer.stall();
    };
}

}  // namespace

TEST_CASE("http1_channel: what is doubtful ends the channel, over real TLS") {
    for (auto const& a : http1_answers()) {
        INFO(a.what);
        tls_server server(test_identity(), answering({a.bytes, ok}));
        wire_client client(server.port());
        client.params.wire.max_head = test::answers_max_head;
        client.params.wire.max_headers = test::answers_max_headers;
        client.params.wire.max_body = test::answers_max_body;
        // A body without an end or a head that is none would wait for the server's next word.
        client.params.wire.body_timeout = 300ms;
        auto dialed = client.dial();
        INFO(dialed.error.describe());
        REQUIRE(dialed.channel);
        response out;
        auto const report = client.exchange(*dialed.channel, out, a.head_request ? method::head : method::get);
        INFO(report.error.describe());
        if (a.expected == fate::refused) {
            CHECK(report.error.code());
            CHECK(report.error.code() != errc::timeout);
            CHECK(report.error.rule().find(a.says) != std::string::npos);
            CHECK_FALSE(report.reusable);
            continue;
        }
        REQUIRE_FALSE(report.error.code());
        if (a.says != nullptr) CHECK(std::string_view(out.body()) == a.says);
        CHECK(report.reusable == (a.expected == fate::reusable));
        if (!report.reusable) continue;
        auto const next = client.exchange(*dialed.channel, out);
        CHECK_FALSE(next.error.code());
        CHECK(std::string_view(out.body()) == "hi");
    }
}

TEST_CASE("http1_channel: what the server says unasked ends the channel before it is taken for an answer") {
    std::promise<void> spoken;
    std::promise<void> answered;
    tls_server server(test_identity(), [&](tls_peer& peer) {
        if (!peer.handshake() || !peer.read_request()) return;
        peer.write(ok);
        answered.get_future().wait();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
        spoken.set_value();
        peer.stall();
    });
    wire_client client(server.port());
    auto dialed = client.dial();
    REQUIRE(dialed.channel);
    response out;
    auto const first = client.exchange(*dialed.channel, out);
    CHECK(first.reusable);
    answered.set_value();
    spoken.get_future().wait();
    REQUIRE(eventually([&] { return !dialed.channel->alive(); }));
    // As when a channel goes from one call to the next without lying idle: nobody heeded that it is not clean.
    response other;
    auto const second = client.exchange(*dialed.channel, other);
    CHECK(second.error.code() == errc::channel_lost);
    CHECK(second.unprocessed);
    CHECK(other.status() == 0);
}

TEST_CASE("http1_channel: a body that only the stream's end ends is whole with close_notify, and lost without") {
    for (bool const proper : {true, false}) {
        INFO(proper);
        tls_server server(test_identity(), [&](tls_peer& peer) {
            if (!peer.handshake() || !peer.read_request()) return;
            peer.write("HTTP/1.1 200 OK\r\n\r\nall of it");
            if (proper) peer.close_notify();
            peer.finish();
            peer.stall();
        });
        wire_client client(server.port());
        auto dialed = client.dial();
        REQUIRE(dialed.channel);
        response out;
        auto const report = client.exchange(*dialed.channel, out);
        CHECK_FALSE(report.reusable);
        if (proper) {
            CHECK_FALSE(report.error.code());
            CHECK(report.announced);
            CHECK(std::string_view(out.body()) == "all of it");
        } else {
            CHECK(report.error.code() == errc::channel_lost);
            CHECK(report.error.rule() ==
                  "the server closed the connection without close_notify before the answer was whole");
        }
    }
}

TEST_CASE("http1_channel: a server's patience is believed, less a margin") {
    tls_server server(test_identity(),
                      answering({"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 0\r\n\r\n"}));
    wire_client client(server.port());
    auto dialed = client.dial();
    REQUIRE(dialed.channel);
    response out;
    auto const begun = clock::now();
    auto const report = client.exchange(*dialed.channel, out);
    CHECK(report.reusable);
    CHECK(dialed.channel->alive());
    REQUIRE(eventually([&] { return !dialed.channel->alive(); }, 5s));
    CHECK(clock::now() - begun >= 1s);
    CHECK(clock::now() - begun < 2s);
}

TEST_CASE("http1_channel: each stage has a limit, and says which it was") {
    SECTION("the request is not taken") {
        tls_server server(test_identity(), [](tls_peer& peer) {
            int const small = 4096;
            ::setsockopt(SSL_get_fd(peer.ssl()), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
            if (!peer.handshake()) return;
            std::promise<void> never;
            never.get_future().wait_for(1s);
        });
        wire_client client(server.port());
        client.params.wire.write_timeout = 200ms;
        auto dialed = client.dial();
        REQUIRE(dialed.channel);
        std::string const large(16u << 20, 'x');
        response out;
        auto const report = client.exchange(*dialed.channel, out, method::post, 20s, large);
        CHECK(report.error.code() == errc::timeout);
        CHECK(report.error.stage() == stage::write);
        CHECK(report.error.rule() == "the request was not taken within wire_params::write_timeout");
    }
    SECTION("no answer begins") {
        tls_server server(test_identity(), answering({""}));
        wire_client client(server.port());
        client.params.wire.first_byte_timeout = 100ms;
        auto dialed = client.dial();
        response out;
        auto const report = client.exchange(*dialed.channel, out);
        CHECK(report.error.code() == errc::timeout);
        CHECK(report.error.stage() == stage::first_byte);
        CHECK(report.error.rule() == "no answer began within wire_params::first_byte_timeout");
    }
    SECTION("the answer has no end") {
        tls_server server(test_identity(), [](tls_peer& peer) {
            if (!peer.handshake() || !peer.read_request()) return;
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while (peer.write("1\r\nx\r\n")) ::usleep(5000);
        });
        wire_client client(server.port());
        client.params.wire.body_timeout = 150ms;
        auto dialed = client.dial();
        response out;
        auto const report = client.exchange(*dialed.channel, out);
        CHECK(report.error.code() == errc::timeout);
        CHECK(report.error.stage() == stage::body);
        CHECK(report.error.rule() == "the answer was not whole within wire_params::body_timeout");
    }
    SECTION("the answer drips") {
        tls_server server(test_identity(), [](tls_peer& peer) {
            if (!peer.handshake() || !peer.read_request()) return;
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            while (peer.write("x")) ::usleep(5000);
        });
        wire_client client(server.port());
        client.params.wire.min_rate = 10'000;
        client.params.wire.min_rate_window = 100ms;
        auto dialed = client.dial();
        response out;
        auto const report = client.exchange(*dialed.channel, out);
        CHECK(report.error.code() == errc::timeout);
        CHECK(report.error.stage() == stage::body);
        CHECK(report.error.rule() == "the answer comes slower than wire_params::min_rate");
    }
    SECTION("the call's own deadline is none of them") {
        tls_server server(test_identity(), answering({""}));
        wire_client client(server.port());
        auto dialed = client.dial();
        response out;
        auto const report = client.exchange(*dialed.channel, out, method::get, 50ms);
        CHECK(report.error.code() == errc::timeout);
        CHECK(report.error.rule().empty());
    }
}
