// Channels that carry several exchanges at once.
#include "support/catch.hpp"

#include "pool_world.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <deque>
#include <utility>
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

/// HTTP/2 may be spoken.
struct world : pool_world {
    world(client_params p, std::uint64_t seed) : pool_world(std::move(p), seed, http_versions::either) {}
};

client_params without_shares(std::size_t max_channels = 256) {
    client_params p;
    p.pool.max_channels = max_channels;
    p.pool.max_share_of_site = 1;
    return p;
}

void carry(pool_world& w, std::size_t capacity) {
    w.next_dial = [capacity] { return pool_world::plan{.capacity = capacity}; };
}

leases begin(pool_world& w, fair_flow& site, int n, steady_duration timeout = 60s) {
    leases all;
    for (int i = 0; i < n; ++i) all.push_back(w.begin(site, timeout));
    return all;
}

std::ptrdiff_t leased(leases const& all) {
    return std::count_if(all.begin(), all.end(), [](auto const* a) { return a->is == acquire::state::leased; });
}

void give_back(pool_world& w, leases const& all) {
    for (auto* const a : all) a->lease.give_back();
    w.settle();
}

/// An exchange that was answered now.
detail::exchange_report answered(pool_world const& w) {
    detail::exchange_report r;
    r.unprocessed = false;
    r.reusable = true;
    r.first_byte = w.now();
    return r;
}

detail::exchange_report failed(errc why, bool reusable) {
    detail::exchange_report r;
    r.unprocessed = false;
    r.reusable = reusable;
    r.error = why;
    return r;
}

struct dialled_apart {
    detail::lease lease;
    bool ended = false;
};

void dial_apart(pool_world& w, fair_flow& site, dialled_apart& a) {
    static constexpr auto run = [](std::shared_ptr<detail::origin_pool> p, fair_flow* flow,
                                   dialled_apart* out) -> asio::awaitable<void> {
        out->lease = co_await p->dial_for(flow);
        out->ended = true;
    };
    asio::co_spawn(w.executor(), run(w.pool, &site, &a), [](std::exception_ptr) {});
    w.pass(1s);
    REQUIRE(a.ended);
}

}  // namespace

TEST_CASE("origin_pool: calls share a channel up to its capacity, and few channels carry all") {
    fair_flow site;
    world w(without_shares(), 3);
    carry(w, 4);
    auto const first = begin(w, site, 4);
    w.pass(1s);
    REQUIRE(leased(first) == 4);
    CHECK(w.channels.size() == 1);
    CHECK(w.channels[0]->leases == 4);
    CHECK(w.stats.channels_active.value() == 1);
    auto const second = begin(w, site, 3);
    w.pass(1s);
    REQUIRE(w.channels.size() == 2);
    CHECK(w.channels[1]->leases == 3);
    // Of two that have room the fuller one is filled first.
    first[0]->lease.give_back();
    w.settle();
    auto* const next = w.lease(site);
    CHECK(w.channels[0]->leases == 4);
    CHECK(w.channels[1]->leases == 3);
    for (auto* const a : {first[1], first[2], next, second[0], second[1]}) a->lease.give_back();
    w.settle();
    for (auto const end = w.now() + 3min; w.now() < end; w.pass(1s)) {
        auto const calls = begin(w, site, 3);
        w.pass(10ms);
        CHECK(leased(calls) == 3);
        give_back(w, calls);
    }
    // What is held for long on the second channel keeps it, and nothing goes there.
    CHECK(w.channels[1]->leases == 1);
    second[2]->lease.give_back();
    w.settle();
    CHECK(w.pool->look().idle == 1);
    for (auto const end = w.now() + 2min; w.now() < end; w.pass(1s)) w.lease(site)->lease.give_back();
    CHECK(w.channels.size() == 1);
    CHECK(closed(w, close_reason::idle_timeout) == 1);
    CHECK(total(w.stats.channels_opened) == 2);
    CHECK(w.channels[0]->leases == 1);
}

