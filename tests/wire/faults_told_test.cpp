// What a call's end says of whom it is about, of how often it was sent, and of a credential that is refused.
#include "gateway.hpp"

#include <jirapool/pool/webhooks.hpp>

#include <boost/asio/co_spawn.hpp>

#include <mutex>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

connection site_of(connections& jira) {
    return jira.add("one", personal_api_token("https://" + std::string(test_host), "a@acme.example", secret("k")))
        .value();
}

/// A port that nobody listens at.
std::uint16_t closed_port() {
    tls_server const gone(test_identity(), [](tls_peer&) {});
    return gone.port();
}

struct heard {
    std::mutex mutex;
    std::vector<event> all;
    void listen(client_params& p) {
        p.on_event = [this](event const& e) {
            std::lock_guard const lock(mutex);
            all.push_back(e);
        };
    }
    std::size_t of(event::kind k) {
        std::lock_guard const lock(mutex);
        return static_cast<std::size_t>(std::count_if(all.begin(), all.end(),
                                                      [k](auto const& e) { return e.what == k; }));
    }
};

std::uint64_t refused_credentials(connections const& c) { return c.totals().credentials_refused; }

result<bool> deleted(connection c) {
    asio::io_context io;
    auto f = asio::co_spawn(io, delete_webhook(std::move(c), "17"), asio::use_future);
    io.run();
    return f.get();
}

bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("faults: C8 a delete whose first exchange nobody answered is told from one of what never was") {
    {
        gateway s({says(sized("", {}, 502)), says(sized("{}", {}, 404))}, test_identity());
        runtime jira(1, s.params);
        auto const r = deleted(site_of(jira));
        REQUIRE(r.has_value());
        CHECK(*r);
    }
    {
        gateway s({says(sized("{}", {}, 404))}, test_identity());
        runtime jira(1, s.params);
        auto const r = deleted(site_of(jira));
        REQUIRE(r.has_value());
        CHECK_FALSE(*r);
    }
}

TEST_CASE("faults: C8 a response says how often its request was sent, and whether one before may have acted") {
    struct {
        std::vector<act> acts;
        request r;
        unsigned exchanges;
        bool before;
    } const cases[] = {
        {{says(sized("{}"))}, request::delete_("/rest/x"), 1, false},
        {{says(sized("", {}, 503)), says(sized("", {}, 404))}, request::delete_("/rest/x"), 2, true},
        {{says_and_goes(""), says(sized("", {}, 404))}, request::delete_("/rest/x"), 2, true},
        {{says(sized("", {}, 502)), says(sized("{}"))}, request::get("/rest/x"), 2, false},
        {{says(sized("", {}, 429)), says(sized("{}", {}, 404))}, request::delete_("/rest/x"), 2, false},
        {{says(sized("", {}, 421)), says(sized("{}", {}, 409))}, request::post("/rest/x").json("{}"), 2, false},
        // What is delivered for want of another try is the last one's own.
        {{says(sized("", {}, 503))}, request::post("/rest/x").json("{}"), 1, false},
    };
    for (auto const& c : cases) {
        INFO(c.exchanges << (c.before ? " before" : ""));
        gateway g(c.acts);
        runtime jira(1, g.params);
        auto const r = call(gateway::of(jira), request(c.r).timeout(10s));
        REQUIRE(r.has_value());
        CHECK(r->exchanges() == c.exchanges);
        CHECK(r->maybe_processed_before() == c.before);
    }
}

TEST_CASE("faults: D5 a call without time, or of a connection that is gone, says just that and sends nothing") {
    gateway g({says(sized("1")), says(sized("2"))});
    runtime jira(1, g.params);
    auto const c = gateway::of(jira);
    REQUIRE(call(c, request::get("/rest/x")).has_value());
    for (auto const none : {0ms, -1ms, std::chrono::milliseconds::min()}) {
        auto const r = call(c, request::post("/rest/x").json("{}").timeout(none));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::invalid_argument);
        CHECK_FALSE(r.error().maybe_processed());
    }
    jira.remove("one");
    auto const r = call(c, request::get("/rest/x"));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::connection_removed);
    CHECK_FALSE(has(r.error().describe(), "waited"));
    CHECK(g.requests() == 1);
}

