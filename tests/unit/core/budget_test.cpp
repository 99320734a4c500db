#include "support/catch.hpp"
#include "support/points.hpp"

#include <jirapool/core/random.hpp>
#include <jirapool/core/shared_quota.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;
using support::half_past;
using support::left;
using support::t0;

namespace {

/// Shards of one process: each has its share of one app's budget.
class shards {
public:
    explicit shards(std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) all.push_back(std::make_unique<budget_share>(budget));
    }
    bool call(std::size_t i, steady_time now) {
        if (all[i]->earliest(now) > now) return false;
        all[i]->take(now);
        return true;
    }
    std::shared_ptr<shared_quota> budget = std::make_shared<shared_quota>();
    std::vector<std::unique_ptr<budget_share>> all;
};

/// Gives what a test wants, and writes down what it is asked.
class scripted final : public budget_source {
public:
    budget_grant ask(std::uint32_t demand, steady_time) noexcept override {
        asked.push_back(demand);
        auto g = next;
        g.version = version();
        return g;
    }
    void give_back(budget_grant const& g) noexcept override { given_back.push_back(g.permits); }
    void spend(budget_grant& g, steady_time) noexcept override {
        if (g.permits == 0) {
            ++spent_without;
            return;
        }
        ++spent;
        --g.permits;
        g.from += g.every;
    }
    steady_time turn(std::size_t, steady_time now) const noexcept override { return now; }
    void on_answer(quota_item const&, steady_time, wall_time) noexcept override {}
    bool close(steady_time, steady_time) noexcept override { return true; }
    void on_permitted() noexcept override { ++permitted; }
    void reset() noexcept override {}
    void tell() noexcept { move_version(); }

    budget_grant next;
    std::vector<std::uint32_t> asked, given_back;
    int spent = 0, spent_without = 0, permitted = 0;
};

/// What Jira counts of it, and says past 80 %.
class counted {
public:
    explicit counted(double quota) : points(quota) {}
    /// @return what its answer says; nothing: it is a 429.
    std::optional<quota_item> call() {
        if (points < 2) return std::nullopt;
        points -= 2;
        return left(static_cast<std::int64_t>(points));
    }
    double points;
};

}  // namespace

TEST_CASE("budget: nothing is held back until an answer tells of it, and then on every shard at once") {
    shards s(4);
    for (std::size_t i = 0; i < 4; ++i)
        for (int n = 0; n < 100; ++n) CHECK(s.call(i, t0));
    s.all[0]->on_answer(left(36), t0, half_past);  // 18 calls in 1800 s
    int at_once = 0;
    for (std::size_t i = 0; i < 4; ++i)
        for (int n = 0; n < 100; ++n) at_once += s.call(i, t0);
    CHECK(at_once <= 1);
    // The hour is over.
    for (std::size_t i = 0; i < 4; ++i)
        for (int n = 0; n < 100; ++n) CHECK(s.call(i, t0 + 30min));
}

TEST_CASE("budget: a policy without what is left of it holds nothing back") {
    shards s(2);
    quota_item policy;
    policy.quota = 65'000;
    s.all[0]->on_answer(policy, t0, half_past);
    for (int n = 0; n < 100; ++n) CHECK(s.call(1, t0));
}

