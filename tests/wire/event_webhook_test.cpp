// Events that go out to a receiver of the user's: what it gets, what it may do wrong, and whatever ends first.
#include "failing_allocator.hpp"
#include "gateway.hpp"

#include <jirapool/pool/event_webhook.hpp>
#include <jirapool/pool/webhook_delivery.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <atomic>
#include <mutex>
#include <new>
#include <set>
#include <thread>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr char const* receiver_host = "hooks.acme.example";
constexpr char const* key = "a secret of the receiver's";

identity const& receiver_identity() {
    static identity const leaf = make_certificate(
        {.name = "leaf", .alt_names = std::string("DNS:") + receiver_host + ",IP:127.0.0.1"}, &test_authority());
    return leaf;
}

/// A delivery as the receiver saw it.
struct received {
    explicit received(std::string const& request)
        : line(request.substr(0, request.find('\r'))), body(request.substr(request.find("\r\n\r\n") + 4)) {
        auto const value = [&](std::string const& name) {
            auto const at = request.find("\r\n" + name + ": ");
            if (at == request.npos) return std::string();
            auto const from = at + name.size() + 4;
            return request.substr(from, request.find('\r', from) - from);
        };
        id = value("X-Jirapool-Delivery");
        retry = value("X-Jirapool-Retry");
        signature = value("X-Hub-Signature");
        host = value("Host");
        content_type = value("Content-Type");
        agent = value("User-Agent");
    }
    bool has(std::string const& part) const { return body.find(part) != body.npos; }

    std::string line, body, id, retry, signature, host, content_type, agent;
};

/// A receiver that does one act after the other, and behind the last takes all.
class receiver {
public:
    explicit receiver(std::vector<act> acts = {}, identity const& who = receiver_identity())
        : acts_(std::move(acts)), ca_(test_authority().pem()), server_(who, [this](tls_peer& p) {
              if (!p.handshake()) return;
              http_peer peer(p);
              for (;;) {
                  auto const request = peer.read_request();
                  if (!request) return;
                  auto const n = next_++;
                  {
                      std::lock_guard const lock(mutex_);
                      got_.emplace_back(*request);
                  }
                  if (n >= acts_.size()) {
                      if (!peer.write("HTTP/1.1 204 No Content\r\n\r\n")) return;
                  } else if (!acts_[n](peer, *request)) {
                      return;
                  }
              }
          }) {}

    event_webhook_params params() const {
        event_webhook_params p;
        p.url = std::string("https://") + receiver_host + "/jira?key=1";
        p.signing_secret = secret(key);
        p.backoff = 1ms;
        p.backoff_max = 2ms;
        p.tls.ca_file = ca_.path();
        p.connect_to.push_back({receiver_host, "127.0.0.1", server_.port()});
        return p;
    }
    std::vector<received> got() const {
        std::lock_guard const lock(mutex_);
        return got_;
    }
    std::uint64_t accepted() const { return server_.accepted(); }
    std::uint16_t port() const { return server_.port(); }

private:
    std::vector<act> acts_;
    std::atomic<std::size_t> next_{0};
    mutable std::mutex mutex_;
    std::vector<received> got_;
    ca_file ca_;
    tls_server server_;
};

/// A context with a thread of its own.
class threaded {
public:
    explicit threaded(unsigned threads = 1) : work_(asio::make_work_guard(io)) {
        for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { io.run(); });
    }
    ~threaded() {
        work_.reset();
        for (auto& t : threads_) t.join();
    }
    asio::io_context io;

private:
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::vector<std::thread> threads_;
};

event sample(int n = 0) {
    event e{event::kind::credential_refused, "acme-" + std::to_string(n), "Jira refuses the credential"};
    e.code = errc::credential_refused;
    e.at = wall_time(std::chrono::sys_days(std::chrono::year(2026) / 11 / 30) + 9h + 21min + 54s + 123ms);
    return e;
}

bool idle(event_webhook const& h) {
    return eventually([&] { return h.stats().waiting == 0; });
}

}  // namespace