TEST_CASE("faults: D6 what the network does to a call is said with the host, the port and the system's words") {
    auto const failed = [](client_params p, bool oauth) {
        p.retries.max_exchanges = 1;
        p.pool.dial_backoff = 10s;
        p.pool.dial_backoff_max = 10s;
        p.tokens.backoff = p.tokens.backoff_max = 10s;
        runtime jira(1, p);
        auto const c =
            oauth ? jira.add("one", service_oauth("11111111-2222-3333-4444-555555555555", "c", secret("s"))).value()
                  : gateway::of(jira);
        auto const r = call(c, request::get("/rest/x").timeout(700ms));
        REQUIRE_FALSE(r.has_value());
        return r.error().describe();
    };
    client_params nobody;
    auto const port = closed_port();
    nobody.connect_to.push_back({"", "127.0.0.1", port});
    for (bool const oauth : {false, true}) {
        auto const text = failed(nobody, oauth);
        INFO(text);
        CHECK(has(text, oauth ? "auth.atlassian.com" : "api.atlassian.com"));
        CHECK(has(text, "127.0.0.1:" + std::to_string(port)));
        CHECK(has(text, "Connection refused"));
    }
    {
        // It takes connections and says nothing.
        tls_server const silent(gateway_identity(), [](tls_peer& p) { p.stall(); });
        client_params p;
        p.connect_to.push_back({"", "127.0.0.1", silent.port()});
        for (bool const oauth : {false, true}) {
            auto const text = failed(p, oauth);
            INFO(text);
            CHECK(has(text, oauth ? "auth.atlassian.com" : "api.atlassian.com: the dial took longer"));
        }
    }
    {
        gateway g({says_and_goes("")});
        auto const text = failed(g.params, false);
        INFO(text);
        CHECK(has(text, "api.atlassian.com: "));
        CHECK(has(text, "[channel_lost]"));
    }
    {
        gateway g({says_and_stalls("")});
        auto const text = failed(g.params, false);
        INFO(text);
        CHECK(has(text, "api.atlassian.com"));
        CHECK(has(text, "first_byte"));
    }
    client_params named;
    named.wire.resolve_timeout = 200ms;
    runtime jira(1, named);
    auto const r = call(gateway::of(jira), request::get("/rest/x").timeout(5s));
    REQUIRE_FALSE(r.has_value());
    INFO(r.error().describe());
    CHECK(has(r.error().describe(), "api.atlassian.com"));
}

TEST_CASE("faults: D7 an API token that Jira refuses is told once, counted while it is, and told when it is taken") {
    auto const no = says(sized("Client must be authenticated", {}, 401));
    auto const yes = says(sized("{}"));
    auto const nobody = says(sized("[]", "X-Seraph-LoginReason: AUTHENTICATED_FAILED\r\n"));
    for (bool const personal : {false, true}) {
        INFO(personal);
        // A call and its check, with the old secret; the check of the new one, and a call.
        std::vector<act> const acts{no, no, yes, yes};
        gateway g(acts);
        gateway s(acts, test_identity());
        auto params = personal ? s.params : g.params;
        heard events;
        events.listen(params);
        runtime jira(1, params);
        auto const c = personal ? site_of(jira) : gateway::of(jira);
        auto const asked = [&] { return call(c, request::get("/rest/x").timeout(10s)); };
        CHECK(asked().value().status() == 401);
        REQUIRE(eventually([&] { return refused_credentials(jira) == 1; }));
        CHECK(events.of(event::kind::credential_refused) == 1);
        for (int i = 0; i < 3; ++i) {
            auto const why = asked().error();
            CHECK(why.code() == errc::credential_refused);
            CHECK(why.retry_after().value_or(0ms) > 50min);
        }
        CHECK(c.status().condition == connection_condition::credential_rejected);
        auto newer = personal ? make_connection_config("one", personal_api_token("https://" + std::string(test_host),
                                                                                 "a@acme.example", secret("n")))
                              : make_connection_config("one", service_api_token(std::string(c.site()), secret("n")));
        auto const replaced = jira.replace(std::move(newer).value()).has_value();
        REQUIRE(replaced);
        REQUIRE(eventually([&] { return c.status().condition == connection_condition::healthy; }));
        CHECK(asked().value().status() == 200);
        CHECK(refused_credentials(jira) == 0);
        CHECK(events.of(event::kind::credential_refused) == 1);
        CHECK(events.of(event::kind::healed) == 1);
    }
    gateway s({nobody, yes, yes}, test_identity());
    heard events;
    events.listen(s.params);
    runtime jira(1, s.params);
    auto const c = site_of(jira);
    CHECK(call(c, request::get("/rest/x").timeout(10s)).error().code() == errc::anonymous_answer);
    CHECK(call(c, request::get("/rest/x").timeout(10s)).error().code() == errc::credential_refused);
    CHECK(events.of(event::kind::credential_anonymous) == 1);
    CHECK(refused_credentials(jira) == 1);
    CHECK(call(c, request::check().timeout(10s)).has_value());
    CHECK(refused_credentials(jira) == 0);
    CHECK(call(c, request::get("/rest/x").timeout(10s)).has_value());
}

TEST_CASE("faults: G9 a read that fails says nothing of Jira having acted, and a write does") {
    struct {
        request r;
        bool acts;
    } const cases[] = {
        {request::get("/rest/api/3/myself"), false},
        {request::head("/rest/api/3/myself"), false},
        {request::post("/rest/api/3/search/jql").json("{}"), false},
        {request::post("/rest/api/3/issue").json("{}"), true},
        {request::put("/rest/api/3/issue/A-1").json("{}"), true},
        {request::delete_("/rest/api/3/issue/A-1"), true},
    };
    for (auto const& c : cases) {
        gateway g({says_and_stalls("")});
        runtime jira(1, g.params);
        auto const r = call(gateway::of(jira), request(c.r).timeout(200ms));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::timeout);
        CHECK(r.error().maybe_processed() == c.acts);
        CHECK(has(r.error().describe(), "may have acted") == c.acts);
    }
}
