#include "support/figure.hpp"
#include "wire/gateway.hpp"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

using steady = std::chrono::steady_clock;
using ms = std::chrono::duration<double, std::milli>;

// What a flood may cost: as it is delivered, and under a sanitizer.
#ifdef NDEBUG
constexpr double most_late_ms = 20;
#else
constexpr double most_late_ms = 500;
#endif

/// TLS 1.3 records as a server may write them that is not OpenSSL's: hundreds of messages in one, one in hundreds, empty ones.
class raw_records {
public:
    static constexpr int handshake = 22;
    static constexpr int data = 23;

    /// `secret`: the server's traffic secret, of TLS_AES_128_GCM_SHA256, with nothing sent yet.
    explicit raw_records(std::string secret)
        : secret_(std::move(secret)), cipher_(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free) {
        take_keys();
    }

    void add(int type, std::string_view content) {
        auto const inner = content.size() + 1;
        auto const size = inner + tag_size;
        char const head[] = {23, 3, 3, static_cast<char>(size >> 8), static_cast<char>(size & 0xff)};
        auto nonce = iv_;
        for (std::size_t i = 0; i < 8; ++i)
            nonce[11 - i] = static_cast<char>(static_cast<unsigned char>(nonce[11 - i]) ^ (sequence_ >> 8 * i & 0xff));
        ++sequence_;
        auto const at = bytes.size();
        bytes.append(head, sizeof head).append(content).push_back(static_cast<char>(type));
        bytes.resize(at + sizeof head + size);
        auto* const c = cipher_.get();
        auto* const out = reinterpret_cast<unsigned char*>(bytes.data()) + at;
        int n = 0;
        EVP_EncryptInit_ex(c, nullptr, nullptr, nullptr, reinterpret_cast<unsigned char const*>(nonce.data()));
        EVP_EncryptUpdate(c, nullptr, &n, out, sizeof head);
        EVP_EncryptUpdate(c, out + sizeof head, &n, out + sizeof head, static_cast<int>(inner));
        EVP_EncryptFinal_ex(c, out + sizeof head + inner, &n);
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, tag_size, out + sizeof head + inner);
    }
    /// The same bytes, each in a record of its own.
    void add_each(int type, std::string_view content) {
        for (auto const& c : content) add(type, {&c, 1});
    }
    /// A KeyUpdate, and the keys behind it.
    void update_key(bool requested) {
        char const message[] = {24, 0, 0, 1, static_cast<char>(requested)};
        add(handshake, {message, sizeof message});
        secret_ = derived("traffic upd", 32);
        take_keys();
    }

    std::string bytes;

private:
    static constexpr int tag_size = 16;

    std::string derived(std::string_view label, std::size_t size) const {
        std::string info{'\0', static_cast<char>(size), static_cast<char>(label.size() + 6)};
        info.append("tls13 ").append(label).push_back('\0');
        static EVP_KDF* const hkdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
        std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> const c(EVP_KDF_CTX_new(hkdf), EVP_KDF_CTX_free);
        int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
        char digest[] = "SHA256";
        auto key = secret_;
        OSSL_PARAM const params[] = {
            OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
            OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.data(), key.size()),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
            OSSL_PARAM_construct_end(),
        };
        std::string out(size, '\0');
        if (EVP_KDF_derive(c.get(), reinterpret_cast<unsigned char*>(out.data()), size, params) != 1)
            throw std::runtime_error("no HKDF");
        return out;
    }
    void take_keys() {
        auto const key = derived("key", 16);
        iv_ = derived("iv", 12);
        sequence_ = 0;
        EVP_EncryptInit_ex(cipher_.get(), EVP_aes_128_gcm(), nullptr,
                           reinterpret_cast<unsigned char const*>(key.data()), nullptr);
    }

    std::string secret_;
    std::string iv_;
    std::uint64_t sequence_ = 0;
    std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> cipher_;
};