TEST_CASE("event_webhook: an event comes signed, with all that is known of it") {
    receiver r;
    threaded t;
    event_webhook hook(t.io.get_executor(), r.params());
    hook.report(sample());
    REQUIRE(idle(hook));
    auto const got = r.got();
    REQUIRE(got.size() == 1);
    CHECK(got[0].line == "POST /jira?key=1 HTTP/1.1");
    CHECK(got[0].host == receiver_host);
    CHECK(got[0].content_type == "application/json");
    CHECK(got[0].agent == "jirapool/0.1");
    CHECK(got[0].retry == "0");
    CHECK_FALSE(got[0].id.empty());
    CHECK(got[0].signature == webhook_signature(got[0].body, secret(key)));
    CHECK(got[0].signature != webhook_signature(got[0].body, secret("another")));
    CHECK(got[0].body == R"({"id":")" + got[0].id +
                             R"(","event":"credential_refused","severity":"critical","connection":"acme-0","scope":"",)"
                             R"("code":"credential_refused","detail":"Jira refuses the credential",)"
                             R"("at":"2026-11-30T09:21:54.123Z"})");
    // Our own receiver's proof: it is signed, and only then is it read that it is none of Jira's.
    std::vector<webhook_request::header> const headers{{"X-Hub-Signature", got[0].signature}};
    auto const proved = read_webhook_delivery({"POST", headers, got[0].body}, secret(key));
    CHECK(proved.error().field() == "body");
    auto const forged = read_webhook_delivery({"POST", headers, got[0].body + " "}, secret(key));
    CHECK(forged.error().field() == "X-Hub-Signature");
    auto const s = hook.stats();
    CHECK(s.delivered == 1);
    CHECK(s.failed_tries == 0);
    CHECK(s.dropped == 0);
    CHECK(s.last_failure.empty());
}

