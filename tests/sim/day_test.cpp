// Long runs, hidden from ctest: tests/figures.sh simulator runs them in a Release build and reads what they print.
#include "support/catch.hpp"
#include "support/figure.hpp"

#include "mixed_world.hpp"

#include <cinttypes>
#include <cstdio>
#include <ctime>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

namespace {

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void show_violations(history const& h) {
    for (auto const& v : h.violations) std::fprintf(stderr, "JIRAPOOL_SIM_SEED=%" PRIu64 ": %s\n", h.seed, v.c_str());
}

}  // namespace

TEST_CASE("sim: a day of 10,000 sites under mixed faults", "[.figures]") {
    auto const cpu = cpu_seconds();
    // A world in which tokens live for half an hour and each site is two connections.
    auto const h = run_mixed_world(47, 10'000, 24h, 18.5);
    show_violations(h);
    figure("day_cpu_s", cpu_seconds() - cpu);
    figure("day_calls", static_cast<double>(h.totals.started));
    figure("day_refreshes", static_cast<double>(h.refreshes));
    figure("day_succeeded_share", static_cast<double>(h.totals.succeeded) / static_cast<double>(h.totals.started));
    figure("day_violations", static_cast<double>(h.violations.size()));
    figure("day_late", static_cast<double>(h.totals.late));
    CHECK(h.violations.empty());
    CHECK(h.totals.ended() == h.totals.started);
}

TEST_CASE("sim: two hours of 200 sites from 200 fresh seeds", "[.figures]") {
    auto const cpu = cpu_seconds();
    double worlds = 0, calls = 0, violations = 0;
    for (auto const seed : seeds(200)) {
        auto const h = run_mixed_world(seed, 200, 2h, 1);
        show_violations(h);
        ++worlds;
        calls += static_cast<double>(h.totals.started);
        violations += static_cast<double>(h.violations.size());
    }
    figure("seeds_worlds", worlds);
    figure("seeds_calls", calls);
    figure("seeds_cpu_s", cpu_seconds() - cpu);
    figure("seeds_violations", violations);
    CHECK(violations == 0);
}

TEST_CASE("sim: the traces of seeds, to be compared between compilers and around a change that moves code",
          "[.figures]") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        auto const h = run_mixed_world(seed, 100, 1h, 5);
        std::printf("trace %" PRIu64 " %016" PRIx64 " %" PRIu64 "\n", seed, h.trace, h.events);
    }
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        auto const mixed = run_mixed_world(seed, 20, 20min, 10);
        auto const naming = run_naming_world(seed);
        std::printf("traces %" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", seed, mixed.trace, naming.trace);
    }
}
