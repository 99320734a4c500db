#include "support/catch.hpp"

#include <jirapool/core/fair_queue.hpp>
#include <jirapool/core/random.hpp>

#include <deque>
#include <map>
#include <memory>
#include <vector>

using namespace jirapool;

TEST_CASE("fair_queue: inside a site it is first come, first served") {
    fair_queue q;
    fair_flow site;
    fair_waiter a, b, c;
    q.push(site, a);
    q.push(site, b);
    q.push(site, c);
    CHECK(q.pop() == &a);
    CHECK(q.pop() == &b);
    CHECK(q.pop() == &c);
    CHECK(q.pop() == nullptr);
}

TEST_CASE("fair_queue: a site with a thousand waiting calls delays another site's only call by one turn") {
    fair_queue q;
    fair_flow hog, quiet;
    std::deque<fair_waiter> many(1000);
    for (auto& w : many) q.push(hog, w);
    fair_waiter one;
    q.push(quiet, one);
    CHECK(q.pop() == &many[0]);
    CHECK(q.pop() == &one);
    CHECK(q.pop() == &many[1]);
    while (q.pop() != nullptr) {
    }
}

TEST_CASE("fair_queue: turns follow the weights") {
    fair_queue q;
    fair_flow light(1), heavy(3);
    std::deque<fair_waiter> a(100), b(100);
    for (auto& w : a) q.push(light, w);
    for (auto& w : b) q.push(heavy, w);
    std::size_t of_heavy = 0;
    for (int i = 0; i < 80; ++i) {
        auto const* const w = q.pop();
        for (auto const& x : b) of_heavy += &x == w;
    }
    CHECK(of_heavy == 60);
    while (q.pop() != nullptr) {
    }
}

TEST_CASE("fair_queue: whoever leaves the queue is gone from it, wherever it stood") {
    fair_queue q;
    fair_flow x, y;
    fair_waiter a, b, c, d;
    q.push(x, a);
    q.push(x, b);
    q.push(x, c);
    q.push(y, d);
    q.remove(b);
    q.remove(b);
    q.remove(d);
    CHECK(q.size() == 2);
    CHECK(q.pop() == &a);
    CHECK(q.pop() == &c);
    CHECK(q.empty());
}

TEST_CASE("fair_queue: random pushes, pops and removals lose and invent nobody") {
    random_engine random(42);
    fair_queue q;
    std::deque<fair_flow> flows;
    for (unsigned i = 0; i < 7; ++i) flows.emplace_back(1 + i % 3);
    std::deque<fair_waiter> waiters(200);
    std::size_t inside = 0;
    for (int step = 0; step < 100'000; ++step) {
        auto& w = waiters[random() % waiters.size()];
        switch (random() % 3) {
        case 0:
            if (!w.queued()) {
                q.push(flows[random() % flows.size()], w);
                ++inside;
            }
            break;
        case 1:
            if (w.queued()) --inside;
            q.remove(w);
            break;
        default:
            if (q.pop() != nullptr) --inside;
        }
        REQUIRE(q.size() == inside);
    }
    while (q.pop() != nullptr) --inside;
    CHECK(inside == 0);
}
