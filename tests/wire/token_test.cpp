#include "fixture.hpp"

#include <atomic>
#include <future>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

TEST_CASE("tokens: many calls at once share one exchange") {
    auto world = small_world();
    world.faulty.token_latency = 100ms;
    world.burst_scale = 100;
    fixture f(world);
    f.params.limits.mode = limiting::off;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("oauth-0001")).value();
    std::vector<std::future<result<response>>> calls;
    for (int i = 0; i < 500; ++i) calls.push_back(c.async_call(request::get("/rest/api/3/myself"), asio::use_future));
    for (auto& call : calls) REQUIRE(call.get().has_value());
    auto const s = f.jira.snapshot();
    CHECK(s.token_exchanges == 1);
    CHECK(s.max_in_flight_per_credential == 1);
    CHECK(sum(jira, &shard_stats::token_waits_at_start) == 500);
    CHECK(sum(jira, &shard_stats::token_waits) == 500);
}

TEST_CASE("tokens: they are renewed ahead while no call waits or is refused") {
    auto world = small_world();
    world.token_lifetime = 2s;
    fixture f(world);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("oauth-0001")).value();
    REQUIRE(call(c, request::get("/rest/api/3/myself")).has_value());
    auto const at_start = sum(jira, &shard_stats::token_waits);
    // The test's own pace is the wire's: it ends when four more tokens were issued.
    while (f.jira.snapshot().refreshes < 5) REQUIRE(call(c, request::get("/rest/api/3/serverInfo")).has_value());
    auto const s = f.jira.snapshot();
    CHECK(sum(jira, &shard_stats::token_waits) == at_start);
    CHECK(s.unauthorized == 0);
    CHECK(s.max_in_flight_per_credential == 1);
}

TEST_CASE("tokens: one that is revoked early is renewed once for all calls that it fails, and they succeed") {
    auto world = small_world();
    world.burst_scale = 100;
    fixture f(world);
    f.params.limits.mode = limiting::off;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("oauth-0001")).value();
    REQUIRE(call(c, request::get("/rest/api/3/myself")).has_value());
    f.jira.revoke_tokens(6);
    std::vector<std::future<result<response>>> calls;
    for (int i = 0; i < 200; ++i) calls.push_back(c.async_call(request::get("/rest/api/3/myself"), asio::use_future));
    for (auto& pending : calls) {
        auto const r = pending.get();
        REQUIRE(r.has_value());
        CHECK(r->status() == 200);
    }
    CHECK(f.jira.snapshot().refreshes == 2);
}

TEST_CASE("tokens: a wrong client secret fails calls at once, once asked, and shows as the connection's state") {
    fixture f;
    event_log const log(f.params);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("oauth-0001", "not-the-secret")).value();
    for (int i = 0; i < 20; ++i) {
        auto const r = call(c, request::get("/rest/api/3/myself"));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::credential_refused);
        CHECK(r.error().code() == advice::reauthorize);
        CHECK(r.error().describe().find("not-the-secret") == std::string::npos);
    }
    CHECK(f.jira.snapshot().token_exchanges == 1);
    CHECK(jira.totals().credentials_refused == 1);
    auto const events = log.all();
    REQUIRE(events.size() == 1);
    CHECK(events.front().what == event::kind::credential_refused);
    CHECK(events.front().connection == "oauth-0001");
}

TEST_CASE("tokens: a new secret takes over without a call waiting for it") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("oauth-0001")).value();
    REQUIRE(call(c, request::get("/rest/api/3/myself")).has_value());
    auto const waits = sum(jira, &shard_stats::token_waits);
    f.jira.replace_secret(6, "the-new-secret");
    REQUIRE(jira.replace(f.config("oauth-0001", "the-new-secret")).has_value());
    REQUIRE(eventually([&] { return f.jira.snapshot().refreshes == 2; }));
    CHECK(call(c, request::get("/rest/api/3/myself"))->status() == 200);
    CHECK(sum(jira, &shard_stats::token_waits) == waits);
}

TEST_CASE("tokens: while the endpoint fails, calls go on with the token they have") {
    auto world = small_world();
    world.token_lifetime = 12s;
    fixture f(world);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("oauth-0001")).value();
    REQUIRE(call(c, request::get("/rest/api/3/myself")).has_value());
    auto faults = f.jira.get_faults();
    faults.token_error_rate = 1;
    f.jira.set_faults(faults);
    REQUIRE(eventually([&] { return f.jira.snapshot().token_exchanges >= 2; }, 30s));
    CHECK(call(c, request::get("/rest/api/3/myself"))->status() == 200);
    faults.token_error_rate = 0;
    f.jira.set_faults(faults);
    REQUIRE(eventually([&] { return f.jira.snapshot().refreshes == 2; }, 30s));
    CHECK(call(c, request::get("/rest/api/3/myself"))->status() == 200);
    CHECK(f.jira.snapshot().unauthorized == 0);
}

TEST_CASE("tokens: a failing endpoint at start delays calls instead of failing them") {
    auto world = small_world();
    world.faulty.token_error_rate = 1;
    fixture f(world);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("oauth-0001")).value();
    auto pending = c.async_call(request::get("/rest/api/3/myself"), asio::use_future);
    REQUIRE(eventually([&] { return f.jira.snapshot().token_exchanges >= 1; }));
    auto faults = f.jira.get_faults();
    faults.token_error_rate = 0;
    f.jira.set_faults(faults);
    auto const r = pending.get();
    REQUIRE(r.has_value());
    CHECK(r->status() == 200);
}

TEST_CASE("isolation: every credential stays with its own origin and cloud ID, under load and over shards") {
    auto world = small_world();
    world.sites = 10;
    world.personal = world.service = world.oauth = 20;
    world.token_lifetime = 2s;
    fixture f(world);
    runtime jira(2, f.params);
    std::vector<connection> all;
    for (auto const& c : f.jira.world().connections())
        all.push_back(jira.add(fixture::config_of(f.jira.world(), c)).value());
    std::vector<std::pair<std::size_t, std::future<result<response>>>> calls;
    for (std::size_t round = 0; round < 10; ++round)
        for (std::size_t i = 0; i < all.size(); ++i)
            calls.emplace_back(i, all[i].async_call(request::get("/rest/api/3/myself"), asio::use_future));
    for (auto& [i, pending] : calls) {
        auto const r = pending.get();
        REQUIRE(r.has_value());
        CHECK(std::string_view(r->body()).find(f.jira.world().connections()[i].account_id) != std::string_view::npos);
    }
    auto const s = f.jira.snapshot();
    CHECK(s.isolation_violations == 0);
    CHECK(s.sni_mismatches == 0);
    CHECK(s.unauthorized == 0);
}