/// For a server whose scripts write raw_records: it says nothing by itself behind the handshake, and tells its secret.
void for_raw_records(SSL_CTX* c) {
    SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_set_keylog_callback(c, [](SSL const* ssl, char const* line) {
        std::string_view text(line);
        if (!text.starts_with("SERVER_TRAFFIC_SECRET_0 ")) return;
        text.remove_prefix(text.rfind(' ') + 1);
        auto* const secret = static_cast<std::string*>(SSL_get_app_data(ssl));
        if (secret == nullptr) return;
        for (; text.size() >= 2; text.remove_prefix(2))
            *secret += static_cast<char>(std::stoi(std::string(text.substr(0, 2)), nullptr, 16));
    });
}

std::optional<raw_records> shake_hands_raw(tls_peer& peer) {
    std::string secret;
    SSL_set_app_data(peer.ssl(), &secret);
    if (!peer.handshake()) return std::nullopt;
    return raw_records(secret);
}

std::string times(std::string_view what, std::size_t n) {
    std::string all;
    for (std::size_t i = 0; i < n; ++i) all += what;
    return all;
}

/// A NewSessionTicket: a day, its nonce, a ticket of `size` bytes.
std::string ticket(std::size_t size) {
    using namespace std::string_literals;
    auto const length = 4 + 4 + 2 + 2 + size + 2;
    std::string m{4, static_cast<char>(length >> 16), static_cast<char>(length >> 8 & 0xff),
                  static_cast<char>(length & 0xff)};
    m += "\0\1\x51\x80"s + "abcd"s + "\1n"s;
    m += {static_cast<char>(size >> 8), static_cast<char>(size & 0xff)};
    return m + std::string(size, 't') + "\0\0"s;
}

struct flood {
    char const* name;
    std::string begin;                        ///< of the answer
    std::function<void(raw_records&)> again;  ///< some 64 KB of it
    bool of_messages = false;                 ///< of TLS's own: counted
};

std::vector<flood> floods() {
    std::string const ok = "HTTP/1.1 200 OK\r\n";
    std::string const endless = ok + "Transfer-Encoding: chunked\r\n\r\n";
    auto const repeat = [](std::size_t n, std::function<void(raw_records&)> f) {
        return [=](raw_records& r) {
            for (std::size_t i = 0; i < n; ++i) f(r);
        };
    };
    auto const handshake = raw_records::handshake;
    auto const data = raw_records::data;
    return {
        {"tickets", {}, repeat(4, [=](auto& r) { r.add(handshake, times(ticket(1), 700)); }), true},
        {"ticket_records", {}, repeat(1000, [=](auto& r) { r.add(handshake, ticket(32)); }), true},
        {"tickets_in_a_body", ok + "\r\n",
         repeat(500, [=](auto& r) { r.add(handshake, ticket(32)), r.add(data, "x"); }), true},
        {"large_tickets",
         {},
         [=](auto& r) {
             auto const all = times(ticket(65000), 1);
             for (std::size_t i = 0; i < all.size(); i += 16000) r.add(handshake, all.substr(i, 16000));
         },
         true},
        {"a_ticket_byte_by_byte", {}, [=](auto& r) { r.add_each(handshake, ticket(65000)); }, true},
        {"key_updates", {}, repeat(1000, [](auto& r) { r.update_key(false); }), true},
        {"key_updates_requested", {}, repeat(1000, [](auto& r) { r.update_key(true); }), true},
        {"byte_records", ok + "\r\n", repeat(3000, [=](auto& r) { r.add(data, "x"); })},
        {"byte_records_of_a_length", ok + "Content-Length: 60000000\r\n\r\n",
         repeat(3000, [=](auto& r) { r.add(data, "x"); })},
        {"byte_chunks", endless, repeat(4, [=](auto& r) { r.add(data, times("1\r\nx\r\n", 2600)); })},
        {"byte_chunk_records", endless, repeat(2000, [=](auto& r) { r.add(data, "1\r\nx\r\n"); })},
        {"byte_chunks_in_byte_records", endless, repeat(500, [=](auto& r) { r.add_each(data, "1\r\nx\r\n"); })},
        {"empty_records", ok + "\r\n",
         repeat(100,
                [=](auto& r) {
                    for (int i = 0; i < 31; ++i) r.add(data, {});
                    r.add(data, "x");
                })},
        {"change_cipher_specs", ok + "\r\n",
         repeat(100,
                [=](auto& r) {
                    for (int i = 0; i < 31; ++i) r.bytes.append("\x14\x03\x03\x00\x01\x01", 6);
                    r.add(data, "x");
                })},
        {"large_records", ok + "\r\n", repeat(4, [=](auto& r) { r.add(data, std::string(16384, 'x')); })},
        {"an_endless_head", ok + "X: ", repeat(3000, [=](auto& r) { r.add(data, "x"); })},
        {"interim_answers", {}, repeat(2000, [=](auto& r) { r.add(data, "HTTP/1.1 100 Continue\r\n\r\n"); })},
    };
}

