#include "support/figure.hpp"
#include "wire_client.hpp"

#include <cstdio>
#include <set>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

using clock = std::chrono::steady_clock;

void serve(tls_peer& peer) {
    if (!peer.handshake()) return;
    while (peer.read_request() && peer.write("HTTP/1.1 204 No Content\r\n\r\n")) {
    }
}

/// A server whose handshake cannot succeed, and the error that says why.
struct bad_server {
    char const* what;
    identity who;
    tls_server::script script;
    errc code;
    std::string says;
    std::uint16_t min_version = TLS1_2_VERSION;
    std::uint16_t max_version = TLS1_3_VERSION;
};

std::vector<bad_server> bad_servers() {
    std::string const good = std::string("DNS:") + test_host;
    auto const signed_by = [](identity const& issuer, certificate_plan plan) {
        return make_certificate(plan, &issuer);
    };
    auto const by_us = [&](certificate_plan const& plan) { return signed_by(test_authority(), plan); };
    auto const stranger = make_certificate({.name = "somebody else's CA", .authority = true});
    auto by_stranger = signed_by(stranger, {.name = "leaf", .alt_names = good});
    by_stranger.chain = {stranger.certificate};
    auto const between = by_us({.name = "intermediate CA", .authority = true});
    auto incomplete = signed_by(between, {.name = "leaf", .alt_names = good});
    incomplete.chain.clear();
    auto const fine = test_identity();
    return {
        {"expired", by_us({.name = "leaf", .alt_names = good, .from_days = -30, .to_days = -1}), serve,
         errc::certificate_refused, "the certificate is not trusted: certificate has expired"},
        {"not yet valid", by_us({.name = "leaf", .alt_names = good, .from_days = 1}), serve, errc::certificate_refused,
         "the certificate is not trusted: certificate is not yet valid"},
        {"of another host", by_us({.name = "leaf", .alt_names = "DNS:other.example,DNS:b.example"}), serve,
         errc::certificate_refused, "the certificate is for other.example, b.example, not for site.atlassian.net"},
        {"of no host, but named like it", by_us({.name = test_host}), serve, errc::certificate_refused,
         "the certificate is for no host at all (it has no subject alternative name), not for site.atlassian.net"},
        {"of a wildcard too wide", by_us({.name = "leaf", .alt_names = "DNS:*.net,DNS:*"}), serve,
         errc::certificate_refused, "the certificate is for *.net, *, not for site.atlassian.net"},
        {"of a part of a label", by_us({.name = "leaf", .alt_names = "DNS:s*.atlassian.net"}), serve,
         errc::certificate_refused, "the certificate is for s*.atlassian.net, not for site.atlassian.net"},
        {"signed by itself", make_certificate({.name = "leaf", .alt_names = good}), serve, errc::certificate_refused,
         "the certificate is not trusted: self-signed certificate"},
        {"of an authority that is not trusted", by_stranger, serve, errc::certificate_refused,
         "the certificate is not trusted: self-signed certificate in certificate chain"},
        {"with a link missing", incomplete, serve, errc::certificate_refused,
         "the certificate is not trusted: unable to get local issuer certificate"},
        {"of TLS 1.1 at most", fine, serve, errc::tls_failed, "the server speaks no TLS of 1.2 or later", TLS1_VERSION,
         TLS1_1_VERSION},
        {"of TLS 1.0 at most", fine, serve, errc::tls_failed, "the server speaks no TLS of 1.2 or later", TLS1_VERSION,
         TLS1_VERSION},
        {"that speaks plainly", fine,
         [](tls_peer& peer) {
             peer.write_plain("HTTP/1.1 400 Bad Request\r\n\r\n");
             peer.stall();
         },
         errc::tls_failed, "the server does not speak TLS"},
        {"that stalls", fine, [](tls_peer& peer) { peer.stall(); }, errc::tls_failed,
         "no TLS handshake within wire_params::tls_timeout"},
        {"that resets", fine,
         [](tls_peer& peer) {
             peer.reset();
             char byte;
             ::recv(SSL_get_fd(peer.ssl()), &byte, 1, 0);
         },
         errc::tls_failed, "the server reset the connection in the handshake"},
        {"that closes", fine,
         [](tls_peer& peer) {
             peer.finish();
             peer.stall();
         },
         errc::tls_failed, "the server closed the connection in the handshake"},
    };
}

}  // namespace

TEST_CASE("tls: a server that is not right is refused in words of its own, within the stage's limit") {
    std::set<std::string> said;
    for (auto const& bad : bad_servers()) {
        INFO("a server " << bad.what);
        tls_server server(bad.who, bad.script, bad.min_version, bad.max_version);
        wire_client client(server.port());
        client.params.wire.tls_timeout = 500ms;
        auto const begun = clock::now();
        auto const dialed = client.dial();
        CHECK(clock::now() - begun < 5s);
        CHECK_FALSE(dialed.channel);
        CHECK(dialed.failed_at == dial_stage::tls);
        CHECK(dialed.error.code() == bad.code);
        CHECK(dialed.error.rule() == bad.says);
        CHECK(dialed.timed_out == (bad.says == "no TLS handshake within wire_params::tls_timeout"));
        said.insert(dialed.error.rule());
        std::printf("tls server %s: %s\n", bad.what, dialed.error.rule().c_str());
    }
    support::figure("tls_refused_servers", static_cast<double>(bad_servers().size()));
    support::figure("tls_distinct_errors", static_cast<double>(said.size()));
    // Both old versions are one: the client says no, whichever it is.
    CHECK(said.size() == bad_servers().size() - 1);
}

