#include "support/catch.hpp"

#include "engine_world.hpp"

#include <algorithm>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

namespace {

std::string joined(std::vector<std::string> const& lines) {
    std::string all;
    for (auto const& l : lines) all += l + "; ";
    return all;
}

client_params unlimited() {
    client_params p;
    p.limits.mode = limiting::off;
    return p;
}

}  // namespace

TEST_CASE("sim: 10,000 calls that wait for one token share one refresh") {
    model_params m;
    m.sites = 1;
    m.get_rate = 1e9;
    engine_world w(m, unlimited(), 1);
    w.add_all();
    for (int i = 0; i < 10'000; ++i) w.start(0, request::get("/rest/api/3/myself"), 60s);
    w.time().run_until(w.time().now() + 60s);
    CHECK(w.totals.succeeded == 10'000);
    CHECK(w.jira().token_requests == 1);
    INFO(joined(w.jira().violations));
    CHECK(w.jira().violations.empty());
}

TEST_CASE("sim: a token endpoint that is down for nine tenths of what is left of a lifetime fails no call") {
    model_params m;
    m.sites = 20;
    m.get_rate = 1e9;
    engine_world w(m, unlimited(), 2);
    w.add_all();
    w.time().run_until(w.time().now() + 10s);
    REQUIRE(w.jira().refreshes == 20);
    // Down before the first renewal, up again before the last token may not be used any more.
    w.jira().params().faults.token_down = 1;
    auto const begun = w.time().now();
    auto const attempts = w.jira().token_requests;
    while (w.time().now() < begun + 3500s) {
        for (std::size_t i = 0; i < 20; ++i) w.start(i, request::get("/rest/api/3/myself"), 5s);
        w.time().run_until(w.time().now() + 10s);
    }
    w.jira().params().faults.token_down = 0;
    w.time().run_until(w.time().now() + 120s);
    CHECK(w.totals.failed == 0);
    CHECK(w.totals.succeeded == w.totals.started);
    CHECK(w.jira().token_requests - attempts < 20 * 60);  // one a minute each, after the first doublings
    CHECK(w.jira().violations.empty());
}

TEST_CASE("sim: 1,000 credentials loaded in one second renew spread out, and no call waits while a token is valid") {
    model_params m;
    m.sites = 1000;
    engine_world w(m, unlimited(), 3);
    w.add_all();
    w.time().run_until(w.time().now() + 60s);
    REQUIRE(w.jira().refreshes == 1000);
    auto const waits = w.stats().token_waits.value();
    auto const begun = w.time().now();
    for (auto now = begun; now < begun + 2h; now += 60s) {
        w.time().run_until(now);
        for (std::size_t i = 0; i < 1000; i += 7) w.start(i, request::get("/rest/api/3/myself"), 30s);
    }
    w.time().run_until(begun + 2h);
    CHECK(w.stats().token_waits.value() == waits);
    CHECK(w.totals.succeeded == w.totals.started);
    // Peak over any five minutes against the mean.
    auto times = w.jira().refresh_times;
    times.erase(times.begin(), times.begin() + 1000);
    std::size_t peak = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
        auto const end = std::upper_bound(times.begin(), times.end(), times[i] + 300s);
        peak = std::max(peak, static_cast<std::size_t>(end - times.begin()) - i);
    }
    double const mean = static_cast<double>(times.size()) / (2 * 12.0);  // five-minute spans in two hours
    INFO("peak " << peak << ", mean " << mean);
    CHECK(static_cast<double>(peak) <= 2 * mean);
    CHECK(w.jira().violations.empty());
}
