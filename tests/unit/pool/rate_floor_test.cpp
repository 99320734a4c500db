#include "support/catch.hpp"

#include "exchange/rate_floor.hpp"

using namespace jirapool;
using namespace jirapool::detail;
using namespace std::chrono_literals;

TEST_CASE("rate_floor: too few bytes in one window are too slow, whatever came before") {
    steady_time const t0{1000h};
    rate_floor f(100, 10s, t0);
    CHECK(f.look_at() == t0 + 10s);
    f.add(100'000);
    CHECK_FALSE(f.too_slow(t0 + 10s));
    CHECK(f.look_at() == t0 + 20s);
    f.add(999);
    CHECK_FALSE(f.too_slow(t0 + 19s));
    CHECK(f.too_slow(t0 + 20s));
}

TEST_CASE("rate_floor: enough bytes at any time of the window are enough") {
    steady_time const t0{1000h};
    rate_floor f(100, 10s, t0);
    f.add(1000);
    CHECK_FALSE(f.too_slow(t0 + 10s));
    CHECK(f.too_slow(t0 + 20s));
}

TEST_CASE("rate_floor: time in which nothing was asked for does not count") {
    steady_time const t0{1000h};
    rate_floor f(100, 10s, t0);
    f.extend(5s);
    CHECK(f.look_at() == t0 + 15s);
    CHECK_FALSE(f.too_slow(t0 + 14s));
    CHECK(f.too_slow(t0 + 15s));
    CHECK(f.look_at() == t0 + 25s);
}

TEST_CASE("rate_floor: a rate of 0 is no floor") {
    steady_time const t0{1000h};
    rate_floor f(0, 10s, t0);
    CHECK(f.look_at() == steady_time::max());
    CHECK_FALSE(f.too_slow(t0 + 1000h));
}
