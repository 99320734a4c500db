// A virtual day of ten thousand sites. Hidden from ctest: tests/figures.sh decisions runs it and reads what it prints.
#include "support/catch.hpp"

#include "engine_world.hpp"

#include <cstdio>
#include <ctime>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

namespace {

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

TEST_CASE("sim: a day of 10000 sites under mixed faults", "[.figures]") {
    model_params m;
    m.sites = 10'000;
    m.get_rate = 5;
    m.post_rate = 2;
    m.faults.refused_dials = 0.05;
    m.faults.lost_before = 0.002;
    m.faults.lost_after = 0.002;
    m.faults.transient = 0.01;
    m.faults.token_down = 0.05;
    m.faults.early_401 = 0.0001;
    auto const cpu = cpu_seconds();
    engine_world w(m, {}, 24);
    w.add_all();
    random_engine random(24);
    auto const begun = w.time().now();
    std::uint64_t id = 0;
    while (w.time().now() < begun + 24h) {
        auto const site = random() % m.sites;
        if (random() % 4 == 0) {
            w.start(site, request::post("/rest/api/3/issue?n=" + std::to_string(id++)).json("{}"), 20s);
        } else {
            w.start(site, request::get("/rest/api/3/issue/A-1"), 20s);
        }
        w.time().run_until(w.time().now() + std::chrono::microseconds(random() % 110'000));
    }
    w.time().run_until(w.time().now() + 60s);
    auto const& t = w.totals;
    std::printf(
        "day_cpu_s %.1f\nday_calls %llu\nday_refreshes %llu\nday_succeeded_share %.6f\nday_violations %zu\nday_late "
        "%llu\n",
        cpu_seconds() - cpu, static_cast<unsigned long long>(t.started),
        static_cast<unsigned long long>(w.jira().refreshes),
        static_cast<double>(t.succeeded) / static_cast<double>(t.started), w.jira().violations.size(),
        static_cast<unsigned long long>(t.late));
    CHECK(w.jira().violations.empty());
    CHECK(t.succeeded + t.limited + t.failed == t.started);
    CHECK(t.late == 0);
}