TEST_CASE("tls: a chain through an authority in between, a wildcard for one label and TLS 1.2 are right") {
    auto const between = make_certificate({.name = "intermediate CA", .authority = true}, &test_authority());
    auto const wildcard = make_certificate({.name = "leaf", .alt_names = "DNS:*.atlassian.net"}, &between);
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        tls_server server(wildcard, serve, version, version);
        wire_client client(server.port());
        auto const dialed = client.dial();
        INFO(dialed.error.describe());
        CHECK(dialed.channel);
    }
}

TEST_CASE("tls: the version is the newest that both know, the protocol is HTTP/1.1, and SNI is the host's name") {
    std::string version;
    std::string protocol;
    std::string sni;
    tls_server server(test_identity(), [&](tls_peer& peer) {
        if (!peer.handshake()) return;
        version = SSL_get_version(peer.ssl());
        unsigned char const* name = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(peer.ssl(), &name, &size);
        protocol.assign(reinterpret_cast<char const*>(name), size);
        sni = peer.sni();
        peer.read_request();
        peer.write("HTTP/1.1 204 No Content\r\n\r\n");
        peer.stall();
    });
    wire_client client(server.port());
    auto dialed = client.dial();
    REQUIRE(dialed.channel);
    response out;
    REQUIRE_FALSE(client.exchange(*dialed.channel, out).error.code());
    CHECK(version == "TLSv1.3");
    CHECK(protocol == "http/1.1");
    CHECK(sni == test_host);
}

TEST_CASE("tls: an address is checked against the certificate's addresses, and is no SNI") {
    std::string sni = "?";
    auto const serve_once = [&](tls_peer& peer) {
        if (!peer.handshake()) return;
        sni = peer.sni();
        peer.read_request();
        peer.write("HTTP/1.1 204 No Content\r\n\r\n");
        peer.stall();
    };
    auto const right = make_certificate({.name = "leaf", .alt_names = "IP:192.0.2.7,IP:2001:db8::7"},
                                        &test_authority());
    tls_server server(right, serve_once);
    wire_client client(server.port());
    for (auto const* const host : {"192.0.2.7", "2001:db8::7"}) {
        auto dialed = client.dial(host);
        INFO(dialed.error.describe());
        REQUIRE(dialed.channel);
        response out;
        REQUIRE_FALSE(client.exchange(*dialed.channel, out).error.code());
        CHECK(sni.empty());
    }
    auto const other = client.dial("192.0.2.8");
    CHECK(other.error.code() == errc::certificate_refused);
    CHECK(other.error.rule() == "the certificate is for 192.0.2.7, 2001:db8::7, not for 192.0.2.8");
}

TEST_CASE("tls: a session is resumed for its own host only") {
    std::atomic<int> resumed{0};
    auto const both = make_certificate({.name = "leaf", .alt_names = "DNS:*.atlassian.net"}, &test_authority());
    tls_server server(both, [&](tls_peer& peer) {
        if (!peer.handshake()) return;
        resumed += peer.resumed();
        while (peer.read_request() && peer.write("HTTP/1.1 204 No Content\r\n\r\n")) {
        }
    });
    wire_client client(server.port());
    auto const dial_and_call = [&](std::string const& host) {
        auto dialed = client.dial(host);
        REQUIRE(dialed.channel);
        // TLS 1.3 sends its tickets behind the handshake.
        response out;
        REQUIRE_FALSE(client.exchange(*dialed.channel, out).error.code());
        return dialed.resumed;
    };
    CHECK_FALSE(dial_and_call("a.atlassian.net"));
    CHECK(dial_and_call("a.atlassian.net"));
    CHECK_FALSE(dial_and_call("b.atlassian.net"));
    CHECK(dial_and_call("b.atlassian.net"));
    client.forget("a.atlassian.net");  // nobody uses it any more
    CHECK_FALSE(dial_and_call("a.atlassian.net"));
    CHECK(dial_and_call("b.atlassian.net"));
    CHECK(resumed == 3);
}

TEST_CASE("tls: a channel rests between its exchanges, also one that carries tokens") {
    tls_server server(test_identity(), [](tls_peer& peer) {
        if (!peer.handshake()) return;
        while (peer.read_request() && peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) {
        }
    });
    wire_client client(server.port());
    for (bool const secret : {false, true}) {
        auto const dialed = client.dial();
        REQUIRE(dialed.channel);
        for (int i = 0; i < 3; ++i) {
            response out;
            auto const report = client.exchange(*dialed.channel, out, method::get, 20s, {}, secret);
            REQUIRE_FALSE(report.error.code());
            REQUIRE(report.reusable);
            // Lent and given back unused, and left alone for long.
            for (int rest = 0; rest < 2; ++rest) {
                CHECK(dialed.channel->alive());
                dialed.channel->rest();
            }
        }
    }
}
