#include "support/catch.hpp"

#include "wire/happy_eyeballs.hpp"

using namespace jirapool;
using namespace jirapool::detail;
using namespace std::chrono_literals;

namespace {

constexpr auto v4 = happy_eyeballs::family::v4;
constexpr auto v6 = happy_eyeballs::family::v6;
using kind = happy_eyeballs::decision::kind;

std::vector<std::size_t> order_of(std::vector<happy_eyeballs::family> const& addresses) {
    happy_eyeballs h(addresses, 250ms);
    std::vector<std::size_t> order;
    steady_time now{1000h};
    for (; order.size() < addresses.size(); now += 250ms) {
        auto const d = h.next(now);
        REQUIRE(d.what == kind::start);
        order.push_back(d.address);
    }
    return order;
}

}  // namespace

TEST_CASE("happy_eyeballs: families take turns, the resolver's first one first") {
    CHECK(order_of({v6, v6, v6, v4, v4}) == std::vector<std::size_t>{0, 3, 1, 4, 2});
    CHECK(order_of({v4, v4, v6}) == std::vector<std::size_t>{0, 2, 1});
    CHECK(order_of({v4, v4, v4}) == std::vector<std::size_t>{0, 1, 2});
    CHECK(order_of({v6, v4, v4, v4}) == std::vector<std::size_t>{0, 1, 2, 3});
    CHECK(order_of({v6}) == std::vector<std::size_t>{0});
}

TEST_CASE("happy_eyeballs: each attempt has a head start over the next") {
    steady_time const t0{1000h};
    happy_eyeballs h({v6, v4, v6}, 250ms);
    CHECK(h.next(t0).what == kind::start);
    auto const wait = h.next(t0);
    CHECK(wait.what == kind::wait);
    CHECK(wait.until == t0 + 250ms);
    CHECK(h.next(t0 + 249ms).what == kind::wait);
    auto const second = h.next(t0 + 250ms);
    CHECK(second.what == kind::start);
    CHECK(second.address == 1);
    CHECK(h.next(t0 + 300ms).until == t0 + 500ms);
    CHECK(h.next(t0 + 600ms).address == 2);
    // All are under way: only their ends matter now.
    CHECK(h.next(t0 + 600ms).until == steady_time::max());
}

TEST_CASE("happy_eyeballs: a failure lets the next begin at once, and the last one ends it") {
    steady_time const t0{1000h};
    happy_eyeballs h({v6, v4}, 250ms);
    CHECK(h.next(t0).address == 0);
    h.on_failed();
    auto const second = h.next(t0 + 1ms);
    CHECK(second.what == kind::start);
    CHECK(second.address == 1);
    CHECK(h.next(t0 + 1ms).what == kind::wait);
    h.on_failed();
    CHECK(h.next(t0 + 2ms).what == kind::failed);
}

TEST_CASE("happy_eyeballs: a failure of one of two attempts starts the third, while the other goes on") {
    steady_time const t0{1000h};
    happy_eyeballs h({v6, v4, v6}, 250ms);
    h.next(t0);
    h.next(t0 + 250ms);
    h.on_failed();
    CHECK(h.next(t0 + 260ms).address == 2);
    h.on_failed();
    CHECK(h.next(t0 + 270ms).what == kind::wait);
    h.on_failed();
    CHECK(h.next(t0 + 280ms).what == kind::failed);
}

TEST_CASE("happy_eyeballs: no address is no attempt") {
    CHECK(happy_eyeballs({}, 250ms).next(steady_time{1000h}).what == kind::failed);
}
