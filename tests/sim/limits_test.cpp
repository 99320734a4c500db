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

TEST_CASE("sim: calls that wait for a channel with a permit do not enter a route that is paused meanwhile") {
    model_params m;
    m.sites = 1;
    client_params p;
    p.pool.max_channels = 1;
    engine_world w(m, p, 5);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    w.jira().close(jira_model::scope::route, 0, "/rest/api/3/issue/A-1", w.time().now() + 10s);
    // The first is on the wire; the others have permits and queue for the one channel.
    for (int i = 0; i < 3; ++i) w.start(0, request::get("/rest/api/3/issue/A-1"), 30s);
    w.time().run_until(w.time().now() + 40s);
    CHECK(w.jira().limited == 1);
    CHECK(w.totals.succeeded == 3);
    CHECK(w.jira().violations.empty());
}