TEST_CASE(
    "event_webhook: whatever an event's texts hold, its body is JSON in UTF-8, and an event without a time gets one") {
    receiver r;
    threaded t;
    event_webhook hook(t.io.get_executor(), r.params());
    auto e = sample();
    e.detail = std::string("a \"b\" \\ \n \0 ü", 14);
    e.scope = "\xff\xc3(";
    e.code = make_error_code(boost::system::errc::not_enough_memory);
    e.at = {};
    hook.report(e);
    REQUIRE(idle(hook));
    auto const got = r.got();
    REQUIRE(got.size() == 1);
    CHECK(got[0].has(R"("detail":"a \"b\" \\ \u000a \u0000 ü")"));
    CHECK(got[0].has(R"("scope":"??(")"));
    CHECK(got[0].has(R"("code":"Cannot allocate memory")"));
    CHECK(got[0].has(R"("at":"20)"));
    CHECK_FALSE(got[0].has("1970"));
}

TEST_CASE("event_webhook: a client's events go out, of the kinds that are asked for") {
    fixture f;
    receiver r;
    threaded t;
    auto const hook = std::make_shared<event_webhook>(t.io.get_executor(), r.params());
    f.params.on_event = [hook](event const& e) { hook->report(e); };
    runtime jira(1, f.params);
    auto const acme = jira.add(f.config("personal-0001", "wrong"));
    REQUIRE(acme.has_value());
    call(*acme, request::get("/rest/api/3/myself"));
    event other{event::kind::limit_pause, "acme", "burst"};
    hook->report(other);
    REQUIRE(eventually([&] { return hook->stats().delivered == 1; }));
    REQUIRE(jira.replace(f.config("personal-0001")).has_value());
    REQUIRE(call(*acme, request::get("/rest/api/3/myself")).has_value());
    REQUIRE(eventually([&] { return hook->stats().delivered == 2; }));
    auto const got = r.got();
    REQUIRE(got.size() == 2);
    CHECK((got[0].has(R"("event":"credential_refused")") || got[0].has(R"("event":"credential_anonymous")")));
    CHECK(got[0].has(R"("connection":"personal-0001")"));
    CHECK(got[1].has(R"("event":"healed")"));
    CHECK(got[1].has(R"("severity":"info")"));
}

TEST_CASE("event_webhook: what is no 2xx is tried again under the same id, and a redirect is not followed") {
    struct {
        char const* name;
        act what;
        char const* told;
    } const rows[] = {
        {"500", says(sized("oh", {}, 500)), "status 500"},
        {"503 with Retry-After", says(sized("", "Retry-After: 7200\r\n", 503)), "status 503"},
        {"400", says(sized("", {}, 400)), "status 400"},
        {"301", says(sized("", "Location: https://hooks.acme.example/other\r\n", 301)), "a redirect is not followed"},
        {"307", says(sized("", "Location: /other\r\n", 307)), "a redirect is not followed"},
        {"304", says("HTTP/1.1 304 Not Modified\r\n\r\n"), "a redirect is not followed"},
        {"garbage", says_and_goes("220 smtp.acme.example ESMTP\r\n"), receiver_host},
        {"garbage behind a 200", says_and_goes("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
         receiver_host},
        {"nothing", says_and_goes(""), receiver_host},
        {"a close", says_and_ends(""), receiver_host},
        {"silence", says_and_stalls(""), "no answer within event_webhook_params::timeout"},
        {"half a head", says_and_stalls("HTTP/1.1 "), receiver_host},
    };
    for (auto const& row : rows) {
        INFO(row.name);
        receiver r({row.what, row.what});
        threaded t;
        auto p = r.params();
        p.timeout = 300ms;
        event_webhook hook(t.io.get_executor(), std::move(p));
        hook.report(sample());
        REQUIRE(idle(hook));
        auto const got = r.got();
        REQUIRE(got.size() == 3);
        for (std::size_t i = 0; i < got.size(); ++i) {
            CHECK(got[i].line == "POST /jira?key=1 HTTP/1.1");
            CHECK(got[i].id == got[0].id);
            CHECK(got[i].body == got[0].body);
            CHECK(got[i].retry == std::to_string(i));
        }
        auto const s = hook.stats();
        CHECK(s.delivered == 1);
        CHECK(s.failed_tries == 2);
        CHECK(s.dropped == 0);
        CAPTURE(s.last_failure);
        CHECK(s.last_failure.find(row.told) != std::string::npos);
        CHECK(s.last_failure.find("key=1") == std::string::npos);
    }
}

TEST_CASE("event_webhook: a 2xx is taken, whatever comes behind it") {
    std::string const big(200'000, 'x');
    for (auto const& what : {says(sized("{}")), says(sized(big, {}, 202)), says_and_goes(sized(big).substr(0, 1000)),
                             says_and_stalls(ok_head(10)), says(chunked(big, 1000)),
                             says("HTTP/1.1 100 Continue\r\n\r\n" + sized("ok"))}) {
        receiver r({what});
        threaded t;
        auto p = r.params();
        p.timeout = 300ms;
        event_webhook hook(t.io.get_executor(), std::move(p));
        hook.report(sample());
        REQUIRE(idle(hook));
        CHECK(r.got().size() == 1);
        CHECK(hook.stats().delivered == 1);
        CHECK(hook.stats().failed_tries == 0);
    }
}

TEST_CASE("event_webhook: a burst goes out in its order over one connection, and nothing is work behind it") {
    receiver r;
    asio::io_context io;
    event_webhook hook(io.get_executor(), r.params());
    CHECK(io.run() == 0);
    for (int round = 0; round < 2; ++round) {
        for (int n = 0; n < 50; ++n) hook.report(sample(n));
        io.restart();
        io.run();
        CHECK(hook.stats().waiting == 0);
    }
    auto const got = r.got();
    REQUIRE(got.size() == 100);
    std::set<std::string> ids;
    for (int n = 0; n < 100; ++n) {
        auto const& g = got[static_cast<std::size_t>(n)];
        CHECK(g.has("\"acme-" + std::to_string(n % 50) + "\""));
        ids.insert(g.id);
    }
    CHECK(ids.size() == 100);
    CHECK(r.accepted() == 2);
}

TEST_CASE("event_webhook: a receiver whose certificate is not its own gets nothing, and nothing is lost") {
    auto const other = make_certificate({.name = "leaf", .alt_names = "DNS:other.example"}, &test_authority());
    receiver r({}, other);
    threaded t;
    event_webhook hook(t.io.get_executor(), r.params());
    hook.report(sample());
    REQUIRE(eventually([&] { return hook.stats().failed_tries >= 3; }));
    CHECK(r.got().empty());
    auto const s = hook.stats();
    CHECK(s.waiting == 1);
    CHECK(s.dropped == 0);
    CAPTURE(s.last_failure);
    CHECK(s.last_failure.find("certificate") != std::string::npos);
}

TEST_CASE("event_webhook: a receiver that is down costs the oldest events beyond those that may wait, counted") {
    std::uint16_t port = 0;
    {
        receiver const gone;
        port = gone.port();
    }
    receiver const up;
    auto p = up.params();
    p.connect_to = {{receiver_host, "127.0.0.1", port}};
    p.max_waiting = 3;
    p.backoff = p.backoff_max = 20s;
    threaded t;
    event_webhook hook(t.io.get_executor(), std::move(p));
    hook.report(sample(0));
    REQUIRE(eventually([&] { return hook.stats().failed_tries == 1; }));
    for (int n = 1; n < 10; ++n) hook.report(sample(n));
    auto const s = hook.stats();
    CHECK(s.waiting == 3);
    CHECK(s.dropped == 7);
    CHECK(s.delivered == 0);
    CHECK(s.last_failure.find("connect") != std::string::npos);
    hook.stop();
    CHECK(hook.stats().dropped == 10);
    CHECK(hook.stats().waiting == 0);
}

TEST_CASE("event_webhook: a port and an address in the URL are where it goes") {
    receiver r;
    threaded t;
    auto p = r.params();
    p.url = "https://127.0.0.1:" + std::to_string(r.port());
    p.connect_to.clear();
    event_webhook hook(t.io.get_executor(), std::move(p));
    hook.report(sample());
    REQUIRE(idle(hook));
    auto const got = r.got();
    REQUIRE(got.size() == 1);
    CHECK(got[0].line == "POST / HTTP/1.1");
    CHECK(got[0].host == "127.0.0.1:" + std::to_string(r.port()));
}

TEST_CASE("event_webhook: what is wrong with its params is said with field and rule") {
    auto const rule_of = [](auto change) {
        event_webhook_params p;
        p.url = "https://hooks.acme.example";
        p.signing_secret = secret(key);
        change(p);
        auto const* const rule = why_invalid(p);
        asio::io_context io;
        if (rule == nullptr) event_webhook const made(io.get_executor(), std::move(p));
        else CHECK_THROWS_WITH(event_webhook(io.get_executor(), std::move(p)), rule);
        return std::string(rule != nullptr ? rule : "");
    };
    auto const of_url = [&](std::string url) { return rule_of([&](auto& p) { p.url = std::move(url); }); };
    for (auto const* const good :
         {"https://a", "HTTPS://A.example/", "https://a.example:1/x?y=%20z", "https://[::1]:8443/x",
          "https://10.0.0.1/", "https://a.example:443", "https://a.example:", "https://a.example?x"}) {
        INFO(good);
        CHECK(of_url(good) == "");
    }
    struct {
        char const* url;
        char const* rule;
    } const rows[] = {
        {"", "absolute https URL"},
        {"hooks.acme.example", "absolute https URL"},
        {"/path", "absolute https URL"},
        {"http://a.example/", "https URL"},
        {"ftp://a.example/", "https URL"},
        {"https:", "host"},
        {"https:///x", "host"},
        {"https://u:p@a.example/", "user info"},
        {"https://@a.example/", "user info"},
        {"https://a.example/#f", "fragment"},
        {"https://a.example/#", "fragment"},
        {"https://a.example:0/", "1 to 65535"},
        {"https://a.example:65536/", "1 to 65535"},
        {"https://a.example:99999/", "1 to 65535"},
        {"https://a.example:x/", ""},
        {"https://a.example:-1/", ""},
        {"https://a_b$.example/", "letters, digits"},
        {"https://a%2eexample/", "letters, digits"},
        {"https://a.example/ x", "percent-encoded"},
        {"https://a.example/\r\nX: y", "percent-encoded"},
        {"https://a.example/${issue.key}", "percent-encoded"},
        {"https://[v1.x]/", "IP address"},
    };
    for (auto const& row : rows) {
        INFO(row.url);
        auto const rule = of_url(row.url);
        CHECK(rule.find("event_webhook_params::url must ") == 0);
        CHECK(rule.find(row.rule) != std::string::npos);
    }
    CHECK(rule_of([](auto& p) { p.signing_secret = secret(); }).find("signing_secret") != std::string::npos);
    CHECK(rule_of([](auto& p) { p.signing_secret = secret(std::string(3, '\0')); }).find("signing_secret") !=
          std::string::npos);
    CHECK(rule_of([](auto& p) { p.kinds.clear(); }).find("kinds") != std::string::npos);
    CHECK(rule_of([](auto& p) { p.max_waiting = 0; }).find("max_waiting") != std::string::npos);
    CHECK(rule_of([](auto& p) { p.timeout = 0ms; }).find("timeout") != std::string::npos);
    CHECK(rule_of([](auto& p) { p.backoff = 0ms; }).find("::backoff ") != std::string::npos);
    CHECK(rule_of([](auto& p) { p.backoff_max = 1ms; }).find("backoff_max") != std::string::npos);
    CHECK(rule_of([](auto& p) { p.user_agent = "a\r\nb"; }).find("user_agent") != std::string::npos);
    CHECK(rule_of([](auto& p) { p.connect_to.push_back({"", "x", 1}); }).find("address") != std::string::npos);
    CHECK_THROWS_AS(event_webhook(asio::any_io_executor(), receiver().params()), std::invalid_argument);
    asio::io_context io;
    auto absent = receiver().params();
    absent.tls.ca_file = "/absent.pem";
    CHECK_THROWS_AS(event_webhook(io.get_executor(), std::move(absent)), std::invalid_argument);
}

TEST_CASE("event_webhook: stopped, it delivers nothing more and counts what it drops, as often as it is told") {
    receiver r({says_and_stalls("")});
    threaded t;
    event_webhook hook(t.io.get_executor(), r.params());
    for (int n = 0; n < 3; ++n) hook.report(sample(n));
    REQUIRE(eventually([&] { return r.got().size() == 1; }));
    hook.stop();
    hook.stop();
    hook.report(sample(3));
    REQUIRE(idle(hook));
    CHECK(hook.stats().dropped == 4);
    CHECK(hook.stats().delivered == 0);
    CHECK(r.got().size() == 1);
}

TEST_CASE("event_webhook: it may end before or behind its context, from a handler, and with its client") {
    SECTION("the context ends first, while an event is on its way") {
        for (auto const& what : {says_and_stalls(""), says(sized("", {}, 500))}) {
            receiver r(std::vector<act>(1000, what));
            auto io = std::make_unique<asio::io_context>();
            auto p = r.params();
            p.backoff = p.backoff_max = 20s;
            event_webhook hook(io->get_executor(), std::move(p));
            for (int n = 0; n < 3; ++n) hook.report(sample(n));
            REQUIRE(eventually([&] {
                io->poll();
                return r.got().size() == 1 && (hook.stats().failed_tries == 1 || r.accepted() == 1);
            }));
            io.reset();
            hook.report(sample(3));
            CHECK(hook.stats().waiting == 0);
            CHECK(hook.stats().dropped == 4);
            hook.stop();
        }
    }
    SECTION("the context ends at any step") {
        for (int steps = 0; steps < 30; ++steps) {
            receiver r({says(sized("", {}, 500))});
            auto io = std::make_unique<asio::io_context>();
            event_webhook hook(io->get_executor(), r.params());
            hook.report(sample());
            for (int i = 0; i < steps; ++i) io->run_one_for(5ms);
            io.reset();
            auto const s = hook.stats();
            CHECK(s.delivered + s.dropped == 1);
            CHECK(s.waiting == 0);
        }
    }
    SECTION("the webhook ends at any step, and its context runs on until nothing is left") {
        for (int steps = 0; steps < 30; ++steps) {
            receiver r({says(sized("", {}, 500)), says_and_stalls("")});
            asio::io_context io;
            auto hook = std::make_unique<event_webhook>(io.get_executor(), r.params());
            hook->report(sample());
            for (int i = 0; i < steps; ++i) io.run_one_for(5ms);
            hook.reset();
            io.restart();
            io.run();
            CHECK(io.stopped());
        }
    }
    SECTION("the webhook ends in a handler of its own context, and of another thread's") {
        receiver r(std::vector<act>(100, says(sized("", {}, 500))));
        threaded t;
        for (int i = 0; i < 20; ++i) {
            auto hook = std::make_shared<event_webhook>(t.io.get_executor(), r.params());
            hook->report(sample());
            if (i % 2 == 0) asio::post(t.io, [h = std::move(hook)]() mutable { h.reset(); });
            else std::thread([h = std::move(hook)]() mutable { h.reset(); }).join();
        }
    }
    SECTION("with the client whose events it has, and by its own event") {
        fixture f;
        receiver r;
        threaded t;
        {
            auto const hook = std::make_shared<std::unique_ptr<event_webhook>>(
                std::make_unique<event_webhook>(t.io.get_executor(), r.params()));
            std::atomic<bool> ended{false};
            f.params.on_event = [hook, &ended](event const& e) {
                if (!*hook) return;
                (*hook)->report(e);
                hook->reset();
                ended = true;
            };
            runtime jira(1, f.params);
            auto const acme = jira.add(f.config("personal-0001", "wrong"));
            call(*acme, request::get("/rest/api/3/myself"));
            CHECK(eventually([&] { return ended.load(); }));
        }
    }
    SECTION("the webhook on a client's own context") {
        fixture f;
        receiver r;
        asio::io_context io;
        auto const hook = std::make_shared<event_webhook>(io.get_executor(), r.params());
        f.params.on_event = [hook](event const& e) { hook->report(e); };
        {
            client jira(io.get_executor(), f.params);
            auto const acme = jira.add(f.config("personal-0001", "wrong")).value();
            bool done = false;
            acme.async_call(request::get("/rest/api/3/myself"), [&](auto const&) { done = true; });
            while (!done || hook->stats().delivered == 0) io.run_one();
        }
        io.restart();
        io.run();
        CHECK(hook->stats().delivered == 1);
    }
}

TEST_CASE("event_webhook: events from many threads, on a context of several, come once each") {
    receiver r({says(sized("", {}, 500)), says_and_goes("")});
    auto p = r.params();
    p.max_waiting = 10'000;
    threaded t(3);
    event_webhook hook(t.io.get_executor(), std::move(p));
    constexpr int threads = 4;
    constexpr int each = 100;
    {
        std::vector<std::thread> all;
        for (int i = 0; i < threads; ++i)
            all.emplace_back([&hook, i] {
                for (int n = 0; n < each; ++n) hook.report(sample(i * each + n));
            });
        for (auto& th : all) th.join();
    }
    REQUIRE(idle(hook));
    CHECK(hook.stats().delivered == threads * each);
    std::map<std::string, std::set<std::string>> seen;
    for (auto const& g : r.got()) seen[g.id].insert(g.body);
    CHECK(seen.size() == threads * each);
    for (auto const& [id, bodies] : seen) CHECK(bodies.size() == 1);
}

TEST_CASE("event_webhook: threads report while it and its context end") {
    for (int i = 0; i < 20; ++i) {
        receiver r({says(sized("", {}, 500))});
        auto t = std::make_unique<threaded>();
        auto const hook = std::make_shared<event_webhook>(t->io.get_executor(), r.params());
        std::atomic<bool> go{false};
        std::vector<std::thread> all;
        for (int n = 0; n < 3; ++n)
            all.emplace_back([hook, &go, n] {
                while (!go) std::this_thread::yield();
                for (int k = 0; k < 50; ++k) {
                    hook->report(sample(k));
                    if (n == 0 && k == 25) hook->stop();
                }
            });
        go = true;
        if (i % 2 == 0) {
            t->io.stop();
            t.reset();
        }
        for (auto& th : all) th.join();
        CHECK(eventually([&] { return hook->stats().waiting == 0; }));
        auto const s = hook->stats();
        CHECK(s.delivered + s.dropped == 150);
    }
}

TEST_CASE("event_webhook: whatever allocation fails, an event is delivered or counted as dropped") {
    receiver r;
    bool reached = true;
    std::size_t late = 0;
    for (std::size_t n = 1; reached; ++n) {
        INFO("allocation " << n);
        asio::io_context io;
        auto p = r.params();
        p.executor_is_serial = true;  // a strand that lacked memory once is dead (Boost 1.81)
        event_webhook hook(io.get_executor(), std::move(p));
        auto const first = sample(1);
        auto const second = sample(2);
        {
            failing_allocation const failing(n);
            hook.report(first);
            io.run();
            reached = failing.failed();
        }
        auto s = hook.stats();
        REQUIRE(s.delivered + s.dropped + s.waiting == 1);
        late += s.waiting;
        hook.report(second);
        io.restart();
        io.run();
        s = hook.stats();
        CHECK(s.delivered + s.dropped == 2);
        CHECK(s.delivered >= 1);
        CHECK(s.waiting == 0);
        REQUIRE(n < 2000);
    }
    CHECK(late > 0);
}
