#include "support/catch.hpp"

#include <jirapool/core/latency_estimate.hpp>
#include <jirapool/core/random.hpp>

using namespace jirapool;
using namespace std::chrono_literals;

TEST_CASE("latency_estimate: knows nothing at first, and follows what it sees") {
    latency_estimate e;
    CHECK(e.likely() == 0ms);
    e.observe(20ms);
    CHECK(e.likely() >= 20ms);
    for (int i = 0; i < 100; ++i) e.observe(20ms);
    CHECK(e.likely() >= 20ms);
    CHECK(e.likely() < 21ms);
    for (int i = 0; i < 100; ++i) e.observe(200ms);
    CHECK(e.likely() >= 199ms);
    CHECK(e.likely() < 210ms);
}

TEST_CASE("latency_estimate: covers nearly all of what scatters evenly") {
    random_engine random(5);
    latency_estimate e;
    int above = 0;
    for (int i = 0; i < 10'000; ++i) {
        auto const d = std::chrono::microseconds(static_cast<long>(uniform(random, 10'000, 30'000)));
        above += i > 100 && d > e.likely();
        e.observe(d);
    }
    CHECK(above < 500);
}
