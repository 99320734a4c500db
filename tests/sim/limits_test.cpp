#include "support/catch.hpp"

#include "support/figure.hpp"
#include "support/sanitized.hpp"

#include "engine_world.hpp"

#include <algorithm>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

TEST_CASE("sim: with half again of what is permitted, few 429s, nearly all used from the first seconds, no call late") {
    double worst_429 = 0, worst_use = 1, slowest = 0;
    for (double const rate : {5.0, 20.0, 60.0, 150.0}) {
        if (test::sanitized && rate > 100) continue;  // the figures have all of them
        model_params m;
        m.sites = 10;
        m.get_rate = rate;
        engine_world w(m, {}, 4);
        w.add_all();
        w.time().run_until(w.time().now() + 5s);
        auto const begun = w.time().now();
        constexpr int length = 120;
        std::vector<double> accepted{0};  // up to each second
        auto const every = std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(1 / (1.5 * rate)));
        for (auto now = begun; now < begun + std::chrono::seconds(length); now += every) {
            w.time().run_until(now);
            if (now >= begun + accepted.size() * 1s) accepted.push_back(static_cast<double>(w.jira().accepted));
            for (std::size_t i = 0; i < 10; ++i) w.start(i, request::get("/rest/api/3/myself"), 5s);
        }
        w.time().run_until(begun + std::chrono::seconds(length));
        accepted.push_back(static_cast<double>(w.jira().accepted));
        w.time().run_until(begun + std::chrono::seconds(length + 10));
        // Converged: from then on each ten seconds use what is permitted.
        double converged = 0;
        for (std::size_t s = 0; s + 10 < accepted.size(); ++s)
            if (accepted[s + 10] - accepted[s] < 0.95 * rate * 10 * 10) converged = static_cast<double>(s) + 1;
        INFO("rate " << rate);
        CHECK(converged <= 30);
        slowest = std::max(slowest, converged);
        worst_429 = std::max(worst_429, static_cast<double>(w.jira().limited) / static_cast<double>(w.jira().requests));
        worst_use = std::min(worst_use, accepted.back() / (rate * 10 * length));
        CHECK(w.totals.succeeded + w.totals.limited == w.totals.started);
        CHECK(w.totals.failed == 0);
        w.finish();
        CHECK(w.jira().violations.empty());
    }
    figure("limits_429_share", worst_429);
    figure("limits_use", worst_use);
    figure("limits_converged_s", slowest);
    CHECK(worst_429 <= 0.005);
    CHECK(worst_use >= 0.95);
}

