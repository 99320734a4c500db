// What belongs together: a channel or a TLS session to its host and its client's TLS setting, a credential to its connection.
// Random worlds, and a server that knows who may say what to whom. JIRAPOOL_FUZZ_SEED replays one.
#include "fixture.hpp"
#include "http_peer.hpp"
#include "support/figure.hpp"

#include <jirapool/core/random.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <map>
#include <random>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr char const* gateway = "api.atlassian.com";
constexpr char const* auth = "auth.atlassian.com";

std::string base64(std::string const& text) {
    std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
    auto const n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<unsigned char const*>(text.data()), static_cast<int>(text.size()));
    out.resize(static_cast<std::size_t>(n));
    return out;
}

/// Where a credential may be said, and by which client.
struct right {
    std::string client;
    std::string host;
    std::string path;  // what the target must begin with
};

/** Every host of Atlassian behind one port. Each of its certificates is from one of two authorities. */
class edge {
public:
    explicit edge(random_engine& random)
        : authorities_{make_certificate({.name = "authority A", .authority = true}),
                       make_certificate({.name = "authority B", .authority = true})} {
        for (auto const* const host : {gateway, auth}) add_host(host, random);
        for (int i = 0; i < 4; ++i) add_host("site" + std::to_string(i) + ".atlassian.net", random);
        close_seed_ = random();
        server_.emplace(
            identities_.begin()->second, [this](tls_peer& p) { serve(p); }, TLS1_2_VERSION, TLS1_3_VERSION,
            [this](SSL_CTX* c) { configure(c); });
    }

    std::uint16_t port() const { return server_->port(); }
    std::string authority_pem(std::size_t i) const { return authorities_[i].pem(); }
    std::size_t authority_of(std::string const& host) const { return authority_of_.at(host); }

    void allow(std::string const& authorization, right r) {
        std::lock_guard const lock(mutex_);
        rights_.emplace(authorization, std::move(r));
    }
    /// A client's credentials at the token endpoint: what its tokens may be used for.
    void allow_exchange(std::string const& client_id, std::string const& client_secret, right r) {
        std::lock_guard const lock(mutex_);
        exchanges_.emplace("client_id=" + client_id + "&client_secret=" + client_secret, std::move(r));
    }

    std::vector<std::string> violations() const {
        std::lock_guard const lock(mutex_);
        return violations_;
    }
    std::size_t requests() const noexcept { return requests_; }
    std::size_t resumed() const noexcept { return resumed_; }
    std::size_t connections() const { return server_->accepted(); }

private:
    /// What is known of a connection, for the one that resumes its session.
    struct key {
        std::string sni;
        std::string client;
    };

    void add_host(std::string const& host, random_engine& random) {
        auto const which = random() % 2;
        authority_of_[host] = which;
        identities_[host] = make_certificate({.name = "leaf", .alt_names = "DNS:" + host}, &authorities_[which]);
    }

    void configure(SSL_CTX* c) {
        choose_version_of_this_run(c);
        SSL_CTX_set_tlsext_servername_callback(
            c, +[](SSL* ssl, int*, void* self) {
                auto const& all = static_cast<edge*>(self)->identities_;
                char const* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
                auto const found = all.find(name != nullptr ? name : "");
                if (found == all.end()) return SSL_TLSEXT_ERR_ALERT_FATAL;
                SSL_use_certificate(ssl, found->second.certificate.get());
                SSL_use_PrivateKey(ssl, found->second.key.get());
                return SSL_TLSEXT_ERR_OK;
            });
        SSL_CTX_set_tlsext_servername_arg(c, this);
        // A ticket says which connection it was made on.
        SSL_CTX_set_session_ticket_cb(
            c,
            [](SSL* ssl, void*) {
                auto const number = reinterpret_cast<std::uint64_t>(SSL_get_ex_data(ssl, index()));
                return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &number, sizeof number);
            },
            [](SSL*, SSL_SESSION*, unsigned char const*, std::size_t, SSL_TICKET_STATUS status, void*) {
                if (status == SSL_TICKET_SUCCESS) return SSL_TICKET_RETURN_USE;
                if (status == SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_USE_RENEW;
                return SSL_TICKET_RETURN_IGNORE_RENEW;
            },
            nullptr);
    }
    static int index() {
        static int const i = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
        return i;
    }

    void note(std::string what) {
        std::lock_guard const lock(mutex_);
        violations_.push_back(std::move(what));
    }

