#include "support/catch.hpp"
#include "support/figure.hpp"

#include "engine_world.hpp"

#include <algorithm>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

namespace {

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
    figure("waiters_at_expiry_refreshes", static_cast<double>(w.jira().token_requests));
    CHECK(w.jira().token_requests == 1);
    INFO(joined(w.jira().violations));
    CHECK(w.jira().violations.empty());
}

TEST_CASE("sim: 10,000 calls that wait at a token's expiry share one refresh, as does a call that comes for it") {
    model_params m;
    m.sites = 1;
    m.get_rate = 1e9;
    m.token_lifetime = 600s;
    engine_world w(m, unlimited(), 11);
    w.add_all();
    w.time().run_until(w.time().now() + 10s);
    REQUIRE(w.jira().refreshes == 1);
    w.jira().params().faults.token_down = 1;
    w.time().run_until(w.time().now() + 600s);  // the token ran out
    for (int i = 0; i < 10'000; ++i) w.start(0, request::get("/rest/api/3/myself"), 200s);
    w.time().run_until(w.time().now() + 1s);
    auto const before = w.jira().token_requests;
    w.jira().params().faults.token_down = 0;
    w.time().run_until(w.time().now() + 200s);
    CHECK(w.totals.succeeded == 10'000);
    figure("waiters_at_outage_end_refreshes", static_cast<double>(w.jira().token_requests - before));
    CHECK(w.jira().token_requests - before == 1);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE("sim: 10,000 late 401s of an old token lead to one refresh, and all calls succeed") {
    model_params m;
    m.sites = 1;
    m.get_rate = 1e9;
    m.latency = 1s;
    m.faults.slow = 0.5;  // so half of them come when the next token is already there
    auto p = unlimited();
    p.pool.max_channels = 10'000;
    p.pool.max_dialing = 10'000;
    p.pool.max_share_of_site = 1;                               // all at once, of one site
    p.tokens.exchange_timeout = p.tokens.overtake_after = 30s;  // that endpoint is slow, not silent
    engine_world w(m, p, 12);
    w.add_all();
    w.time().run_until(w.time().now() + 10s);
    REQUIRE(w.jira().refreshes == 1);
    for (int i = 0; i < 10'000; ++i) w.start(0, request::get("/rest/api/3/myself"), 60s);
    w.time().run_until(w.time().now() + 3400ms);  // dialled and sent, not arrived
    w.jira().revoke(0);
    w.time().run_until(w.time().now() + 60s);
    CHECK(w.totals.succeeded == 10'000);
    CHECK(w.jira().unauthorized == 10'000);
    CHECK(w.stats().token_late_rejections.value() >= 50);
    figure("late_401s", static_cast<double>(w.jira().unauthorized));
    figure("late_401s_refreshes", static_cast<double>(w.jira().refreshes - 1));
    CHECK(w.jira().refreshes == 2);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
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
    figure("token_outage_failed_calls", static_cast<double>(w.totals.started - w.totals.succeeded));
    figure("token_outage_attempts_per_minute",
           static_cast<double>(w.jira().token_requests - attempts) / (20 * 3500 / 60.0));
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
    figure("refresh_peak_over_mean", static_cast<double>(peak) / mean);
    figure("token_waits_while_valid", static_cast<double>(w.stats().token_waits.value() - waits));
    CHECK(static_cast<double>(peak) <= 2 * mean);
    CHECK(w.jira().violations.empty());
}

TEST_CASE(
    "sim: after a night's sleep the refreshes of 2,000 credentials spread, and no call carries an expired token") {
    model_params m;
    m.sites = 2000;
    m.get_rate = 1e9;
    engine_world w(m, unlimited(), 13);
    w.add_all();
    w.time().run_until(w.time().now() + 60s);
    auto const before = w.jira().refresh_times.size();
    w.sleep(8h);
    for (std::size_t i = 0; i < 20; ++i) w.start(i, request::get("/rest/api/3/myself"), 5s);
    auto const woke = w.time().now();
    w.time().run_until(woke + 90s);
    CHECK(w.totals.succeeded == 20);
    auto const& times = w.jira().refresh_times;
    REQUIRE(times.size() == before + 2000);
    auto const in_first = static_cast<double>(std::count_if(times.begin() + static_cast<long>(before), times.end(),
                                                            [&](steady_time t) { return t < woke + 5s; }));
    CHECK(in_first <= 20 + 2 * 2000 * 5 / 60.0);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE("sim: steps of the wall clock by an hour move no refresh") {
    std::vector<steady_time> undisturbed;
    for (auto const step : {0h, 1h, -1h}) {
        model_params m;
        m.sites = 50;
        engine_world w(m, unlimited(), 14);
        w.add_all();
        w.time().run_until(w.time().now() + 10min);
        w.time().step_wall_clock(step);
        w.time().run_until(w.time().now() + 3h);
        if (step == 0h) undisturbed = w.jira().refresh_times;
        CHECK(undisturbed.size() >= 250);
        CHECK(w.jira().refresh_times == undisturbed);
        w.finish();
        CHECK(joined(w.jira().violations) == "");
    }
}