TEST_CASE("origin_pool: an origin that may speak HTTP/2 is dialled once, then as often as what waits needs") {
    fair_flow site;
    world w(without_shares(), 3);
    SECTION("it carries a hundred on a channel") {
        carry(w, 100);
        auto const burst = begin(w, site, 256);
        w.settle();
        CHECK(w.pool->look().dialing == 1);
        w.pass(60ms);
        CHECK(leased(burst) == 100);
        CHECK(w.pool->look().dialing == 2);
        w.pass(60ms);
        CHECK(leased(burst) == 256);
        CHECK(total(w.stats.channels_opened) == 3);
        give_back(w, burst);
        w.pass(2min);
        REQUIRE(w.channels.empty());
        // What it carried is known.
        auto const again = begin(w, site, 256);
        w.settle();
        CHECK(w.pool->look().dialing == 3);
        w.pass(1s);
        CHECK(leased(again) == 256);
        CHECK(total(w.stats.channels_opened) == 6);
    }
    SECTION("it turns out to speak HTTP/1.1") {
        auto const burst = begin(w, site, 10);
        w.settle();
        CHECK(w.pool->look().dialing == 1);
        w.pass(60ms);
        CHECK(w.pool->look().dialing == 9);
        w.pass(60ms);
        CHECK(leased(burst) == 10);
    }
}

TEST_CASE("origin_pool: a capacity that changes lets in at once what waits, or nobody") {
    auto p = without_shares(1);
    SECTION("at the limit other channels are no way out") {}
    SECTION("at the limit another one would be dialled") { p.pool.max_channels = 2; }
    SECTION("at the limit another one may not be dialled") {
        p.pool.max_channels = 2;
        p.pool.dial_at_stream_limit = false;
    }
    auto const spare = p.pool.max_channels == 2 && p.pool.dial_at_stream_limit;
    fair_flow site;
    world w(p, 3);
    carry(w, 2);
    auto const held = begin(w, site, 2);
    w.pass(1s);
    REQUIRE(leased(held) == 2);
    auto& c = *w.channels[0];
    auto const waiting = begin(w, site, 4);
    w.pass(1s);
    CHECK(leased(waiting) == (spare ? 2 : 0));
    CHECK(w.channels.size() == (spare ? 2u : 1u));
    c.allow(3);
    w.settle();
    CHECK(leased(waiting) == (spare ? 3 : 1));
    CHECK(c.leases == 3);
    c.allow(1);
    held[0]->lease.give_back();
    held[1]->lease.give_back();
    w.settle();
    CHECK(c.leases == 1);
    CHECK(leased(waiting) == (spare ? 3 : 1));
    c.allow(0);
    w.pass(1s);
    CHECK(leased(waiting) == (spare ? 3 : 1));
    CHECK(w.channels.size() == (spare ? 2u : 1u));
    for (auto* const a : waiting)
        if (a->lease && &a->lease.channel() == &c) a->lease.give_back();
    w.pass(1s);
    // It lies idle, and carries nothing.
    CHECK(c.leases == 0);
    CHECK(w.pool->look().ready == (spare ? 1u : 3u));
    c.allow(2);
    w.settle();
    CHECK(c.leases == (spare ? 1u : 2u));
    CHECK(w.pool->look().ready == (spare ? 0u : 1u));
}

TEST_CASE("origin_pool: a server that lets nothing in is dialled one channel at a time") {
    fair_flow site;
    world w(without_shares(4), 3);
    carry(w, 0);
    auto const waiting = begin(w, site, 20);
    w.settle();
    for (int i = 1; i <= 4; ++i) {
        CHECK(w.pool->look().dialing == 1);
        w.pass(60ms);
        CHECK(w.channels.size() == static_cast<std::size_t>(i));
    }
    CHECK(w.pool->look().dialing == 0);
    w.channels[2]->allow(100);
    w.settle();
    CHECK(leased(waiting) == 20);
    // Also one that is dialled for a hedge.
    dialled_apart apart;
    give_back(w, waiting);
    w.pass(2min);
    REQUIRE(w.channels.empty());
    dial_apart(w, site, apart);
    CHECK_FALSE(apart.lease);
    CHECK(w.pool->look().idle == 1);
    CHECK(site.held() == 0);
}

