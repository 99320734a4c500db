#include "support/catch.hpp"

#include <jirapool/core/outage.hpp>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};

}  // namespace

TEST_CASE("outage: an hour of failures is one event, and its end another") {
    outage o;
    CHECK(o.on_success(t0) == outage_news::none);
    CHECK(o.on_failure(t0) == outage_news::down);
    for (auto t = t0; t < t0 + 1h; t += 1s) REQUIRE(o.on_failure(t) == outage_news::none);
    CHECK(o.on_success(t0 + 1h) == outage_news::up);
    CHECK(o.on_success(t0 + 1h) == outage_news::none);
}

TEST_CASE("outage: one that begins soon behind another is told when it lasts") {
    outage o;
    o.on_failure(t0);
    o.on_success(t0 + 10s);
    CHECK(o.on_failure(t0 + 20s) == outage_news::none);
    // Nobody was told that it is down.
    CHECK(o.on_success(t0 + 25s) == outage_news::none);
    CHECK(o.on_failure(t0 + 30s) == outage_news::none);
    CHECK(o.on_failure(t0 + 69s) == outage_news::none);
    CHECK(o.on_failure(t0 + 70s) == outage_news::down);
    CHECK(o.on_success(t0 + 80s) == outage_news::up);
}

TEST_CASE("outage: what flaps for a day is told ever more seldom, and what was well for long at once") {
    outage o;
    int told = 0;
    auto t = t0;
    for (; t < t0 + 24h; t += 2s) {
        told += o.on_failure(t) != outage_news::none;
        told += o.on_success(t + 1s) != outage_news::none;
    }
    CHECK(told <= 2 * (24 * 6 + 5));
    CHECK(told >= 2 * 24 * 5);
    t += 1h;
    CHECK(o.over(t));
    CHECK(o.on_failure(t) == outage_news::down);
    CHECK_FALSE(o.over(t + 24h));
    CHECK(o.on_success(t + 1s) == outage_news::up);
    // Behind so long it is quiet for a minute again.
    CHECK(o.on_failure(t + 62s) == outage_news::down);
}
