#include "support/catch.hpp"
#include "support/figure.hpp"

#include "engine_world.hpp"

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

// C1 of 28 November 2026: what the network swallows, in virtual time.

namespace {

constexpr auto myself = "/rest/api/3/myself";

std::uint64_t hedges(engine_world const& w) {
    return w.stats().resends[static_cast<std::size_t>(resend_reason::hedge)].value();
}

}  // namespace

TEST_CASE("faults: C1 a swallowed read of 30 s ends well within 5") {
    model_params m;
    m.sites = 3;
    m.get_rate = 1e6;
    engine_world w(m, {}, 61);
    w.add_all();
    w.time().run_until(w.time().now() + 2s);
    for (int i = 0; i < 500; ++i) {
        w.start(static_cast<std::size_t>(i) % m.sites, request::get(myself), 30s);
        w.time().run_until(w.time().now() + 20ms);
    }
    // Some channels to the gateway, which all sites share.
    for (int i = 0; i < 5; ++i) w.start(0, request::get(myself), 30s);
    w.time().run_until(w.time().now() + 2s);
    REQUIRE(w.totals.succeeded == w.totals.started);
    CHECK(hedges(w) == 0);
    auto const idle = w.stats().channels_idle.value();
    REQUIRE(idle >= 5);
    w.jira().stall_requests = 1;
    auto const begun = w.time().now();
    w.start(0, request::get(myself), 30s);
    while (w.totals.ended() < w.totals.started && w.time().now() < begun + 30s)
        w.time().run_until(w.time().now() + 10ms);
    CHECK(w.totals.succeeded == w.totals.started);
    CHECK(hedges(w) == 1);
    // What swallowed one may have swallowed all that were idle beside it; the token endpoint's are another's.
    CHECK(w.stats().channels_closed[static_cast<std::size_t>(close_reason::broken)].value() >= 4);
    double const took = std::chrono::duration<double>(w.time().now() - begun).count();
    figure("swallowed_read_seconds", took);
    CHECK(took <= 5);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("faults: C1 a swallowed read on a channel that answers others is hedged on another one, and ends neither") {
    model_params m;
    m.sites = 3;
    m.get_rate = 1e6;
    m.streams = 100;
    client_params p;
    p.wire.http = http_versions::either;
    engine_world w(m, p, 61);
    w.add_all();
    w.time().run_until(w.time().now() + 2s);
    for (int i = 0; i < 1'000; ++i) {
        if (i == 500) w.jira().stall_requests = 1;
        w.start(static_cast<std::size_t>(i) % m.sites, request::get(myself), 30s);
        w.time().run_until(w.time().now() + 15ms);
    }
    CHECK(w.totals.ended() >= w.totals.started - 5);  // the swallowed one, too
    w.time().run_until(w.time().now() + 1s);
    CHECK(w.totals.succeeded == w.totals.started);
    CHECK(hedges(w) == 1);
    CHECK(total(w.stats().channels_closed) == 0);
    // To the token endpoint, to the gateway, and the hedge's.
    CHECK(total(w.stats().channels_opened) == 3);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("faults: C1 in normal traffic hardly anything is hedged, and in none more than the budget") {
    for (bool const bad : {false, true}) {
        INFO(bad);
        model_params m;
        m.sites = 8;
        m.all_kinds = true;
        m.get_rate = 1e6;
        // Some take up to five seconds more each way, or never end.
        m.faults.slow = bad ? 0 : 0.0005;
        m.faults.stalled = bad ? 0.1 : 0.00005;
        engine_world w(m, {}, bad ? 62 : 63);
        w.add_all();
        w.time().run_until(w.time().now() + 2s);
        for (int i = 0; i < 40'000; ++i) {
            w.start(static_cast<std::size_t>(i) % m.sites, request::get(myself), 5s);
            w.time().run_until(w.time().now() + 20ms);
        }
        w.time().run_until(w.time().now() + 40s);
        auto const share = static_cast<double>(hedges(w)) / 40'000;
        figure(bad ? "hedges_share_when_bad" : "hedges_share", share);
        CHECK(share > 0);
        CHECK(share <= (bad ? 0.0125 : 0.001));
        w.finish();
        CHECK(w.jira().violations.empty());
    }
}

TEST_CASE("faults: C1 a hedge that is limited teaches the limiter, and none goes out where nothing may") {
    model_params m;
    m.sites = 1;
    m.get_rate = 1e6;
    engine_world w(m, {}, 64);
    w.add_all();
    w.time().run_until(w.time().now() + 2s);
    for (int i = 0; i < 200; ++i) {
        w.start(0, request::get(myself), 30s);
        w.time().run_until(w.time().now() + 20ms);
    }
    REQUIRE(w.totals.succeeded == 200);
    w.jira().stall_requests = 2;
    w.start(0, request::get(myself), 30s);
    w.time().run_until(w.time().now() + 300ms);
    w.start(0, request::get(myself), 30s);
    w.time().run_until(w.time().now() + 100ms);
    w.jira().close(jira_model::scope::site_unknown, 0, myself, w.time().now() + 40s);
    w.time().run_until(w.time().now() + 3s);
    // The hedge of the first is answered 429; behind it that of the second would be another.
    CHECK(w.jira().limited == 1);
    auto const requests = w.jira().requests;
    for (int i = 0; i < 10; ++i) {
        w.start(0, request::get(myself), 20s);
        w.time().run_until(w.time().now() + 500ms);
    }
    CHECK(w.jira().requests == requests);
    w.time().run_until(w.time().now() + 60s);
    w.finish();
    CHECK(w.jira().violations.empty());
}