TEST_CASE("origin_pool: what a server ends while it is in use is replaced at once, and goes with its last exchange") {
    fair_flow site;
    world w(without_shares(), 3);
    carry(w, 8);
    auto const running = begin(w, site, 3);
    w.pass(1s);
    REQUIRE(leased(running) == 3);
    w.channels[0]->go_away();
    w.settle();
    CHECK(w.pool->look().dialing == 1);
    CHECK(dials(w, dial_purpose::replace) == 1);
    CHECK(w.pool->look().ending == 1);
    w.pass(60ms);
    REQUIRE(w.channels.size() == 2);
    auto* const next = w.lease(site);
    CHECK(next->ended_at == next->started);
    CHECK(&next->lease.channel() == w.channels[1]);
    auto good = answered(w);
    running[0]->lease.end(good);
    good.reusable = false;
    good.announced = true;
    running[1]->lease.end(good);
    w.settle();
    CHECK(w.channels.size() == 2);
    CHECK(w.channels[0]->leases == 1);
    running[2]->lease.end(failed(errc::timeout, true));
    w.settle();
    CHECK(w.channels.size() == 1);
    CHECK(closed(w, close_reason::announced) == 1);
    CHECK(total(w.stats.channels_closed) == 1);
    CHECK(w.pool->look().ending == 0);
    CHECK(total(w.stats.channels_opened) == 2);
}

TEST_CASE("origin_pool: an ended channel is not replaced where another one has room, nor when it was idle") {
    fair_flow site;
    world w(without_shares(), 3);
    carry(w, 2);
    auto const running = begin(w, site, 3);
    w.pass(1s);
    REQUIRE(w.channels.size() == 2);
    auto& full = *w.channels[0];
    full.go_away();
    w.pass(1s);
    CHECK(w.channels.size() == 2);
    give_back(w, running);
    REQUIRE(w.channels.size() == 1);
    w.channels[0]->go_away();
    w.pass(1s);
    CHECK(w.channels.empty());
    CHECK(total(w.stats.channels_opened) == 2);
    CHECK(closed(w, close_reason::peer_closed) == 2);
}

TEST_CASE("origin_pool: calls are told of a dial that failed while the only channel has been ended") {
    fair_flow site;
    world w(without_shares(), 3);
    carry(w, 2);
    auto* const running = w.lease(site);
    w.next_dial = [] { return pool_world::plan{false, 1ms}; };
    w.channels[0]->go_away();
    w.settle();
    auto* const next = w.begin(site, 30s);
    w.pass(1s);
    CHECK(next->error == errc::connect_failed);
    running->lease.give_back();
    w.settle();
    CHECK(w.channels.empty());
}

TEST_CASE("origin_pool: an exchange that failed leaves a channel that carries others as it was, and ends any other") {
    fair_flow site;
    for (std::size_t const capacity : {1u, 2u}) {
        world w(without_shares(), 3);
        carry(w, capacity);
        auto const used = [&] { return w.channels.size() == 1 ? w.channels[0] : nullptr; };
        auto* const first = w.lease(site);
        auto const* const c = used();
        auto const same = [&] {
            w.settle();
            return capacity > 1 ? used() == c : w.channels.empty();
        };
        first->lease.end(failed(errc::timeout, true));
        CHECK(same());
        w.lease(site)->lease.close(close_reason::abandoned);
        CHECK(same());
        w.lease(site)->lease = detail::lease();
        CHECK(same());
        // The channel's own word.
        w.lease(site)->lease.end(failed(errc::channel_lost, false));
        w.settle();
        CHECK(w.channels.empty());
        CHECK(closed(w, close_reason::broken) == 1);
        CHECK(closed(w, close_reason::abandoned) == (capacity > 1 ? 0u : 3u));
    }
}

TEST_CASE("origin_pool: one site has no more than its share of all that channels carry") {
    auto p = without_shares(2);
    p.pool.max_share_of_site = 0.5;
    fair_flow hog, quiet;
    SECTION("over two channels") {
        world w(p, 3);
        carry(w, 4);
        auto const calls = begin(w, hog, 20);
        w.pass(1s);
        CHECK(leased(calls) == 4);
        CHECK(w.channels.size() == 1);
        auto* const other = w.lease(quiet);
        CHECK(other->is == acquire::state::leased);
        CHECK(w.channels.size() == 2);
        // Fewer from now on: what runs goes on.
        w.channels[0]->allow(2);
        w.channels[1]->allow(2);
        w.settle();
        CHECK(leased(calls) == 4);
        calls[0]->lease.give_back();
        calls[1]->lease.give_back();
        w.settle();
        CHECK(hog.held() == 2);
        calls[2]->lease.give_back();
        w.settle();
        CHECK(hog.held() == 2);
        w.channels[1]->allow(8);
        w.settle();
        CHECK(hog.held() == 8);
    }
    SECTION("over one, where no other is dialled at the limit") {
        p.pool.dial_at_stream_limit = false;
        world w(p, 3);
        carry(w, 4);
        auto const calls = begin(w, hog, 20);
        w.pass(1s);
        CHECK(leased(calls) == 2);
        auto* const other = w.lease(quiet);
        CHECK(other->ended_at == other->started);
        CHECK(w.channels.size() == 1);
    }
}