TEST_CASE("sim: an hourly quota is spread, not run into, and closes nothing but its app at its site") {
    model_params m;
    m.sites = 4;
    m.get_rate = 100;
    m.tenant_quota = 2000;  // 1000 calls an hour at two points each
    engine_world w(m, {}, 15);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    auto const begun = w.time().now();
    // One call a second would be 3600 an hour.
    for (auto now = begun; now < begun + 3h; now += 1s) {
        w.time().run_until(now);
        w.start(0, request::get("/rest/api/3/myself"), 60s);
    }
    w.time().run_until(begun + 3h + 2min);
    CHECK(static_cast<double>(w.totals.succeeded) >= 0.97 * 3 * 1000);
    CHECK(w.jira().limited <= 3);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("sim: a quota of an app over its sites closes all of them, on every shard, and no other app's") {
    model_params m;
    m.sites = 40;
    m.sites_per_app = 20;
    client_params p;
    engine_world w(m, p, 16, 4);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    auto const begun = w.time().now();
    w.jira().close(jira_model::scope::app, 0, "/", begun + 60s);
    w.start(0, request::get("/rest/api/3/myself"), 5s);
    w.time().run_until(begun + 1s);
    REQUIRE(w.jira().limited == 1);
    for (std::size_t i = 0; i < 40; ++i) w.start(i, request::get("/rest/api/3/myself"), 5s);
    w.time().run_until(begun + 10s);
    CHECK(w.jira().limited == 1);
    CHECK(w.totals.succeeded == 20);
    CHECK(w.totals.limited == 21);
    w.time().run_until(begun + 70s);
    for (std::size_t i = 0; i < 40; ++i) w.start(i, request::get("/rest/api/3/myself"), 5s);
    w.time().run_until(begun + 80s);
    CHECK(w.totals.succeeded == 60);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("sim: shards share an app's quota over its sites: all of it is used, spread to the end of the hour") {
    model_params m;
    m.sites = 20;
    m.sites_per_app = 20;
    m.get_rate = 100;
    m.global_quota = 4000;  // 2000 calls an hour at two points each
    engine_world w(m, {}, 18, 4);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    auto const begun = w.time().now();
    // One call a second would be 3600 an hour; now and then one site has them all.
    std::size_t n = 0;
    std::vector<std::uint64_t> accepted;  // up to each ten minutes
    for (auto now = begun; now < begun + 3h; now += 1s) {
        w.time().run_until(now);
        if ((now - begun) % 10min == 0s) accepted.push_back(w.jira().accepted);
        bool const one_site = (now - begun) / 10min % 2 == 1;
        w.start(one_site ? 7 : n++ % 20, request::get("/rest/api/3/myself"), 60s);
    }
    w.time().run_until(begun + 3h + 2min);
    CHECK(static_cast<double>(w.totals.succeeded) >= 0.97 * 3 * 2000);
    // From 80 % of use on, 400 calls are left for some 2000 s.
    for (std::size_t i = 1; i < accepted.size(); ++i) CHECK(accepted[i] - accepted[i - 1] >= 100);
    CHECK(w.jira().limited <= 3);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("sim: in shadow mode calls go as they come, and what they would have waited for is counted") {
    model_params m;
    m.sites = 1;
    m.get_rate = 10;
    client_params p;
    p.limits.mode = limiting::shadow;
    engine_world w(m, p, 17);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    auto const begun = w.time().now();
    for (int i = 0; i < 100; ++i) {
        w.time().run_until(begun + i * 50ms);  // twice what is permitted
        w.start(0, request::get("/rest/api/3/myself"), 1s);
    }
    w.time().run_until(begun + 60s);
    CHECK(w.stats().limit_waits.value() == 0);
    CHECK(w.jira().limited > 20);
    std::uint64_t waits = 0;
    for (std::size_t i = 0; i <= histogram::bounds.size(); ++i) waits += w.stats().shadow_waits.bucket(i);
    CHECK(waits >= 5);
    CHECK(w.stats().shadow_refusals.value() >= 20);
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

namespace {

struct paused_run {
    std::uint64_t others = 0;    ///< calls of the other scopes that succeeded
    std::uint64_t told = 0;      ///< 429s of the paused scope until its end
    std::uint64_t again = 0;     ///< … behind it
    std::uint64_t returned = 0;  ///< its calls that succeeded behind it
    std::vector<std::string> violations;
};

/// Ten sites at four fifths of what they may; one scope of the first is closed for a minute.
paused_run run_paused(std::optional<jira_model::scope> what) {
    model_params m;
    m.sites = 10;
    m.get_rate = 20;
    m.post_rate = 20;
    engine_world w(m, {}, 8);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    auto const begun = w.time().now();
    bool const issue = what == jira_model::scope::issue;
    bool const route = what == jira_model::scope::route || what == jira_model::scope::other_product;
    bool const whole_site = what && !route && !issue;
    char const* const target = issue ? "/rest/api/3/issue/A-1" : "/rest/api/3/field";
    if (what) w.jira().close(*what, 0, target, begun + 60s);
    paused_run r;
    for (auto now = begun; now < begun + 120s; now += 80ms) {
        w.time().run_until(now);
        if (now < begun + 60s) r.told = w.jira().limited;
        auto const count = [&](std::uint64_t& n) {
            return [&n](result<response> const& got) { n += got && got->ok(); };
        };
        // Writes to one issue are limited by themselves to 3 a second.
        if (!issue || (now - begun) % 480ms == 0ms)
            w.start(0, issue ? request::put(target).json("{}") : request::get(target), 2s,
                    [&, now](result<response> const& got) { r.returned += now > begun + 60s && got && got->ok(); });
        for (std::size_t i = whole_site ? 1 : 0; i < 10; ++i)
            w.start(i, request::get("/rest/api/3/myself"), 2s, count(r.others));
        auto const other_issue = "/rest/api/3/issue/B-" + std::to_string((now - begun) / 80ms % 9);
        if (issue) w.start(0, request::put(other_issue).json("{}"), 2s, count(r.others));
    }
    w.time().run_until(begun + 150s);
    r.again = w.jira().limited - r.told;
    w.finish();
    r.violations = w.jira().violations;
    return r;
}

}  // namespace

TEST_CASE(
    "sim: a paused scope, each reason in turn, costs the others nothing and is entered again without a second 429") {
    using scope = jira_model::scope;
    double least = 1, most_again = 0;
    std::size_t entered = 0;
    for (auto const what : {scope::route, scope::issue, scope::site_unknown, scope::site_no_reason, scope::tenant,
                            scope::app, scope::account_cost, scope::account_calls, scope::other_product}) {
        bool const whole_site = what != scope::route && what != scope::issue && what != scope::other_product;
        auto const paused = run_paused(what);
        auto undisturbed = run_paused(std::nullopt);
        if (what == scope::issue) undisturbed.others += 1500;  // the other issues' writes, all of which succeed
        if (whole_site) undisturbed.others -= 1500;            // the closed site has no other scopes
        INFO("scope " << static_cast<int>(what) << ": others " << paused.others << " of " << undisturbed.others
                      << ", told " << paused.told << ", again " << paused.again << ", returned " << paused.returned);
        CHECK(paused.told >= 1);
        CHECK(paused.returned >= (what == scope::issue ? 100 : 700));
        least = std::min(least, static_cast<double>(paused.others) / static_cast<double>(undisturbed.others));
        most_again = std::max(most_again,
                              static_cast<double>(paused.again) / static_cast<double>(paused.again + paused.returned));
        entered += paused.violations.size();
        for (auto const& v : paused.violations) UNSCOPED_INFO(v);
        CHECK(paused.violations.empty());
    }
    figure("paused_others_throughput", least);
    figure("paused_scope_entered", static_cast<double>(entered));
    figure("paused_second_429_share", most_again);
    CHECK(least >= 0.99);
    CHECK(most_again <= 0.05);
}
