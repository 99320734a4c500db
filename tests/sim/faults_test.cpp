#include "support/catch.hpp"
#include "support/sanitized.hpp"

#include "mixed_world.hpp"

#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

TEST_CASE("sim: a seed replays exactly") {
    auto const a = run_mixed_world(20261125, 20, 8min, 10);
    auto const b = run_mixed_world(20261125, 20, 8min, 10);
    CHECK(a.trace == b.trace);
    CHECK(a.events == b.events);
    CHECK(a.totals.succeeded == b.totals.succeeded);
    CHECK(run_mixed_world(20261126, 20, 8min, 10).trace != a.trace);
}

TEST_CASE("sim: under faults of every kind no invariant breaks") {
    // JIRAPOOL_SIM_SEED replays one; else fresh ones each run.
    for (auto const seed : seeds(test::sanitized ? 4 : 10)) {
        auto const h = run_mixed_world(seed, 50, 40min, 5);
        for (auto const& v : h.violations) {
            INFO("JIRAPOOL_SIM_SEED=" << seed << ": " << v);
            CHECK(false);
        }
        INFO("JIRAPOOL_SIM_SEED=" << seed);
        CHECK(h.totals.succeeded > h.totals.started / 8);
    }
}

TEST_CASE("sim: under faults of every kind no invariant breaks where channels carry many exchanges") {
    for (auto const seed : seeds(test::sanitized ? 3 : 10)) {
        auto const h = run_mixed_world(seed, 50, 40min, 5, http_versions::either);
        for (auto const& v : h.violations) {
            INFO("JIRAPOOL_SIM_SEED=" << seed << ": " << v);
            CHECK(false);
        }
        INFO("JIRAPOOL_SIM_SEED=" << seed);
        CHECK(h.totals.succeeded > h.totals.started / 8);
    }
}

TEST_CASE("sim: servers that end channels in the middle of their exchanges fail no call, and no write is done twice") {
    model_params m;
    m.sites = 20;
    m.get_rate = 1e6;
    m.post_rate = 1e6;
    m.streams = 100;
    m.faults.goes_away = 0.005;
    m.faults.limit_changes = 0.01;
    std::vector<std::string> failures;
    client_params p;
    p.wire.http = http_versions::either;
    p.retries.budget_ratio = 1;  // more is refused here than by any real server
    p.retries.budget_max = 1'000;
    engine_world w(m, p, 3);
    w.add_all();
    w.time().run_until(w.time().now() + 10s);
    for (std::size_t i = 0; i < 20'000; ++i) {
        auto const target = "/rest/api/3/issue?n=" + std::to_string(i);
        w.start(i % m.sites, i % 2 ? request::get("/rest/api/3/myself") : request::post(target).json("{}"), 30s,
                [&](result<response> const& got) {
                    if (!got) failures.push_back(got.error().describe());
                });
        w.time().run_until(w.time().now() + 1ms);
    }
    w.time().run_until(w.time().now() + 30s);
    CHECK(joined(failures) == "");
    CHECK(w.totals.succeeded == w.totals.started);
    CHECK(w.jira().duplicates == 0);
    CHECK(w.stats().channels_closed[static_cast<std::size_t>(close_reason::announced)].value() >= 80);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE("sim: nothing that was learned is forgotten by a change of name") {
    for (auto const seed : seeds(test::sanitized ? 25 : 60)) {
        auto const h = run_naming_world(seed);
        for (auto const& v : h.violations) {
            INFO("JIRAPOOL_SIM_SEED=" << seed << ": " << v);
            CHECK(false);
        }
        INFO("JIRAPOOL_SIM_SEED=" << seed);
        CHECK(h.totals.succeeded > h.totals.started / 8);
    }
}