TEST_CASE("origin_pool: a channel that is never idle is replaced before its end, and no call waits for it") {
    fair_flow site;
    world w(without_shares(), 7);
    carry(w, 100);
    std::deque<acquire*> running;
    steady_duration longest{};
    std::size_t most = 0;
    int calls = 0;
    for (auto const end = w.now() + 2h; w.now() < end; w.pass(700ms)) {
        auto* const a = w.lease(site);
        if (++calls > 1) longest = std::max(longest, a->ended_at - a->started);
        running.push_back(a);
        if (running.size() > 5) {
            running.front()->lease.end(answered(w));
            running.pop_front();
        }
        most = std::max(most, w.channels.size());
    }
    CHECK(longest == 0ms);
    CHECK(most == 2);
    CHECK(dials(w, dial_purpose::waiting) == 1);
    // Lifetimes of 8 to 10 minutes.
    CHECK(dials(w, dial_purpose::replace) >= 12);
    CHECK(dials(w, dial_purpose::replace) <= 16);
    CHECK(closed(w, close_reason::lifetime) >= 12);
}

TEST_CASE("origin_pool: a channel that swallowed an exchange takes no more, unless it answered another one since") {
    fair_flow site;
    world w(without_shares(), 3);
    carry(w, 4);
    auto const running = begin(w, site, 3);
    w.pass(1s);
    REQUIRE(w.channels.size() == 1);
    auto const then = w.now();
    SECTION("it did") {
        w.pass(1s);
        running[0]->lease.end(answered(w));
        running[1]->lease.distrust(then);
        w.pool->close_unheard_since(then);
        w.settle();
        CHECK(w.pool->look().with_room == 1);
        CHECK(w.pool->look().ending == 0);
    }
    SECTION("it did not") {
        running[0]->lease.end(answered(w));
        w.pass(1s);
        running[1]->lease.distrust(w.now());
        w.settle();
        CHECK(w.pool->look().ending == 1);
    }
    SECTION("another exchange was swallowed, on another channel") {
        w.pass(1s);
        w.pool->close_unheard_since(w.now());
        w.settle();
        CHECK(w.pool->look().ending == 1);
        CHECK(w.channels[0]->leases == 3);
    }
    SECTION("nothing else was on it") {
        give_back(w, {running[0], running[1]});
        w.pass(1s);
        running[2]->lease.distrust(w.now());
        w.settle();
        CHECK(w.channels.empty());
        CHECK(closed(w, close_reason::broken) == 1);
    }
}

TEST_CASE("origin_pool: a hedge has a channel of its own, to which others come last") {
    fair_flow site;
    world w(without_shares(), 3);
    carry(w, 4);
    auto* const running = w.lease(site);
    dialled_apart apart;
    dial_apart(w, site, apart);
    REQUIRE(apart.lease);
    CHECK(&apart.lease.channel() != &running->lease.channel());
    w.lease(site);
    CHECK(running->lease.channel().leases == 2);
    CHECK(apart.lease.channel().leases == 1);
}

TEST_CASE("origin_pool: a channel with room is as good as an idle one for min_idle") {
    auto p = without_shares();
    p.pool.min_idle = 1;
    fair_flow site;
    world w(p, 3);
    carry(w, 3);
    auto const running = begin(w, site, 2);
    w.pass(1s);
    CHECK(w.channels.size() == 1);
    w.lease(site);
    w.pass(1s);
    CHECK(w.channels.size() == 2);
    CHECK(dials(w, dial_purpose::prewarm) == 1);
    CHECK(w.pool->look().idle == 1);
}

TEST_CASE("origin_pool: a stop leaves channels to what runs on them") {
    fair_flow site;
    world w(without_shares(), 3);
    carry(w, 4);
    auto const running = begin(w, site, 2);
    w.pass(1s);
    w.pool->stop();
    running[0]->lease.end(answered(w));
    w.settle();
    CHECK(w.channels.size() == 1);
    running[1]->lease.end(answered(w));
    w.settle();
    CHECK(w.channels.empty());
    CHECK(closed(w, close_reason::stopped) == 1);
}
