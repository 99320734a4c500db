#include "fixture.hpp"

#include <atomic>
#include <future>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

TEST_CASE("limits: a 429 pauses the route until Retry-After, and the call succeeds behind it") {
    fixture f;
    std::atomic<int> seen{0};
    f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        if (r.target.find("/myself") == std::string_view::npos || ++seen > 1) return std::nullopt;
        mock::scripted_reply limited(429, "<html>error429</html>");
        limited.headers = {{"Retry-After", "1"}, {"RateLimit-Reason", "jira-burst-based"}};
        return limited;
    });
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const begun = std::chrono::steady_clock::now();
    auto const r = call(c, request::post("/rest/api/3/myself").json("{}").timeout(10s));
    CHECK(std::chrono::steady_clock::now() - begun >= 1s);
    REQUIRE(r.has_value());
    CHECK(r->status() != 429);
    CHECK(seen == 2);
}

TEST_CASE("limits: a pause beyond the deadline delivers the 429 at once, and refuses the next call before it is sent") {
    fixture f;
    f.jira.set_intercept([&](mock::request_view const&) -> std::optional<mock::scripted_reply> {
        mock::scripted_reply limited(429);
        limited.headers = {{"Retry-After", "1847"}, {"RateLimit-Reason", "jira-quota-tenant-based"}};
        return limited;
    });
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const r = call(c, request::get("/rest/api/3/myself").timeout(10s));
    REQUIRE(r.has_value());
    CHECK(r->status() == 429);
    auto const sent = f.jira.snapshot().requests;
    auto const next = call(c, request::get("/rest/api/3/serverInfo").timeout(10s));
    REQUIRE_FALSE(next.has_value());
    CHECK(next.error().code() == errc::limited_past_deadline);
    REQUIRE(next.error().retry_after());
    CHECK(*next.error().retry_after() > 1800s);
    CHECK(f.jira.snapshot().requests == sent);
    // Another site is not concerned.
    f.jira.set_intercept({});
    auto const other = jira.add(f.config("service-0002")).value();
    CHECK(call(other, request::get("/rest/api/3/myself"))->status() == 200);
}

TEST_CASE(
    "faults: F3 an operator lets calls go into what is paused, and the answer of one opens it or closes it again") {
    for (auto const* const reason :
         {"jira-quota-tenant-based", "jira-burst-based", "jira-cost-based", "something-new"}) {
        INFO(reason);
        fixture f;
        std::atomic<bool> well{false};
        f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
            if (well || r.target.find("/rest/") == std::string_view::npos) return std::nullopt;
            mock::scripted_reply limited(429);
            limited.headers = {{"Retry-After", "3600"}, {"RateLimit-Reason", reason}};
            return limited;
        });
        runtime jira(1, f.params);
        auto const c = jira.add(f.config("service-0001")).value();
        CHECK_FALSE(jira.reset_limits("nobody"));
        auto const get = [&] { return call(c, request::get("/rest/api/3/myself").timeout(10s)); };
        REQUIRE(get().has_value());
        CHECK_FALSE(get().has_value());
        // Jira is not well: one call finds out, for all.
        CHECK(jira.reset_limits("service-0001"));
        auto const tried = get();
        REQUIRE(tried.has_value());
        CHECK(tried->status() == 429);
        CHECK_FALSE(get().has_value());
        well = true;
        CHECK(jira.reset_limits("service-0001"));
        for (int i = 0; i < 3; ++i) {
            auto const r = get();
            REQUIRE(r.has_value());
            CHECK(r->status() == 200);
        }
    }
}

TEST_CASE("limits: site-URL and cloud-ID connections of one site share its limits") {
    auto world = small_world();
    world.sites = 1;
    world.burst_scale = 0.1;
    fixture f(world);
    runtime jira(2, f.params);
    std::vector<connection> all;
    for (auto const& c : f.jira.world().connections())
        all.push_back(jira.add(fixture::config_of(f.jira.world(), c)).value());
    REQUIRE(eventually([&] {
        std::int64_t sites = 0, personal = 0;
        for (auto const& s : detail::stats_access::of(jira)) {
            sites += s->sites.value();
            personal += s->connections[0].value();
        }
        return sites == 1 && personal == 3;
    }));
    for (auto const& c : all) REQUIRE(call(c, request::get("/rest/api/3/myself")).has_value());
    std::vector<std::future<result<response>>> calls;
    for (int i = 0; i < 5; ++i)
        for (auto const& c : all) calls.push_back(c.async_call(request::get("/rest/api/3/myself"), asio::use_future));
    for (auto& pending : calls) {
        auto const r = pending.get();
        REQUIRE(r.has_value());
        CHECK(r->status() == 200);
    }
    CHECK(f.jira.snapshot().limited_total <= 1);
}