    void serve(tls_peer& peer) {
        SSL_set_ex_data(peer.ssl(), index(), reinterpret_cast<void*>(peer.number()));
        if (!peer.handshake()) return;
        http_peer http(peer);
        key mine{peer.sni(), {}};
        random_engine random(close_seed_ + peer.number());
        auto requests_left = 1 + random() % 6;
        while (auto const request = http.read_request()) {
            ++requests_;
            auto const client = header_of(*request, "User-Agent");
            if (mine.client.empty()) {
                mine.client = client;
                begin_connection(peer, mine);
            }
            if (client != mine.client) note("a channel of " + mine.client + " carried a request of " + client);
            if (header_of(*request, "Host") != mine.sni) note("a request for another host than " + mine.sni);
            --requests_left;
            bool const says_so = random() % 2 == 0;
            auto const body = answer(*request, mine);
            if (!http.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" +
                            std::string(requests_left == 0 && says_so ? "Connection: close\r\n" : "") +
                            "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body))
                return;
            if (requests_left == 0) return peer.close_notify();
        }
    }

    void begin_connection(tls_peer& peer, key const& mine) {
        std::lock_guard const lock(mutex_);
        known_[peer.number()] = mine;
        if (!peer.resumed()) return;
        ++resumed_;
        void* data = nullptr;
        std::size_t size = 0;
        SSL_SESSION_get0_ticket_appdata(SSL_get_session(peer.ssl()), &data, &size);
        std::uint64_t number = 0;
        if (size != sizeof number) {
            violations_.push_back("a session of no connection");
            return;
        }
        std::memcpy(&number, data, size);
        auto const& first = known_[number];
        // One that ended before its first request is known by nothing.
        if (first.sni.empty()) return;
        if (first.sni != mine.sni) violations_.push_back("a session of " + first.sni + " resumed at " + mine.sni);
        if (first.client != mine.client)
            violations_.push_back("a session of " + first.client + " resumed by " + mine.client);
    }

    std::string answer(std::string const& request, key const& mine) {
        auto const target = request.substr(request.find(' ') + 1, request.find(" HTTP/1.1") - request.find(' ') - 1);
        auto const said = header_of(request, "Authorization");
        std::lock_guard const lock(mutex_);
        if (mine.sni == auth) {
            if (!said.empty()) violations_.push_back("a credential at the token endpoint");
            auto const body = request.substr(request.find("\r\n\r\n") + 4);
            for (auto const& [credential, r] : exchanges_)
                if (body.ends_with(credential)) {
                    if (r.client != mine.client) violations_.push_back("a secret said by " + mine.client);
                    auto const token = "token-" + std::to_string(++tokens_);
                    rights_.emplace("Bearer " + token, r);
                    return R"({"access_token":")" + token + R"(","expires_in":3600,"token_type":"Bearer"})";
                }
            violations_.push_back("an unknown secret at the token endpoint");
            return "{}";
        }
        if (target == "/_edge/tenant_info") {
            if (!said.empty()) violations_.push_back("a credential where none is needed");
            return R"({"cloudId":"aaaaaaaa-0000-0000-0000-00000000000)" + mine.sni.substr(4, 1) + "\"}";
        }
        auto const found = rights_.find(said);
        if (found == rights_.end()) {
            violations_.push_back("an unknown credential at " + mine.sni);
        } else {
            auto const& r = found->second;
            if (r.client != mine.client)
                violations_.push_back("a credential of " + r.client + " said by " + mine.client);
            if (r.host != mine.sni) violations_.push_back("a credential for " + r.host + " said to " + mine.sni);
            if (!target.starts_with(r.path))
                violations_.push_back("a credential for " + r.path + " said for " + target);
        }
        return "{}";
    }

    identity authorities_[2];
    std::map<std::string, std::size_t> authority_of_;
    std::map<std::string, identity> identities_;
    std::uint64_t close_seed_ = 0;
    mutable std::mutex mutex_;
    std::map<std::string, right> rights_;  // by Authorization
    std::map<std::string, right> exchanges_;
    std::map<std::uint64_t, key> known_;
    std::vector<std::string> violations_;
    std::uint64_t tokens_ = 0;
    std::atomic<std::size_t> requests_{0};
    std::atomic<std::size_t> resumed_{0};
    std::optional<tls_server> server_;  // the last: its threads use all of it
};

/// One client with a TLS setting of its own, and connections made at random.
class tenant {
public:
    tenant(edge& e, std::string name, std::size_t trusts, random_engine& random)
        : edge_(e),
          name_(std::move(name)),
          trusts_(trusts),
          ca_(trusts < 2 ? e.authority_pem(trusts) : e.authority_pem(0) + e.authority_pem(1)) {
        client_params p;
        p.user_agent = name_;
        p.tls.ca_file = ca_.path();
        p.connect_to.push_back({"", "127.0.0.1", e.port()});
        p.wire.http = http_of_this_run();
        // Over HTTP/2 a server that goes takes the others of its channel with it, again and again.
        if (over_http2()) {
            p.retries.max_exchanges = 30;
            p.retries.budget_max = 1e6;
            p.retries.backoff = p.retries.backoff_max = 1ms;
        }
        p.limits.mode = limiting::off;
        p.pool.dial_backoff = 1ms;
        p.pool.dial_backoff_max = 5ms;
        jira_.emplace(1 + static_cast<unsigned>(random() % 2), p);
        for (int i = 0; i < 8; ++i) connections_.push_back(jira_->add(config(i, random)).value());
    }