TEST_CASE("budget: shards together use what is left, all of it and no more, spread over the hour") {
    auto const seed = GENERATE(range(0u, 40u));
    random_engine random(seed);
    std::size_t const n = 1 + random() % 16;
    double const quota = 20 + static_cast<double>(random() % 20'000);
    // How much of all calls each shard has: some have hardly any, and it changes.
    std::vector<double> weight(n);
    auto const draw = [&] {
        for (auto& w : weight) w = random() % 3 == 0 ? 0.0 : uniform(random);
        weight[random() % n] += 0.5;
    };
    draw();
    shards s(n);
    counted jira(quota);
    s.all[0]->on_answer(left(static_cast<std::int64_t>(quota)), t0, half_past);
    int calls = 0, refused = 0, last_ten_minutes = 0;
    for (auto now = t0; now < t0 + 30min; now += 20ms) {
        if (random() % 5'000 == 0) draw();
        double at = uniform(random) * std::accumulate(weight.begin(), weight.end(), 0.0);
        std::size_t i = 0;
        while (i + 1 < n && at >= weight[i]) at -= weight[i++];
        if (!s.call(i, now)) continue;
        ++calls;
        auto const said = jira.call();
        if (!said) ++refused;
        else s.all[i]->on_answer(*said, now, half_past + std::chrono::duration_cast<wall_time::duration>(now - t0));
        last_ten_minutes += now >= t0 + 20min;
    }
    INFO("seed " << seed << ", " << n << " shards, " << quota << " points");
    CHECK(refused == 0);
    // One that has no calls any more may keep a permit in hand.
    double const possible = std::floor(quota / 2);
    CHECK(calls >= 0.98 * possible - static_cast<double>(n));
    CHECK(last_ten_minutes >= 0.3 * possible - static_cast<double>(n));
    CHECK(last_ten_minutes <= 0.37 * possible + static_cast<double>(n));
}

TEST_CASE("budget: who has all the calls has all the turns, and who has a few is not behind him for long") {
    shards s(8);
    s.all[0]->on_answer(left(36'000), t0, half_past);  // ten calls a second
    int busy = 0;
    auto longest = 0ms;
    std::optional<steady_time> waits;
    for (auto now = t0; now < t0 + 60s; now += 10ms) {
        for (int n = 0; n < 5; ++n) busy += s.call(0, now);
        if (!waits && (now - t0) % 3s == 0s) waits = now;
        if (waits && s.call(1, now)) {
            longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(now - *waits));
            waits.reset();
        }
    }
    CHECK(busy >= 560);
    CHECK(busy <= 600);
    CHECK(longest <= 1s);
}

TEST_CASE("budget: a 429 closes it for all, what they had in hand is void, and one call tries it for all of them") {
    shards s(8);
    s.all[0]->on_answer(left(1000), t0, half_past);
    for (std::size_t i = 0; i < 8; ++i) s.all[i]->earliest(t0);  // each has a permit in hand
    s.all[3]->close(t0 + 24h, t0 + 1s);
    int tried = 0;
    for (auto now = t0 + 1s; now < t0 + 24h; now += 10s)
        for (std::size_t i = 0; i < 8; ++i) {
            if (!s.all[i]->closed(now)) FAIL_CHECK("shard " << i << " takes it for open");
            if (!s.call(i, now)) continue;
            ++tried;
            s.all[i]->close(t0 + 24h, now);
        }
    CHECK(tried >= 22);
    CHECK(tried <= 24);
    int open = 0;
    for (std::size_t i = 0; i < 8; ++i) open += s.call(i, t0 + 24h);
    CHECK(open == 8);
}

TEST_CASE("budget: the answer of the call that tried it opens it for all, and an operator does") {
    shards s(4);
    s.all[0]->close(t0 + 24h, t0);
    auto const again = t0 + 1h + 1s;
    CHECK_FALSE(s.call(1, again - 1s));
    REQUIRE(s.call(1, again));
    CHECK_FALSE(s.call(2, again));
    s.all[3]->on_permitted();
    for (std::size_t i = 0; i < 4; ++i) CHECK(s.call(i, again + 1s));
    s.all[2]->close(t0 + 24h, again + 2s);
    CHECK_FALSE(s.call(0, again + 3s));
    s.all[1]->reset();
    for (std::size_t i = 0; i < 4; ++i) CHECK(s.call(i, again + 4s));
}

TEST_CASE("budget: what a shard had in hand goes back when it ends") {
    shards s(2);
    s.all[0]->on_answer(left(4), t0, half_past);  // two calls in 1800 s
    s.all[0]->earliest(t0);
    s.all[1]->earliest(t0);
    // Both turns are in hand.
    budget_share late(s.budget);
    CHECK(late.earliest(t0) == t0 + 30min);
    s.all[0].reset();
    CHECK(late.earliest(t0 + 1s) < t0 + 30min);
}

TEST_CASE("budget: permits in hand that what is left does not cover are void") {
    shards s(4);
    s.all[0]->on_answer(left(36'000), t0, half_past);
    for (auto const& share : s.all) share->earliest(t0);
    s.all[0]->on_answer(left(0), t0 + 1s, half_past);  // another program has the app's points too
    for (auto now = t0 + 1s; now < t0 + 30min; now += 1min)
        for (std::size_t i = 0; i < 4; ++i) CHECK_FALSE(s.call(i, now));
}

TEST_CASE("budget: a share uses what it has without asking, and gives back what its time is over for") {
    auto const source = std::make_shared<scripted>();
    budget_share share(source);
    source->next.permits = 3;
    source->next.from = t0 + 1s;
    source->next.every = 10s;
    source->next.until = t0 + 30s;
    CHECK(share.earliest(t0) == t0 + 1s);
    CHECK(share.earliest(t0 + 500ms) == t0 + 1s);
    CHECK(share.turn(2, t0) == t0 + 21s);
    CHECK(source->asked == std::vector<std::uint32_t>{1});
    share.take(t0 + 1s);
    CHECK(share.earliest(t0 + 2s) == t0 + 11s);
    CHECK_FALSE(share.closed(t0 + 29s));
    CHECK(source->given_back.empty());
    source->next.until = t0 + 90s;
    share.earliest(t0 + 30s);
    CHECK(source->given_back == std::vector<std::uint32_t>{2});
    CHECK(source->asked == std::vector<std::uint32_t>{1, 1});
    // All used in time: it asks for more, and for less again when that was too much.
    for (int i = 0; i < 3; ++i) share.take(t0 + 60s);
    share.earliest(t0 + 61s);
    CHECK(source->asked.back() == 2);
    for (int i = 0; i < 3; ++i) share.take(t0 + 62s);
    share.earliest(t0 + 63s);
    CHECK(source->asked.back() == 4);
    source->next.until = t0 + 200s;
    share.earliest(t0 + 95s);
    CHECK(source->asked.back() == 2);
    // It hears that all is changed.
    source->next.closed = true;
    CHECK_FALSE(share.closed(t0 + 96s));
    source->tell();
    CHECK(share.closed(t0 + 97s));
}

TEST_CASE("budget: a share without permits asks at each look, and says so when a call goes at last") {
    auto const source = std::make_shared<scripted>();
    budget_share share(source);
    source->next.from = t0 + 10s;
    CHECK(share.earliest(t0) == t0 + 10s);
    CHECK(share.earliest(t0 + 1s) == t0 + 10s);
    CHECK(source->asked == std::vector<std::uint32_t>{1, 1});
    share.take(t0 + 10s);
    CHECK(source->spent_without == 1);
    share.on_permitted();
    CHECK(source->permitted == 1);
    source->next.permits = budget_grant::unlimited;
    share.earliest(t0 + 11s);
    auto const asked = source->asked.size();
    for (int i = 0; i < 100; ++i) share.take(t0 + 12s);
    share.on_permitted();
    CHECK(source->asked.size() == asked);
    CHECK(source->spent == 0);
    CHECK(source->permitted == 1);
}

TEST_CASE("budget: when a call's turn comes that has others before it") {
    shards s(2);
    CHECK(s.all[0]->turn(50, t0) == steady_time::min());
    s.all[0]->on_answer(left(360), t0, half_past);  // 180 calls in 1800 s
    CHECK(s.all[0]->turn(0, t0) <= t0);
    auto const tenth = s.all[0]->turn(10, t0);
    CHECK(tenth >= t0 + 90s);
    CHECK(tenth <= t0 + 110s);
    CHECK(s.all[0]->turn(200, t0) == t0 + 30min);
    s.all[1]->close(t0 + 10min, t0);
    CHECK(s.all[0]->turn(3, t0) == t0 + 10min);
}