tls_server::script flooding(flood const& f) {
    return [f](tls_peer& peer) {
        auto records = shake_hands_raw(peer);
        if (!records || !peer.read_request()) return;
        if (!f.begin.empty()) records->add(raw_records::data, f.begin);
        do {
            f.again(*records);
        } while (peer.write_plain(std::exchange(records->bytes, {})));
    };
}

/// A runtime of one shard with a connection to a site that answers at once, and one to a gateway that does not behave.
class neighbours {
public:
    explicit neighbours(tls_server::script gateway)
        : ca_(test_authority().pem()),
          good_(test_identity(),
                [](tls_peer& p) {
                    if (!p.handshake()) return;
                    while (auto const request = p.read_request())
                        if (!p.write(sized(R"({"cloudId":"11111111-2222-3333-4444-555555555556"})"))) return;
                }),
          bad_(gateway_identity(), std::move(gateway), TLS1_2_VERSION, TLS1_3_VERSION, for_raw_records) {
        client_params params;
        params.tls.ca_file = ca_.path();
        params.connect_to.push_back({test_host, "127.0.0.1", good_.port()});
        params.connect_to.push_back({"api.atlassian.com", "127.0.0.1", bad_.port()});
        params.limits.mode = limiting::off;
        params.user_agent = "jirapool-tests/1 (+tests@example.com)";
        jira_.emplace(1, params);
        victim_ = jira_
                      ->add("victim",
                            personal_api_token(std::string("https://") + test_host, "a@example.com", secret("k")))
                      .value();
        flooded_ =
            jira_->add("flooded", service_api_token("11111111-2222-3333-4444-555555555555", secret("k"))).value();
        for (int i = 0; i < 20; ++i) call_victim();
    }

    /// How long a call of the neighbour takes, in ms. It must succeed.
    double call_victim() {
        auto const begun = steady::now();
        auto const r = call(*victim_, request::get("/rest/api/3/myself").timeout(10s));
        ms const took = steady::now() - begun;
        REQUIRE(r.has_value());
        return took.count();
    }

    std::future<result<response>> call_flooded(request r) {
        return flooded_->async_call(std::move(r), asio::use_future);
    }

    /// The neighbour's slowest call while the flood's goes on, and that one's end.
    struct outcome {
        double slowest_ms = 0;
        double took_ms = 0;
        int calls = 0;
        result<response> r = failure(errc::cancelled);
    };
    outcome beside(request r) {
        outcome o;
        auto const begun = steady::now();
        auto flooded = call_flooded(std::move(r));
        // When it ended is seen when the neighbour's call did: together they are as late as that.
        do {
            o.slowest_ms = std::max(o.slowest_ms, call_victim());
            ++o.calls;
        } while (flooded.wait_for(0s) != std::future_status::ready);
        o.took_ms = ms(steady::now() - begun).count();
        o.r = flooded.get();
        return o;
    }

    double destroy() {
        auto const begun = steady::now();
        jira_.reset();
        return ms(steady::now() - begun).count();
    }

private:
    ca_file ca_;
    tls_server good_;
    tls_server bad_;
    std::optional<runtime> jira_;
    std::optional<connection> victim_;
    std::optional<connection> flooded_;
};

