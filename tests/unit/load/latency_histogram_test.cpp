#include "latency_histogram.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using namespace jirapool::load;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST_CASE("latency_histogram: empty, everything is 0") {
    latency_histogram const h;
    CHECK(h.count() == 0);
    CHECK(h.percentile(0.99) == 0ns);
    CHECK(h.max() == 0ns);
    CHECK(h.mean() == 0ns);
}

TEST_CASE("latency_histogram: any single value reads back within 1 %") {
    for (int bit = 0; bit < 42; ++bit) {
        for (std::int64_t const offset : {-1, 0, 1}) {
            auto const value = std::max<std::int64_t>(0, (std::int64_t{1} << bit) + offset);
            if (value > latency_histogram::max_value.count()) continue;
            latency_histogram h;
            h.record(nanoseconds{value});
            auto const read = static_cast<double>(h.percentile(0.5).count());
            INFO(value);
            CHECK(std::abs(read - static_cast<double>(value)) <= 0.01 * static_cast<double>(value));
            CHECK(h.max() == nanoseconds{value});
        }
    }
}

TEST_CASE("latency_histogram: percentiles of a long tail are within 1 % of those of the sorted values") {
    std::mt19937_64 random(7);
    std::lognormal_distribution<double> tail(15, 2);  // around 3 ms
    latency_histogram h;
    std::vector<std::int64_t> all(20'000);
    for (auto& v : all) {
        v = std::min(static_cast<std::int64_t>(tail(random)), latency_histogram::max_value.count());
        h.record(nanoseconds{v});
    }
    std::sort(all.begin(), all.end());
    for (double const part : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        auto const rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(all.size())));
        auto const exact = static_cast<double>(all[rank - 1]);
        INFO(part);
        CHECK(std::abs(static_cast<double>(h.percentile(part).count()) - exact) <= 0.01 * exact);
    }
    CHECK(h.max() == nanoseconds{all.back()});
    CHECK(h.count() == all.size());
}

TEST_CASE("latency_histogram: a percentile is never above the largest value") {
    latency_histogram h;
    h.record(1'000'001ns);
    CHECK(h.percentile(1) <= h.max());
}

TEST_CASE("latency_histogram: the rank is rounded up, so p99 of 100 values is the 99th") {
    latency_histogram h;
    for (int i = 1; i <= 100; ++i) h.record(nanoseconds{i});
    CHECK(h.percentile(0.99) == 99ns);
    CHECK(h.percentile(0.5) == 50ns);
    CHECK(h.percentile(0) == 1ns);
    CHECK(h.percentile(1) == 100ns);
}

TEST_CASE("latency_histogram: what is out of range counts as the nearest that is not") {
    latency_histogram h;
    h.record(-5ns);
    h.record(nanoseconds::max());
    CHECK(h.count() == 2);
    CHECK(h.percentile(0) == 0ns);
    CHECK(h.max() == latency_histogram::max_value);
}

TEST_CASE("latency_histogram: added to another, counts, sum and maximum come along") {
    latency_histogram a;
    latency_histogram b;
    a.record(10ns);
    b.record(20ns);
    b.record(60ns);
    a.add(b);
    CHECK(a.count() == 3);
    CHECK(a.mean() == 30ns);
    CHECK(a.max() == 60ns);
    CHECK(a.percentile(0.5) == 20ns);
}
