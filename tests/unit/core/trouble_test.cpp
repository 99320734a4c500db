#include <jirapool/core/trouble.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cmath>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

bool near(double a, double b) { return std::abs(a - b) < 0.001; }

}  // namespace

TEST_CASE("trouble: it counts failures, and half as much each five minutes") {
    trouble_score s;
    steady_time const t{1'000'000s};
    CHECK(s.value(t) == 0);
    CHECK(s.value(t + 24h) == 0);
    for (int i = 0; i < 8; ++i) s.add(t);
    CHECK(near(s.value(t), 8));
    CHECK(near(s.value(t + 5min), 4));
    CHECK(near(s.value(t + 15min), 1));
    s.add(t + 15min);
    CHECK(near(s.value(t + 15min), 2));
    CHECK(s.value(t + 24h) < 1e-9);
}

TEST_CASE("trouble: a clock of any age, and a flood") {
    trouble_score s;
    steady_time const late{std::chrono::seconds{(std::int64_t{1} << 32) - 10}};  // before its seconds begin anew
    s.add(late);
    s.add(late + 20s);
    CHECK(s.value(late + 20s) > 1.9);
    CHECK(s.value(late + 20s) < 2);
    for (int i = 0; i < 20'000'000; ++i) s.add(late + 20s);
    CHECK(s.value(late + 20s) > 16e6);  // a float's, which stays there
    CHECK(s.value(late + 48h) < 1);
}
