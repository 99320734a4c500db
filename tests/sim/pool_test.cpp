#include "support/catch.hpp"

#include "pool_world.hpp"

#include <algorithm>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

namespace {

using acquire = pool_world::acquire;
using leases = std::vector<acquire*>;

std::uint64_t dials(pool_world const& w, dial_purpose p) { return total(w.stats.dials[static_cast<std::size_t>(p)]); }
std::uint64_t closed(pool_world const& w, close_reason r) {
    return w.stats.channels_closed[static_cast<std::size_t>(r)].value();
}

}  // namespace

TEST_CASE("origin_pool: a site that has all the channels it may have waits, dials none and is in nobody's way") {
    client_params p;
    p.pool.max_channels = 8;
    p.pool.max_share_of_site = 0.25;
    fair_flow hog, other;
    pool_world w(p, 1);
    leases held;
    for (int i = 0; i < 5; ++i) held.push_back(w.begin(hog, 60s));
    w.pass(1s);
    CHECK(hog.held() == 2);
    CHECK(hog.waiting() == 3);
    CHECK(total(w.stats.channels_opened) == 2);
    auto* const quiet = w.lease(other);
    CHECK(quiet->ended_at - quiet->started == 60ms);  // a dial of its own
    quiet->lease.give_back();
    w.settle();
    // An idle channel is there, and still not the hog's.
    CHECK(w.pool->look().idle == 1);
    CHECK(hog.waiting() == 3);
    held[0]->lease.give_back();
    w.settle();
    CHECK(held[2]->is == acquire::state::leased);
    // A channel that is closed lets the next one have the idle one.
    held[1]->lease.close(close_reason::broken);
    w.settle();
    CHECK(held[3]->is == acquire::state::leased);
    CHECK(w.pool->look().idle == 0);
    CHECK(hog.waiting() == 1);
    CHECK(w.stats.site_cap_waits.value() == 0);  // they waited for dials at first
    held.push_back(w.begin(hog, 1s));
    w.settle();
    CHECK(w.stats.site_cap_waits.value() == 1);
}

TEST_CASE("origin_pool: a site may fill its part of the queue only") {
    client_params p;
    p.pool.max_channels = 2;
    p.pool.max_queue = 10;
    fair_flow hog, other;
    pool_world w(p, 1);
    leases calls;
    for (int i = 0; i < 8; ++i) calls.push_back(w.begin(hog, 10s));
    w.settle();
    CHECK(hog.waiting() == 5);
    CHECK(calls[5]->error == errc::queue_full);
    auto* const quiet = w.lease(other);
    CHECK(quiet->is == acquire::state::leased);
}

TEST_CASE("origin_pool: a channel in use is replaced before its end, so that no call meets a dial because of it") {
    struct use {
        steady_duration every;
        steady_duration lasts;
    };
    for (auto const u : {use{100ms, 20ms}, use{4s, 100ms}, use{40s, 1s}, use{31s, 30s}}) {
        fair_flow site;
        pool_world w({}, 7);
        auto const end = w.now() + 6h;
        steady_duration longest{};
        int calls = 0;
        while (w.now() < end) {
            auto* const a = w.lease(site);
            if (++calls > 1) longest = std::max(longest, a->ended_at - a->started);
            w.pass(u.lasts);
            a->lease.give_back();
            w.pass(u.every - u.lasts);
            REQUIRE(w.pool->look().open <= 2);
        }
        INFO("used every " << u.every / 1ms << " ms");
        CHECK(longest == 0ms);
        CHECK(dials(w, dial_purpose::waiting) == 1);
        // 36 lifetimes of 8 to 10 minutes.
        CHECK(dials(w, dial_purpose::replace) >= 36);
        CHECK(dials(w, dial_purpose::replace) <= 46);
    }
}

TEST_CASE("origin_pool: a channel that nobody uses is not replaced") {
    fair_flow site;
    pool_world w({}, 7);
    w.lease(site)->lease.give_back();
    w.pass(1h);
    CHECK(w.pool->look().open == 0);
    CHECK(dials(w, dial_purpose::replace) == 0);
    CHECK(closed(w, close_reason::idle_timeout) == 1);
}

TEST_CASE("origin_pool: min_idle channels are dialled ahead at the first use, and kept up") {
    client_params p;
    p.pool.min_idle = 3;
    fair_flow site;
    pool_world w(p, 3);
    w.pass(10s);
    CHECK(w.pool->look().open == 0);
    w.lease(site);
    w.pass(100ms);
    CHECK(w.pool->look().idle == 3);
    auto* const second = w.lease(site);
    CHECK(second->ended_at == second->started);
    w.pass(100ms);
    CHECK(w.pool->look().idle == 3);
    CHECK(dials(w, dial_purpose::prewarm) == 4);
    // The server closes all; the next sweep sees it.
    for (auto* const c : w.channels) c->open = false;
    w.pass(6s);
    CHECK(w.pool->look().idle == 3);
    // The origin refuses: idle channels end, and one dial alone tries again, ever more slowly.
    w.next_dial = [] { return pool_world::plan{false, 1ms}; };
    auto const before = dials(w, dial_purpose::prewarm);
    w.pass(10min);
    CHECK(w.pool->look().idle == 0);
    CHECK(dials(w, dial_purpose::prewarm) - before >= 100);
    CHECK(dials(w, dial_purpose::prewarm) - before <= 600 / 5 * 2 + 13);
    w.next_dial = [] { return pool_world::plan{}; };
    w.pass(6s);
    CHECK(w.pool->look().idle == 3);
}

TEST_CASE(
    "origin_pool: an origin that refuses is not dialled at the rate of its calls, and served as soon as it accepts") {
    client_params p;
    fair_flow site;
    pool_world w(p, 5);
    w.next_dial = [] { return pool_world::plan{false, 1ms}; };
    leases calls;
    for (int i = 0; i < 6000; ++i) {
        calls.push_back(w.begin(site, 30s));
        w.pass(10ms);
    }
    steady_duration longest{};
    std::size_t refused = 0;
    for (auto const* a : calls) {
        if (a->is == acquire::state::waiting) continue;
        refused += a->error == errc::connect_failed;
        longest = std::max(longest, a->ended_at - a->started);
    }
    // 100 ms to 5 s doubling, then one each 2.5 to 5 s.
    CHECK(total(w.stats.dials[0]) <= 7 + 24);
    CHECK(total(w.stats.dials[0]) >= 6 + 10);
    CHECK(w.stats.dial_backoffs.value() == total(w.stats.dials[0]));
    CHECK(refused >= 5000);
    CHECK(longest <= 5s + 1ms);
    w.next_dial = [] { return pool_world::plan{}; };
    w.pass(5100ms);
    CHECK(calls.back()->is == acquire::state::leased);
    CHECK(w.pool->look().backing_off == false);
}

TEST_CASE("origin_pool: dials that fail at the same time count as one failure in a row") {
    client_params p;
    fair_flow site;
    pool_world w(p, 5);
    int n = 0;
    w.next_dial = [&n] { return pool_world::plan{false, std::chrono::milliseconds(1 + n++)}; };
    leases calls;
    for (int i = 0; i < 16; ++i) calls.push_back(w.begin(site, 30s));
    w.pass(30ms);
    CHECK(n == 16);
    CHECK(w.stats.dial_backoffs.value() == 1);
    w.next_dial = [] { return pool_world::plan{}; };
    auto* const next = w.lease(site);
    CHECK(next->ended_at - next->started <= 100ms + 60ms);
}
