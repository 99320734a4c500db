#include "support/catch.hpp"

#include "limits.hpp"

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};

TEST_CASE("mock buckets: a full bucket admits its capacity at once and then what it refills") {
    bucket b;
    b.open(10, 10, t0);
    for (unsigned left = 10; left-- > 0;) {
        auto const v = b.take(t0);
        CHECK(v.admitted);
        CHECK(v.remaining == left);
    }
    auto const refused = b.take(t0);
    CHECK_FALSE(refused.admitted);
    CHECK(refused.wait == 100ms);
    CHECK_FALSE(b.take(t0 + 99ms).admitted);
    CHECK(b.take(t0 + 100ms).admitted);
    CHECK_FALSE(b.take(t0 + 100ms).admitted);
    CHECK(b.admitted() == 11);
    CHECK(b.refused() == 3);
}

TEST_CASE("mock buckets: a client at exactly the rate is never refused") {
    bucket b;
    b.open(150, 1, t0);
    for (int i = 0; i < 100'000; ++i) {
        auto const at = t0 + std::chrono::nanoseconds{static_cast<std::int64_t>(i) * 1'000'000'000 / 150 + 1};
        REQUIRE(b.take(at).admitted);
    }
}

TEST_CASE("mock buckets: it never holds more than its capacity") {
    bucket b;
    b.open(5, 5, t0);
    int admitted = 0;
    for (int i = 0; i < 20; ++i) admitted += b.take(t0 + 1h).admitted ? 1 : 0;
    CHECK(admitted == 5);
}

TEST_CASE("mock buckets: others take their part of the refill, and what is left is what one client may use") {
    bucket b;
    b.share(0.5, t0);  // before the first use: nothing
    b.open(100, 100, t0);
    b.share(0.6, t0);
    int admitted = 0;
    for (int i = 0; i < 10'000; ++i) admitted += b.take(t0 + i * 1ms).admitted;
    CHECK(admitted >= 100 + 40 * 10 - 2);
    CHECK(admitted <= 100 + 40 * 10);
    auto const left = b.take(t0 + 11s).remaining;
    CHECK(left >= 39);
    CHECK(left <= 40);
    b.share(0, t0 + 11s);
    CHECK(b.take(t0 + 11s + 500ms).remaining == left + 49);
}

TEST_CASE("mock buckets: a clock read a little earlier by another thread does no harm") {
    bucket b;
    b.open(10, 2, t0);
    CHECK(b.take(t0 + 1s).admitted);
    CHECK(b.take(t0 + 1s - 1ms).admitted);
    CHECK_FALSE(b.take(t0 + 1s - 2ms).admitted);
    CHECK(b.span() == 2ms);
}

TEST_CASE("mock buckets: counts restart with a reset and the level stays") {
    bucket b;
    b.open(10, 1, t0);
    CHECK(b.take(t0).admitted);
    b.reset_counts();
    CHECK_FALSE(b.is_touched());
    CHECK_FALSE(b.take(t0 + 50ms).admitted);
    CHECK(b.take(t0 + 150ms).admitted);
    CHECK(b.admitted() == 1);
    CHECK(b.span() == 100ms);
}

TEST_CASE("mock buckets: other figures hold from now on, and what it permitted is the sum of both times") {
    bucket b;
    b.change(5, 5, t0);
    b.open(100, 100, t0);
    CHECK(b.take(t0).remaining == 99);
    b.change(10, 20, t0 + 1s);
    CHECK(b.rate() == 10);
    CHECK(b.take(t0 + 1s).remaining == 19);
    for (int i = 0; i < 19; ++i) CHECK(b.take(t0 + 1s).admitted);
    CHECK(b.take(t0 + 1s).wait == 100ms);
    CHECK(b.take(t0 + 3s).admitted);
    CHECK(b.permitted() == 100 + 20);
    CHECK(b.span() == 3s);
    b.change(100, 100, t0 + 3s);
    CHECK(b.take(t0 + 4s).remaining == 99);
    CHECK(b.permitted() == 100 + 20 + 100);
    b.reset_counts();
    CHECK(b.permitted() == 0);
    b.take(t0 + 5s);
    b.take(t0 + 6s);
    CHECK(b.permitted() == 100);
}

TEST_CASE("mock issue writes: the 21st within two seconds waits for the first to leave") {
    issue_writes w;
    for (int i = 0; i < 20; ++i) {
        auto const now = t0 + i * 10ms;
        REQUIRE(w.check(now).admitted);
        w.record(now);
    }
    auto const v = w.check(t0 + 500ms);
    CHECK_FALSE(v.admitted);
    CHECK(v.limit == 20);
    CHECK(v.wait == 1500ms);
    CHECK(w.check(t0 + 2s).admitted);
}

TEST_CASE("mock issue writes: the 101st within thirty seconds waits, however slowly they came") {
    issue_writes w;
    for (int i = 0; i < 100; ++i) {
        auto const now = t0 + i * 200ms;
        REQUIRE(w.check(now).admitted);
        w.record(now);
    }
    auto const v = w.check(t0 + 25s);
    CHECK_FALSE(v.admitted);
    CHECK(v.limit == 100);
    CHECK(v.wait == 5s);
    CHECK(w.check(t0 + 30s).admitted);
}

TEST_CASE("mock quota: spent points come back at the top of the hour and not before") {
    hourly_quota q;
    wall_time const hour{1000h};
    CHECK(q.take(5, 4, hour + 10min));
    CHECK(q.remaining(5) == 1);
    CHECK(q.take(5, 4, hour + 11min));
    CHECK(q.remaining(5) == 0);
    CHECK_FALSE(q.take(5, 1, hour + 59min + 59s));
    CHECK(hourly_quota::until_next_hour(hour + 59min) == 60s);
    CHECK(q.take(5, 1, hour + 1h));
}

TEST_CASE("mock limits: the table follows the documented figures and the scale, at least one a second") {
    params p;
    limit_table const plain(p);
    auto const at = [](route r) { return static_cast<std::size_t>(r); };
    CHECK(plain.rate[at(route::get_myself)] == 100);
    CHECK(plain.rate[at(route::get_issue)] == 150);
    CHECK(plain.rate[at(route::search_by_post)] == 100);
    CHECK(plain.rate[at(route::edit_issue)] == 50);
    CHECK(plain.rate[at(route::delete_webhook)] == 50);
    CHECK(plain.capacity[at(route::get_issue)] == 150);
    p.burst_scale = 0.001;
    p.burst_capacity = 0.25;
    limit_table const small(p);
    CHECK(small.rate[at(route::get_issue)] == 1);
    CHECK(small.capacity[at(route::get_issue)] == 1);
    p.burst_scale = 0.1;
    p.burst_capacity = 2;
    limit_table const tenth(p);
    CHECK(tenth.rate[at(route::get_issue)] == 15);
    CHECK(tenth.capacity[at(route::get_issue)] == 30);
}

}  // namespace
