#include "support/catch.hpp"

#include "pool_world.hpp"

#include <boost/asio/post.hpp>

#include <deque>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

namespace {

using acquire = pool_world::acquire;

std::uint64_t closed(pool_world const& w, close_reason r) {
    return w.stats.channels_closed[static_cast<std::size_t>(r)].value();
}

}  // namespace

TEST_CASE("origin_pool: what came back last is lent first, so that what a peak left ages out") {
    fair_flow site;
    pool_world w({}, 9);
    std::vector<acquire*> peak;
    for (int i = 0; i < 10; ++i) peak.push_back(w.begin(site, 30s));
    w.pass(1s);
    for (auto* const a : peak) a->lease.give_back();
    w.settle();
    REQUIRE(w.pool->look().idle == 10);
    for (auto const end = w.now() + 5min; w.now() < end; w.pass(1s)) w.lease(site)->lease.give_back();
    CHECK(w.pool->look().open == 1);
    CHECK(closed(w, close_reason::idle_timeout) == 9);
}

TEST_CASE("origin_pool: a channel that is left alone is told to rest, one that is in use is not") {
    fair_flow site;
    pool_world w({}, 9);
    w.lease(site)->lease.give_back();
    auto const& c = *w.channels.front();
    for (auto const end = w.now() + 20s; w.now() < end; w.pass(1s)) w.lease(site)->lease.give_back();
    REQUIRE(w.channels.size() == 1);
    CHECK(c.rests == 0);
    w.pass(10s);
    CHECK(c.rests > 0);
}

TEST_CASE("origin_pool: a channel that died while it was idle is not lent") {
    fair_flow site;
    pool_world w({}, 9);
    w.lease(site)->lease.give_back();
    w.settle();
    w.channels.front()->open = false;
    auto* const a = w.lease(site);
    CHECK(a->is == acquire::state::leased);
    CHECK(w.channels.size() == 1);
    CHECK(w.channels.front()->open);
    CHECK(closed(w, close_reason::peer_closed) == 1);
}

TEST_CASE(
    "origin_pool: a channel is closed unasked when the server's announced patience is over, and that is the reason") {
    fair_flow site;
    pool_world w({}, 9);
    w.lease(site)->lease.give_back();
    w.channels.front()->usable_until = w.now() + 10s;
    w.pass(9s);
    CHECK(w.channels.size() == 1);
    SECTION("it lies idle") { w.pass(10s); }
    SECTION("the next call comes first") {
        w.pass(1s);
        CHECK(w.lease(site)->is == acquire::state::leased);
    }
    CHECK(closed(w, close_reason::keep_alive) == 1);
    CHECK(closed(w, close_reason::peer_closed) == 0);
}

TEST_CASE("origin_pool: a dial that succeeds ends the wait that one beside it began by failing") {
    fair_flow site;
    pool_world w({}, 9);
    int n = 0;
    w.next_dial = [&n] { return n++ == 0 ? pool_world::plan{false, 1ms} : pool_world::plan{true, 10ms}; };
    std::vector<acquire*> calls;
    for (int i = 0; i < 3; ++i) calls.push_back(w.begin(site, 30s));
    w.pass(1s);
    for (auto const* a : calls) {
        CHECK(a->is == acquire::state::leased);
        CHECK(a->ended_at - a->started <= 20ms);
    }
}

TEST_CASE("origin_pool: a failed dial fails nobody who waits while channels are in use") {
    fair_flow site;
    pool_world w({}, 9);
    auto* const first = w.lease(site);
    w.next_dial = [] { return pool_world::plan{false, 1ms}; };
    auto* const second = w.begin(site, 30s);
    w.pass(1s);
    CHECK(second->is == acquire::state::waiting);
    first->lease.give_back();
    w.settle();
    CHECK(second->is == acquire::state::leased);
}

TEST_CASE("origin_pool: a call that is cancelled in the instant of its lease leaves the channel to the next one") {
    for (bool const cancelled_first : {false, true}) {
        fair_flow site;
        client_params p;
        p.pool.max_channels = 1;
        p.pool.max_share_of_site = 1;
        pool_world w(p, 9);
        auto* const first = w.lease(site);
        auto* const cancelled = w.begin(site, 30s);
        auto* const last = w.begin(site, 30s);
        w.settle();
        // On the executor, where a cancellation takes effect at once and not behind what else is posted.
        asio::post(w.executor(), [&] {
            if (!cancelled_first) first->lease.give_back();
            cancelled->cancel.emit(asio::cancellation_type::terminal);
            if (cancelled_first) first->lease.give_back();
        });
        w.settle();
        cancelled->lease.give_back();  // if it has one
        w.settle();
        CHECK(last->is == acquire::state::leased);
        CHECK(w.stats.queue_length.value() == 0);
        CHECK(total(w.stats.channels_opened) == 1);
        last->lease.give_back();
        w.settle();
        CHECK(w.pool->look().idle == 1);
    }
}

TEST_CASE("origin_pool: a burst of calls dials no more channels than there may be") {
    client_params p;
    p.pool.max_channels = 4;
    std::deque<fair_flow> sites(10);
    pool_world w(p, 9);
    for (auto& site : sites) w.begin(site, 30s);
    w.settle();
    CHECK(w.pool->look().dialing == 4);
    w.pass(1s);
    CHECK(w.channels.size() == 4);
    CHECK(total(w.stats.channels_opened) == 4);
}
