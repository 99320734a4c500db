// Which version of HTTP a dial ends with, and what becomes of HTTP/2 where memory or numbers lack.
#include "failing_allocator.hpp"
#include "http2_server.hpp"

#include "wait/spawn.hpp"
#include "wire/http2_channel.hpp"

#include <atomic>
#include <new>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

std::string const ok11 = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n1.1";

/// Speaks what was agreed on, with "1.1" or "2" as the answer's body.
void speak_either(tls_peer& p) {
    if (!p.handshake()) return;
    unsigned char const* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(p.ssl(), &chosen, &size);
    if (size == 2) {
        h2_peer peer(p);
        if (peer.begin(h2::settings_frame())) answering_http2("2")(peer);
        return;
    }
    while (p.read_request())
        if (!p.write(ok11)) return;
}

void without_alpn(SSL_CTX* c) { SSL_CTX_set_alpn_select_cb(c, nullptr, nullptr); }

void insists_on_http2(SSL_CTX* c) {
    SSL_CTX_set_alpn_select_cb(
        c,
        [](SSL*, unsigned char const** out, unsigned char* size, unsigned char const* in, unsigned in_size, void*) {
            static unsigned char const ours[] = "\x02h2";
            unsigned char* chosen = nullptr;
            if (SSL_select_next_proto(&chosen, size, ours, sizeof ours - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_ALERT_FATAL;
            *out = chosen;
            return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
}

void weak_cipher(SSL_CTX* c) {
    choose_http2(c);
    SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES128-SHA256");
}

asio::awaitable<void> fly(std::shared_ptr<flight> f, asio::awaitable<detail::exchange_report> exchange) {
    try {
        auto report = co_await std::move(exchange);
        f->report.emplace(std::move(report));
    } catch (std::bad_alloc const&) {
        f->thrown = std::current_exception();
    }
}

/// Without what co_spawn itself needs at its end.
std::shared_ptr<flight> begin_as_the_engine(h2_client& client, detail::channel& c, std::shared_ptr<flight> f) {
    f->in.deadline = client.clock().now() + 20s;
    detail::spawn(nullptr, client.clock(), client.context().get_executor(), fly(f, c.exchange(&f->in, &f->out)));
    return f;
}

/// A channel of our own making, with what a dialer does not say.
std::unique_ptr<detail::channel> open_at(h2_client& client, std::uint16_t port, std::uint32_t first_stream,
                                         detail::tls_context const& context, detail::session_slot& slot,
                                         detail::read_scratch& scratch) {
    auto socket = client.connect({{asio::ip::address_v4::loopback(), port}});
    REQUIRE(socket);
    auto tls = std::make_unique<detail::tls_stream>(context, socket->descriptor(), test_host, slot,
                                                    http_versions::http2);
    auto status = tls->handshake();
    while (status != detail::tls_status::done) {
        REQUIRE_FALSE(detail::over(status));
        status = tls->handshake();
    }
    return std::make_unique<detail::http2_channel>(std::move(socket), std::move(tls), client.clock(),
                                                   client.context().get_executor(), client.params.wire, scratch,
                                                   detail::http2_channel::conduct_report(), first_stream);
}

}  // namespace

TEST_CASE("dialer: the versions that wire_params allows are offered, and the server chooses") {
    struct {
        http_versions allowed;
        void (*server)(SSL_CTX*);
        char const* body;  // null: there is no channel
        char const* rule = "";
    } const cases[] = {
        {http_versions::either, choose_http2, "2"},
        {http_versions::either, without_alpn, "1.1"},
        {http_versions::either, nullptr, "1.1"},
        {http_versions::http1, choose_http2, "1.1"},
        {http_versions::http1, insists_on_http2, nullptr,
         "the server speaks none of the versions that wire_params::http allows"},
        {http_versions::http2, insists_on_http2, "2"},
        {http_versions::http2, without_alpn, nullptr,
         "the server offers no HTTP/2, and wire_params::http allows nothing else"},
        {http_versions::http2, nullptr, nullptr,
         "the server offers no HTTP/2, and wire_params::http allows nothing else"},
    };
    for (auto const& c : cases) {
        INFO(static_cast<int>(c.allowed) << ' ' << (c.body != nullptr ? c.body : c.rule));
        tls_server server(test_identity(), speak_either, TLS1_2_VERSION, TLS1_3_VERSION,
                          c.server != nullptr ? std::function<void(SSL_CTX*)>(c.server) : nullptr);
        h2_client client(server.port());
        client.params.wire.http = c.allowed;
        auto dialed = client.dial();
        INFO(dialed.error.describe());
        REQUIRE((dialed.channel != nullptr) == (c.body != nullptr));
        if (c.body == nullptr) {
            CHECK(dialed.error.code() == errc::tls_failed);
            CHECK(dialed.error.rule() == c.rule);
            CHECK(dialed.failed_at == dial_stage::tls);
            continue;
        }
        auto const f = client.begin(*dialed.channel);
        client.finish(*f);
        CHECK(f->text() == c.body);
    }
}

TEST_CASE("dialer: a cipher that is not fit for HTTP/2 gives none, and HTTP/1.1 the next time") {
    tls_server server(test_identity(), speak_either, TLS1_2_VERSION, TLS1_2_VERSION, weak_cipher);
    h2_client client(server.port());
    client.params.wire.http = http_versions::either;
    auto const first = client.dial();
    CHECK_FALSE(first.channel);
    CHECK(first.error.code() == errc::tls_failed);
    CHECK(first.error.rule().find("a cipher that is not fit") != std::string::npos);
    auto second = client.dial();
    REQUIRE(second.channel);
    auto const f = client.begin(*second.channel);
    client.finish(*f);
    CHECK(f->text() == "1.1");
}

TEST_CASE(
    "dialer: HTTP/2 that is broken three times in a row is HTTP/1.1 for a while, and so it is where the server asks") {
    enum class way { breaks, resets, leaves };
    for (auto const how : {way::breaks, way::resets, way::leaves}) {
        INFO(static_cast<int>(how));
        std::atomic<int> http2{0};
        tls_server server(
            test_identity(),
            [&](tls_peer& p) {
                if (!p.handshake()) return;
                unsigned char const* chosen = nullptr;
                unsigned size = 0;
                SSL_get0_alpn_selected(p.ssl(), &chosen, &size);
                if (size == 0) {
                    while (p.read_request())
                        if (!p.write(ok11)) return;
                    return;
                }
                ++http2;
                h2_peer peer(p);
                if (!peer.begin(h2::settings_frame())) return;
                auto const id = peer.read_request();
                if (id == 0) return;
                if (how == way::breaks) peer.write(h2::frame(h2::ping, 0, 0, "short"));
                if (how == way::resets) peer.write(h2::rst_frame(id, h2::http_1_1_required));
                if (how == way::leaves) peer.write(h2::goaway_frame(0, h2::http_1_1_required));
                peer.stall();
            },
            TLS1_2_VERSION, TLS1_3_VERSION, choose_http2);
        h2_client client(server.port());
        client.params.wire.http = http_versions::either;
        int const breaches = how == way::breaks ? 3 : 1;
        for (int i = 0; i < breaches; ++i) {
            auto channel = client.open();
            auto const f = client.begin(*channel);
            client.finish(*f);
            CHECK(f->code() == errc::channel_lost);
            // Nor does it go on to carry what HTTP/1.1 should.
            CHECK_FALSE(channel->alive());
            channel.reset();
            client.forget(test_host);
        }
        auto channel = client.open();
        auto const f = client.begin(*channel);
        client.finish(*f);
        CHECK(f->text() == "1.1");
        CHECK(http2 == breaches);
    }
}

TEST_CASE("http2_channel: when stream numbers end the channel does, and what runs goes on") {
    h2_server server([](h2_peer& peer) {
        auto const a = peer.read_request();
        auto const b = peer.read_request();
        peer.write(h2::answer(a, "a") + h2::answer(b, "b"));
        peer.stall();
    });
    h2_client client(server.port());
    ca_file const ca(test_authority().pem());
    tls_params trust;
    trust.ca_file = ca.path();
    detail::tls_context const context(trust);
    detail::session_slot slot;
    detail::read_scratch scratch(64u << 10);
    auto channel = open_at(client, server.port(), (1u << 31) - 3, context, slot, scratch);
    auto const a = client.begin(*channel);
    auto const b = client.begin(*channel);
    auto const c = client.begin(*channel);
    client.finish({a, b, c});
    CHECK(a->text() == "a");
    CHECK(b->text() == "b");
    CHECK(c->code() == errc::channel_lost);
    CHECK(c->report->unprocessed);
    CHECK_FALSE(channel->alive());
    CHECK_FALSE(b->report->reusable);
}

TEST_CASE("http2_channel: each allocation may fail, and no more than what needed it does") {
    h2_server server(answering_http2(std::string(30'000, 'x')));
    int without_memory = 0;
    int lost = 0;
    for (std::size_t n = 1;; ++n) {
        INFO(n);
        REQUIRE(n < 3'000);
        h2_client client(server.port());
        auto channel = client.open();
        auto const warm = client.begin(*channel);
        client.finish(*warm);
        REQUIRE(warm->text().size() == 30'000);
        channel->rest();  // nghttp2 has no spare memory then
        auto const f = begin_as_the_engine(client, *channel,
                                           std::make_shared<flight>(method::post, std::string(1'000, 'y')));
        bool failed = false;
        int escaped = 0;
        {
            failing_allocation const failing(n, true);
            while (!f->ended() && escaped < 3) {
                try {
                    if (!client.step()) break;
                } catch (std::bad_alloc const&) {
                    ++escaped;
                }
            }
            failed = failing.failed();
        }
        REQUIRE(f->ended());
        if (f->thrown) {
            CHECK_THROWS_AS(std::rethrow_exception(f->thrown), std::bad_alloc);
            ++without_memory;
        } else if (f->report->error.code()) {
            CHECK(f->code() == errc::channel_lost);
            ++lost;
        } else {
            CHECK(f->text().size() == 30'000);
        }
        // The channel knows whether it goes on.
        if (channel->alive()) {
            auto const next = client.begin(*channel);
            client.finish(*next);
            CHECK(next->text().size() == 30'000);
        }
        if (!failed) break;
    }
    CHECK(without_memory > 2);
    CHECK(lost > 0);
}

TEST_CASE("http2_channel: its making may lack memory, and leaves nothing behind") {
    h2_server server(answering_http2("fine"));
    ca_file const ca(test_authority().pem());
    tls_params trust;
    trust.ca_file = ca.path();
    detail::tls_context const context(trust);
    detail::session_slot slot;
    detail::read_scratch scratch(64u << 10);
    bool failed = true;
    for (std::size_t n = 1; failed; ++n) {
        INFO(n);
        REQUIRE(n < 1'000);
        h2_client client(server.port());
        auto socket = client.connect({{asio::ip::address_v4::loopback(), server.port()}});
        REQUIRE(socket);
        auto tls = std::make_unique<detail::tls_stream>(context, socket->descriptor(), test_host, slot,
                                                        http_versions::http2);
        while (tls->handshake() != detail::tls_status::done) {
        }
        std::unique_ptr<detail::channel> channel;
        {
            failing_allocation const failing(n, true);
            try {
                channel = std::make_unique<detail::http2_channel>(std::move(socket), std::move(tls), client.clock(),
                                                                  client.context().get_executor(), client.params.wire,
                                                                  scratch, detail::http2_channel::conduct_report());
            } catch (std::bad_alloc const&) {
                channel.reset();
            }
            failed = failing.failed();
        }
        if (!channel) continue;
        auto const f = client.begin(*channel);
        client.finish(*f);
        CHECK(f->text() == "fine");
    }
}
