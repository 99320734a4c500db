#include "support/catch.hpp"

#include <jirapool/core/delivery_queue.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};

struct sending {
    explicit sending(std::size_t most = 1000) : queue(most, 1s, 300s) {}

    void push(int n) { queue.push({std::to_string(n), "body", 0}); }
    /// The time passes: what is due is sent, and taken or not.
    void run(steady_time until, bool well) {
        for (; now < until; now += 1s) {
            for (auto const* d = queue.begin(now); d != nullptr; d = queue.begin(now)) {
                tries.push_back(now);
                if (well) {
                    taken.push_back(d->id);
                    queue.on_delivered();
                } else {
                    queue.on_failed(now, std::nullopt, random);
                }
            }
        }
    }

    delivery_queue queue;
    random_engine random{3};
    steady_time now = t0;
    std::vector<std::string> taken;
    std::vector<steady_time> tries;
};

std::vector<std::string> numbers(int from, int to) {
    std::vector<std::string> all;
    for (int n = from; n < to; ++n) all.push_back(std::to_string(n));
    return all;
}

}  // namespace

TEST_CASE("delivery_queue: one is sent at a time, in their order") {
    sending s;
    CHECK(s.queue.due() == steady_time::max());
    s.push(1);
    s.push(2);
    CHECK(s.queue.due() <= t0);
    auto const* const first = s.queue.begin(t0);
    REQUIRE(first != nullptr);
    CHECK(first->id == "1");
    CHECK(s.queue.begin(t0) == nullptr);
    CHECK(s.queue.due() == steady_time::max());
    s.push(3);
    CHECK(first->id == "1");
    CHECK(s.queue.size() == 3);
    s.queue.on_delivered();
    s.run(t0 + 1s, true);
    CHECK(s.taken == numbers(2, 4));
    CHECK(s.queue.delivered() == 3);
    CHECK(s.queue.size() == 0);
}

TEST_CASE(
    "delivery_queue: through an hour in which the receiver is down nothing is lost, and it is tried ever more seldom") {
    sending s;
    for (int n = 0; n < 60; ++n) {
        s.push(n);
        s.run(t0 + (n + 1) * 1min, false);
    }
    // 1, 2, 4, … 256 s, then 300: each a half to all of that.
    CHECK(s.tries.size() >= 9 + 10);
    CHECK(s.tries.size() <= 10 + 24);
    for (std::size_t i = 1; i < s.tries.size(); ++i) CHECK(s.tries[i] - s.tries[i - 1] <= 301s);
    CHECK(s.queue.failed_tries() == s.tries.size());
    CHECK(s.taken.empty());
    s.run(t0 + 1h + 301s, true);
    CHECK(s.taken == numbers(0, 60));
    CHECK(s.queue.dropped() == 0);
    // Well again, a failure is waited for as the first one.
    auto const tries = s.tries.size();
    s.push(60);
    s.run(s.now + 1s, false);
    s.run(s.now + 2s, true);
    CHECK(s.taken.back() == "60");
    CHECK(s.tries.size() == tries + 2);
}

TEST_CASE("delivery_queue: a try says how many failed before it, under the same id") {
    sending s;
    s.push(7);
    auto now = t0;
    for (std::uint32_t i = 0; i < 200; ++i) {
        auto const* const d = s.queue.begin(now);
        REQUIRE(d != nullptr);
        CHECK(d->id == "7");
        CHECK(d->failed == i);
        s.queue.on_failed(now, std::nullopt, s.random);
        CHECK(s.queue.begin(now) == nullptr);
        CHECK(s.queue.due() >= now + 500ms);
        CHECK(s.queue.due() <= now + 300s);
        now = s.queue.due();
    }
}

TEST_CASE(
    "delivery_queue: without room the oldest that waits is dropped and counted, and the one being sent once it fails") {
    sending s(3);
    s.push(0);
    auto const* const first = s.queue.begin(t0);
    REQUIRE(first != nullptr);
    for (int n = 1; n <= 5; ++n) s.push(n);
    CHECK(first->id == "0");
    CHECK(s.queue.size() == 4);
    CHECK(s.queue.dropped() == 2);
    s.queue.on_failed(t0, std::nullopt, s.random);
    CHECK(s.queue.size() == 3);
    CHECK(s.queue.dropped() == 3);
    s.run(t0 + 10s, true);
    CHECK(s.taken == numbers(3, 6));
    CHECK(s.queue.delivered() == 3);
}

TEST_CASE("delivery_queue: a receiver says when to come back, within reason") {
    sending s;
    s.push(0);
    REQUIRE(s.queue.begin(t0) != nullptr);
    s.queue.on_failed(t0, 60s, s.random);
    CHECK(s.queue.due() == t0 + 60s);
    REQUIRE(s.queue.begin(t0 + 60s) != nullptr);
    s.queue.on_failed(t0 + 60s, std::chrono::seconds::max(), s.random);
    CHECK(s.queue.due() == t0 + 60s + 300s);
    REQUIRE(s.queue.begin(t0 + 1h) != nullptr);
    s.queue.on_failed(t0 + 1h, std::chrono::seconds::min(), s.random);
    CHECK(s.queue.due() > t0 + 1h);
}

TEST_CASE("delivery_queue: closed, it keeps nothing but what is being sent, until that ends") {
    sending s;
    for (int n = 0; n < 3; ++n) s.push(n);
    REQUIRE(s.queue.begin(t0) != nullptr);
    s.queue.close();
    s.push(4);
    CHECK(s.queue.size() == 1);
    CHECK(s.queue.dropped() == 3);
    s.queue.on_failed(t0, std::nullopt, s.random);
    CHECK(s.queue.size() == 0);
    CHECK(s.queue.dropped() == 4);
    CHECK(s.queue.begin(t0 + 1h) == nullptr);
    CHECK(s.queue.due() == steady_time::max());
}
