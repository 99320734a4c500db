#include "support/catch.hpp"
#include "support/figure.hpp"

#include "engine_world.hpp"

#include <algorithm>
#include <string>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

// Faults of 28 November 2026 that have to do with tokens, dials and resends.

namespace {

constexpr auto myself = "/rest/api/3/myself";
constexpr auto bulk_delete = "/rest/api/3/bulk/issues/delete";

model_params sites(std::size_t n) {
    model_params m;
    m.sites = n;
    m.get_rate = 1e9;
    m.post_rate = 1e9;
    return m;
}

void pass(engine_world& w, steady_duration d) { w.time().run_until(w.time().now() + d); }

/// One bulk operation after the other meets the fault for a while and is tried again: were a place lost with each, none
/// would be left of the five.
void check_bulk_places(double model_faults::* fault, bool without_channels) {
    client_params p;
    p.retries.budget_max = 1'000;
    p.retries.max_exchanges = 100;
    p.pool.dial_backoff = p.pool.dial_backoff_max = 50ms;
    engine_world w(sites(1), p, 31);
    w.add_all();
    pass(w, 10s);
    for (int i = 0; i < 10; ++i) {
        if (without_channels) pass(w, 2min);
        w.jira().params().faults.*fault = 1;
        w.start(0, request::post(bulk_delete).json("{}").resendable(true), 10s);
        pass(w, 500ms);
        REQUIRE(w.totals.ended() == static_cast<std::uint64_t>(i));
        w.jira().params().faults.*fault = 0;
        pass(w, 15s);
        CHECK(w.totals.succeeded == static_cast<std::uint64_t>(i + 1));
    }
    // All places at once: a dial and an exchange take 4 s, and one behind the other five would take 8.
    w.jira().params().latency = 1s;
    for (int i = 0; i < 5; ++i) w.start(0, request::post(bulk_delete).json("{}"), 6s);
    pass(w, 7s);
    CHECK(w.totals.succeeded == 15);
}

}  // namespace

TEST_CASE("faults: H3 a bulk operation that is sent again holds one place") {
    check_bulk_places(&model_faults::unsent, false);
}

TEST_CASE("faults: H3 a bulk operation that got no channel holds one place at its next try") {
    check_bulk_places(&model_faults::refused_dials, true);
}