/// Another time may be better where the machine was busy with something else: what a flood does, it does each time.
template <class Once>
double best_of_three(double enough, Once once) {
    double best = once();
    for (int i = 1; i < 3 && best > enough; ++i) best = std::min(best, once());
    return best;
}

void check_flood(std::string const& name, tls_server::script const& gateway, request const& r,
                 std::function<void(neighbours::outcome const&)> const& check) {
    INFO(name);
    constexpr int enough_calls = 200;
    double slowest = 0;
    double const late = best_of_three(most_late_ms, [&] {
        neighbours both(gateway);
        double alone = 0;
        for (int i = 0; i < enough_calls; ++i) alone = std::max(alone, both.call_victim());
        slowest = 0;
        int calls = 0;
        // A flood that is cut off at once is begun anew.
        for (int i = 0; i < 8 && calls < enough_calls; ++i) {
            auto const o = both.beside(r);
            slowest = std::max(slowest, o.slowest_ms);
            calls += o.calls;
            REQUIRE_FALSE(o.r.has_value());
            INFO(o.r.error().describe());
            CHECK(o.took_ms <= static_cast<double>(r.timeout()->count()) + 2 * (most_late_ms + alone));
            check(o);
        }
        return std::max(0.0, slowest - alone);
    });
    CHECK(late <= most_late_ms);
    support::figure("flood_" + name + "_victim_max_ms", slowest);
    support::figure("flood_" + name + "_victim_late_ms", late);

    auto again = r;
    neighbours both(gateway);
    auto flooded = both.call_flooded(std::move(again).timeout(60s));
    for (int i = 0; i < 20; ++i) both.call_victim();
    double const destroyed = both.destroy();
    CHECK(destroyed <= 1000);
    CHECK(flooded.wait_for(0s) == std::future_status::ready);
    support::figure("flood_" + name + "_destroyed_ms", destroyed);
}

}  // namespace

TEST_CASE("border 6: who floods with messages of TLS's own delays no neighbour, and the call ends with the rule") {
    for (auto const& f : floods()) {
        if (!f.of_messages) continue;
        check_flood(f.name, flooding(f), request::get("/rest/api/3/myself").timeout(3s),
                    [&](neighbours::outcome const& o) {
                        auto const& why = o.r.error();
                        // Few messages, each of which takes long.
                        if (why.code() == errc::timeout && std::string_view(f.name) == "a_ticket_byte_by_byte") return;
                        CHECK(why.code() == errc::protocol_error);
                        CHECK(why.rule() == detail::tls_flooded);
                    });
    }
}

TEST_CASE("border 6: who floods with an answer that has no end delays no neighbour, and the call ends in time") {
    for (auto const& f : floods()) {
        if (f.of_messages) continue;
        // OpenSSL has limits of its own.
        bool const refused = std::string_view(f.name) == "change_cipher_specs";
        check_flood(f.name, flooding(f), request::get("/rest/api/3/myself").timeout(500ms),
                    [&](neighbours::outcome const& o) {
                        auto const code = o.r.error().code();
                        CHECK((code == errc::timeout || code == errc::protocol_error ||
                               code == errc::response_too_large || (refused && code == errc::channel_lost)));
                    });
    }
}

TEST_CASE("border 6: who floods the handshake delays no neighbour, and the call ends in time") {
    // HelloRequests, which a client that shakes hands already skips: many in a record, and each in its own.
    for (std::size_t const each : {4096u, 1u}) {
        auto const gateway = [=](tls_peer& peer) {
            auto const size = 4 * each;
            std::string record{22, 3, 3, static_cast<char>(size >> 8), static_cast<char>(size & 0xff)};
            record += std::string(size, '\0');
            auto const all = times(record, (64u << 10) / record.size());
            while (peer.write_plain(all)) {
            }
        };
        check_flood(each > 1 ? "hello_requests" : "hello_request_records", gateway,
                    request::get("/rest/api/3/myself").timeout(500ms), [](neighbours::outcome const& o) {
                        auto const code = o.r.error().code();
                        CHECK((code == errc::timeout || code == errc::tls_failed));
                    });
    }
}

