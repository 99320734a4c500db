#include "support/catch.hpp"
#include "support/sanitized.hpp"

#include "mixed_world.hpp"

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
