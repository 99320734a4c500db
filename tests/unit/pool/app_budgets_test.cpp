#include "support/catch.hpp"

#include "engine/app_budgets.hpp"
#include "support/points.hpp"

#include <jirapool/core/random.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::detail;
using namespace std::chrono_literals;
using support::half_past;
using support::left;
using support::t0;

TEST_CASE("app_budgets: what one shard learns of an app the others find, and of no other app") {
    auto const all = std::make_shared<shared_budgets>();
    app_budgets a(all), b(all);
    std::uint32_t one = 0, other = 0, mine = 0;
    CHECK_FALSE(b.find(1, one));
    a.learn(1);
    REQUIRE(a.find(1, mine));
    CHECK_FALSE(b.find(2, other));
    auto const share = b.find(1, one);
    REQUIRE(share);
    CHECK(b.find(1, one) == share);
    a.find(1, mine)->close(t0 + 10min, t0);
    CHECK(share->closed(t0 + 1s));
    // Who looked in vain looks again when another budget was made.
    a.learn(2);
    REQUIRE(b.find(2, other));
    CHECK_FALSE(b.find(2, other)->closed(t0 + 1s));
}

TEST_CASE("app_budgets: one that nobody uses is forgotten, but not while it is closed") {
    auto const all = std::make_shared<shared_budgets>();
    app_budgets a(all), b(all);
    a.learn(1);
    std::uint32_t looked = 0;
    a.find(1, looked)->close(t0 + 10min, t0);
    a.forget_unused({}, t0 + 1min);
    std::uint32_t elsewhere = 0;
    REQUIRE(b.find(1, elsewhere));
    CHECK(b.find(1, elsewhere)->closed(t0 + 1min));
    a.forget_unused({}, t0 + 11min);
    b.forget_unused({}, t0 + 11min);
    looked = 0;
    CHECK_FALSE(a.find(1, looked));
    a.learn(1);
    REQUIRE(b.find(1, elsewhere));
    CHECK_FALSE(b.find(1, elsewhere)->closed(t0 + 1min));
    // Thousands that come and go leave nothing behind.
    for (std::uint64_t app = 10; app < 5'000; ++app) {
        a.learn(app);
        a.forget_unused({1}, t0);
    }
    CHECK(all->size() <= 64);
}

TEST_CASE("app_budgets: shards on threads of their own give no call too many") {
    auto const budget = std::make_shared<app_budget>();
    budget->on_answer(left(20'000), t0, half_past);
    std::atomic<int> calls{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            random_engine random(static_cast<std::uint64_t>(i));
            auto share = std::make_unique<budget_share>(budget);
            for (auto now = t0; now < t0 + 30min; now += 50ms) {
                if (random() % 1'000 == 0) share = std::make_unique<budget_share>(budget);
                if (share->earliest(now) > now) continue;
                share->take(now);
                calls.fetch_add(1);
                share->on_permitted();
            }
        });
    for (auto& t : threads) t.join();
    CHECK(calls.load() <= 10'000);
    CHECK(calls.load() >= 9'000);
}