    std::size_t calls = 0;
    std::size_t refused = 0;
    std::vector<std::string> surprises;

    void round(random_engine& random) {
        std::vector<std::future<result<response>>> pending;
        std::vector<std::size_t> of;
        for (int i = 0; i < 16; ++i) {
            of.push_back(random() % connections_.size());
            // Without a token endpoint to trust, a call waits for a token until its end.
            auto const patience = reachable(of.back()) ? 20'000ms : 100ms;
            pending.push_back(connections_[of.back()].async_call(request::get("/rest/api/3/myself").timeout(patience),
                                                                 asio::use_future));
        }
        // Behind calls in flight.
        auto const changed = random() % connections_.size();
        if (random() % 2 == 0) {
            jira_->remove(connections_[changed].id());
            connections_[changed] = jira_->add(config(static_cast<int>(changed), random)).value();
        }
        for (std::size_t i = 0; i < pending.size(); ++i) {
            auto const r = pending[i].get();
            ++calls;
            if (r) continue;
            ++refused;
            auto const ec = r.error().code();
            if (ec == errc::connection_removed) continue;
            if (reachable(of[i]) && of[i] != changed) surprises.push_back(r.error().describe());
        }
    }

private:
    bool trusts(std::string const& host) const { return trusts_ == 2 || edge_.authority_of(host) == trusts_; }

    bool reachable(std::size_t i) const { return trusts(hosts_[i]) && (!oauth_[i] || trusts(auth)); }

    connection_config config(int i, random_engine& random) {
        auto const unique = name_ + "-" + std::to_string(i) + "-" + std::to_string(random());
        auto const site = std::to_string(random() % 4);
        auto const cloud = "aaaaaaaa-0000-0000-0000-00000000000" + site;
        auto const at = static_cast<std::size_t>(i);
        if (hosts_.size() <= at) {
            hosts_.resize(at + 1);
            oauth_.resize(at + 1);
        }
        oauth_[at] = false;
        hosts_[at] = gateway;
        switch (random() % 3) {
        case 0: {
            hosts_[at] = "site" + site + ".atlassian.net";
            auto const email = "user" + std::to_string(i) + "@example.com";
            edge_.allow("Basic " + base64(email + ":" + unique), {name_, hosts_[at], "/rest/"});
            return make_connection_config(std::to_string(i),
                                          personal_api_token("https://" + hosts_[at], email, secret(unique)))
                .value();
        }
        case 1:
            edge_.allow("Bearer " + unique, {name_, gateway, "/ex/jira/" + cloud + "/"});
            return make_connection_config(std::to_string(i), service_api_token(cloud, secret(unique))).value();
        default:
            oauth_[at] = true;
            edge_.allow_exchange("app" + unique, unique, {name_, gateway, "/ex/jira/" + cloud + "/"});
            return make_connection_config(std::to_string(i), service_oauth(cloud, "app" + unique, secret(unique)))
                .value();
        }
    }

    edge& edge_;
    std::string name_;
    std::size_t trusts_;
    ca_file ca_;
    std::vector<std::string> hosts_;
    std::vector<bool> oauth_;
    std::vector<connection> connections_;
    std::optional<runtime> jira_;
};

}  // namespace

TEST_CASE("keys: no request on a channel or session of another key, no credential at another origin or cloud ID") {
    char const* const replay = std::getenv("JIRAPOOL_FUZZ_SEED");
    std::size_t requests = 0;
    std::size_t connections = 0;
    std::size_t resumed = 0;
    std::size_t refused = 0;
    for (int world = 0; world < (replay != nullptr ? 1 : 6); ++world) {
        std::uint64_t const seed = replay != nullptr ? std::strtoull(replay, nullptr, 10) : std::random_device()();
        INFO("replay: JIRAPOOL_FUZZ_SEED=" << seed);
        random_engine random(seed);
        edge e(random);
        std::vector<std::unique_ptr<tenant>> tenants;
        // Who trusts one authority, the other, and both: each meets hosts that the others have sessions with.
        for (std::size_t const trusts : {0u, 1u, 2u})
            tenants.push_back(std::make_unique<tenant>(e, "tenant" + std::to_string(trusts), trusts, random));
        for (int i = 0; i < 8; ++i)
            for (auto& t : tenants) t->round(random);
        for (auto& t : tenants) {
            refused += t->refused;
            CHECK(t->surprises == std::vector<std::string>());
        }
        CHECK(e.violations() == std::vector<std::string>());
        requests += e.requests();
        connections += e.connections();
        resumed += e.resumed();
        tenants.clear();
    }
    std::printf("keys: %zu requests, %zu connections, %zu resumed, %zu calls refused\n", requests, connections, resumed,
                refused);
    support::figure("keys_requests", static_cast<double>(requests));
    support::figure("keys_resumed_sessions", static_cast<double>(resumed));
    if (replay != nullptr) return;
    CHECK(requests > 1000);
    CHECK(resumed > 50);
    CHECK(refused > 50);
}
