#include "support/catch.hpp"

#include "engine_world.hpp"

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

TEST_CASE("sim: with half again of what is permitted, few 429s, nearly all used, and no call ends late") {
    model_params m;
    m.sites = 10;
    m.get_rate = 20;
    engine_world w(m, {}, 4);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    auto const begun = w.time().now();
    for (auto now = begun; now < begun + 120s; now += 100ms / 3) {
        w.time().run_until(now);
        for (std::size_t i = 0; i < 10; ++i) w.start(i, request::get("/rest/api/3/myself"), 5s);
    }
    w.time().run_until(begun + 120s);
    auto const accepted = w.jira().accepted;
    w.time().run_until(begun + 130s);
    CHECK(static_cast<double>(w.jira().limited) <= 0.005 * static_cast<double>(w.jira().requests));
    CHECK(static_cast<double>(accepted) >= 0.95 * 20 * 10 * 120);
    CHECK(w.totals.succeeded + w.totals.limited == w.totals.started);
    CHECK(w.totals.late == 0);
    CHECK(w.totals.failed == 0);
    CHECK(w.jira().violations.empty());
}