TEST_CASE("border 6: a large request that is taken at once delays no neighbour") {
    auto const gateway = [](tls_peer& peer) {
        if (!peer.handshake()) return;
        std::vector<char> buffer(1u << 20);
        while (SSL_read(peer.ssl(), buffer.data(), static_cast<int>(buffer.size())) > 0) {
        }
    };
    auto const body = std::string(64u << 20, 'x');
    check_flood("upload", gateway,
                request::post("/rest/api/3/issue/A-1/attachments").body(body, "text/plain").timeout(500ms),
                [](neighbours::outcome const& o) { CHECK(o.r.error().code() == errc::timeout); });
}

TEST_CASE("border 6: an idle channel that is flooded is not alive, one with a few tickets is") {
    for (int const tickets : {0, 1, 4, 40, 1000}) {
        INFO(tickets);
        std::promise<void> answered;
        std::promise<void> sent;
        tls_server server(
            test_identity(),
            [&](tls_peer& peer) {
                auto records = shake_hands_raw(peer);
                if (!records || !peer.read_request()) return;
                records->add(raw_records::data, sized("hi"));
                if (!peer.write_plain(std::exchange(records->bytes, {}))) return;
                answered.get_future().wait();
                for (int i = 0; i < tickets; ++i) records->add(raw_records::handshake, ticket(32));
                peer.write_plain(records->bytes);
                sent.set_value();
                peer.stall();
            },
            TLS1_3_VERSION, TLS1_3_VERSION, for_raw_records);
        wire_client client(server.port());
        auto dialed = client.dial();
        REQUIRE(dialed.channel);
        response out;
        auto const first = client.exchange(*dialed.channel, out);
        INFO(first.error.describe());
        CHECK(first.reusable);
        CHECK(dialed.channel->alive());
        answered.set_value();
        sent.get_future().wait();
        if (tickets <= 4) CHECK(dialed.channel->alive());
        else CHECK(eventually([&] { return !dialed.channel->alive(); }));
        auto const next = client.exchange(*dialed.channel, out, method::get, 300ms);
        CHECK(next.error.code() == (tickets > 4 ? errc::channel_lost : errc::timeout));
    }
}

TEST_CASE("border 6: two tickets and a new key with each of a thousand answers are no flood") {
    tls_server server(
        test_identity(),
        [&](tls_peer& peer) {
            auto records = shake_hands_raw(peer);
            while (records && peer.read_request()) {
                records->update_key(false);
                records->add(raw_records::handshake, times(ticket(32), 2));
                records->add(raw_records::data, sized("hi"));
                if (!peer.write_plain(std::exchange(records->bytes, {}))) return;
            }
        },
        TLS1_3_VERSION, TLS1_3_VERSION, for_raw_records);
    wire_client client(server.port());
    auto dialed = client.dial();
    REQUIRE(dialed.channel);
    for (int i = 0; i < 1000; ++i) {
        response out;
        auto const report = client.exchange(*dialed.channel, out);
        INFO(report.error.describe());
        REQUIRE(report.reusable);
    }
}

TEST_CASE("border 6: new keys within a large answer are no flood") {
    constexpr std::size_t pieces = 512;
    tls_server server(
        test_identity(),
        [&](tls_peer& peer) {
            auto records = shake_hands_raw(peer);
            if (!records || !peer.read_request()) return;
            records->add(raw_records::data, ok_head(pieces * (16u << 10)));
            for (std::size_t i = 0; i < pieces; ++i) {
                records->add(raw_records::data, std::string(16u << 10, 'x'));
                if (i % 8 == 7) records->update_key(false);
                if (!peer.write_plain(std::exchange(records->bytes, {}))) return;
            }
            peer.stall();
        },
        TLS1_3_VERSION, TLS1_3_VERSION, for_raw_records);
    wire_client client(server.port());
    auto dialed = client.dial();
    REQUIRE(dialed.channel);
    response out;
    auto const report = client.exchange(*dialed.channel, out);
    INFO(report.error.describe());
    CHECK_FALSE(report.error.code());
    CHECK(out.body().size() == pieces * (16u << 10));
}
