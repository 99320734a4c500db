#include "support/catch.hpp"

#include <jirapool/core/fair_queue.hpp>
#include <jirapool/core/random.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

constexpr steady_time t0{1000h};

/// A site with calls that never run out.
struct backlogged {
    explicit backlogged(std::uint16_t weight) : flow(weight), waiters(3) {}
    void fill(fair_queue& q, steady_time now) {
        for (auto& w : waiters)
            if (!w.queued()) q.push(flow, w, now);
    }
    fair_flow flow;
    std::deque<fair_waiter> waiters;
    double served = 0;
};

void drop_all(fair_queue& q) {
    while (q.evict() != nullptr) {
    }
}

}  // namespace

TEST_CASE("fair_queue: inside a site it is first come, first served") {
    fair_queue q;
    fair_flow site;
    fair_waiter a, b, c;
    q.push(site, a, t0);
    q.push(site, b, t0);
    q.push(site, c, t0);
    CHECK(q.pop(t0) == &a);
    CHECK(q.pop(t0) == &b);
    CHECK(q.pop(t0) == &c);
    CHECK(q.pop(t0) == nullptr);
}

TEST_CASE("fair_queue: a site with a thousand waiting calls delays another site's only call by one turn") {
    fair_queue q;
    fair_flow hog, quiet;
    std::deque<fair_waiter> many(1000);
    for (auto& w : many) q.push(hog, w, t0);
    fair_waiter one;
    q.push(quiet, one, t0);
    CHECK(q.pop(t0) == &many[0]);
    CHECK(q.pop(t0) == &one);
    CHECK(q.pop(t0) == &many[1]);
    drop_all(q);
}

TEST_CASE("fair_queue: turns follow the weights") {
    fair_queue q;
    fair_flow light(1), heavy(3);
    std::deque<fair_waiter> a(100), b(100);
    for (auto& w : a) q.push(light, w, t0);
    for (auto& w : b) q.push(heavy, w, t0);
    std::size_t of_heavy = 0;
    for (int i = 0; i < 80; ++i) {
        auto const* const w = q.pop(t0);
        for (auto const& x : b) of_heavy += &x == w;
    }
    CHECK(of_heavy == 60);
    drop_all(q);
}

TEST_CASE("fair_queue: whoever leaves the queue is gone from it, wherever it stood") {
    fair_queue q;
    fair_flow x, y;
    fair_waiter a, b, c, d;
    q.push(x, a, t0);
    q.push(x, b, t0);
    q.push(x, c, t0);
    q.push(y, d, t0);
    q.remove(b);
    q.remove(b);
    q.remove(d);
    CHECK(q.size() == 2);
    CHECK(q.pop(t0) == &a);
    CHECK(q.pop(t0) == &c);
    CHECK(q.empty());
}

TEST_CASE(
    "fair_queue: a site over its share has its turn when nobody else waits, and an equal one again when that is past") {
    fair_queue q;
    fair_flow hog, quiet, other;
    // While nobody waits anybody may have everything.
    for (int i = 0; i < 100; ++i) {
        REQUIRE(q.may_hold(hog));
        q.grant(hog, t0);
        q.give_back(hog);
    }
    std::deque<fair_waiter> a(10), b(10), c(10);
    for (auto& w : c) q.push(other, w, t0);
    for (auto& w : b) q.push(quiet, w, t0);
    for (auto& w : a) q.push(hog, w, t0);
    CHECK(hog.second_tier());
    CHECK_FALSE(quiet.second_tier());
    // A burst of a handful keeps the silent ones in the first tier.
    for (int i = 0; i < 12; ++i) CHECK(q.pop(t0)->flow() == nullptr);
    CHECK(hog.waiting() == 10);
    CHECK(quiet.waiting() + other.waiting() == 8);
    // Four epochs later it has had 100 / 16: no more than forgiven. One turn of somebody else to be seen, then its own.
    auto const later = t0 + 4 * fair_queue::epoch;
    CHECK(q.pop(later) != nullptr);
    CHECK_FALSE(hog.second_tier());
    auto const before = hog.waiting();
    for (int i = 0; i < 3; ++i) CHECK(q.pop(later) != nullptr);
    CHECK(hog.waiting() < before);
    drop_all(q);
}

TEST_CASE("fair_queue: a handful of calls by a silent site is no offence, whatever the others do") {
    fair_queue q;
    std::deque<fair_flow> others(100);
    for (auto& f : others) q.grant(f, t0);
    fair_flow burst;
    for (unsigned i = 0; i < fair_queue::forgiven; ++i) q.grant(burst, t0);
    fair_waiter w;
    q.push(burst, w, t0);
    CHECK_FALSE(burst.second_tier());
    q.remove(w);
    q.grant(burst, t0);
    q.push(burst, w, t0);
    CHECK(burst.second_tier());
    CHECK(q.pop(t0) == &w);
}

TEST_CASE("fair_queue: a site with nobody beside it is never over its share") {
    fair_queue q;
    fair_flow one, two;
    fair_waiter w;
    for (int i = 0; i < 1000; ++i) q.grant(one, t0);
    q.grant(two, t0);
    q.push(one, w, t0);
    CHECK_FALSE(one.second_tier());
    q.remove(w);
}

TEST_CASE("fair_queue: a site that holds all it may waits in nobody's way, and goes on when one comes back") {
    fair_queue q(2);
    fair_flow full, other;
    std::deque<fair_waiter> a(4), b(1);
    for (auto& w : a) q.push(full, w, t0);
    CHECK(q.ready() == 2);
    CHECK(q.pop(t0) == &a[0]);
    CHECK(q.pop(t0) == &a[1]);
    CHECK(q.pop(t0) == nullptr);
    CHECK(q.ready() == 0);
    CHECK(q.size() == 2);
    CHECK_FALSE(q.may_hold(full));
    q.push(other, b[0], t0);
    CHECK(q.ready() == 1);
    CHECK(q.pop(t0) == &b[0]);
    q.give_back(full);
    CHECK(q.ready() == 1);
    CHECK(q.pop(t0) == &a[2]);
    CHECK(q.pop(t0) == nullptr);
    // A capped one can be failed or leave like any other.
    CHECK(q.evict() == &a[3]);
    CHECK(q.evict() == nullptr);
}

TEST_CASE("fair_queue: sites that always wait are served by weight, and never two of them more than a turn apart") {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        random_engine random(seed);
        fair_queue q;
        std::deque<backlogged> sites;
        auto const count = 2 + random() % 30;
        double weights = 0;
        for (std::size_t i = 0; i < count; ++i) {
            sites.emplace_back(static_cast<unsigned>(1 + random() % 20));
            weights += sites.back().flow.weight();
        }
        auto now = t0;
        // Over any window, so over all pairs of moments: the whole range of the difference.
        std::vector<double> low(count * count, 0), high(count * count, 0);
        constexpr int grants = 10'000;
        for (auto& s : sites) s.fill(q, now);
        for (int n = 0; n < grants; ++n) {
            now += std::chrono::microseconds(random() % 5'000);
            auto* const w = q.pop(now);
            REQUIRE(w != nullptr);
            auto const owner = std::find_if(sites.begin(), sites.end(), [&](backlogged const& s) {
                return std::any_of(s.waiters.begin(), s.waiters.end(), [&](auto const& x) { return &x == w; });
            });
            owner->served += 1;
            q.give_back(owner->flow);
            owner->fill(q, now);
            REQUIRE_FALSE(owner->flow.second_tier());
            auto const i = static_cast<std::size_t>(owner - sites.begin());
            for (std::size_t k = 0; k < count; ++k) {
                double const apart = owner->served / owner->flow.weight() - sites[k].served / sites[k].flow.weight();
                auto const at = i < k ? i * count + k : k * count + i;
                low[at] = std::min(low[at], i < k ? apart : -apart);
                high[at] = std::max(high[at], i < k ? apart : -apart);
            }
        }
        INFO("seed " << seed);
        for (std::size_t i = 0; i < low.size(); ++i) CHECK(high[i] - low[i] <= 1 + 1e-9);
        for (auto const& s : sites)
            CHECK(std::abs(s.served / grants - s.flow.weight() / weights) <= s.flow.weight() * 1.0 / grants + 1e-9);
        drop_all(q);
    }
}

TEST_CASE("fair_queue: whatever the others take, a hog gets its share in the long run and nobody waits for long") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        random_engine random(seed);
        fair_queue q;
        // Together the others alone ask for more than there is; each is its own random one of the first hundred.
        std::deque<backlogged> sites;
        for (int i = 0; i < 101; ++i) sites.emplace_back(1);
        auto& hog = sites.front();
        for (int i = 0; i < 1000; ++i) {  // it had everything
            q.grant(hog.flow, t0);
            q.give_back(hog.flow);
        }
        auto now = t0;
        std::vector<steady_time> last(sites.size(), now);
        steady_duration longest{};
        constexpr int grants = 100'000;
        for (auto& s : sites) s.fill(q, now);
        for (int n = 0; n < grants; ++n) {
            now += 1ms;
            auto* const w = q.pop(now);
            REQUIRE(w != nullptr);
            for (std::size_t i = 0; i < sites.size(); ++i) {
                auto& s = sites[i];
                if (std::none_of(s.waiters.begin(), s.waiters.end(), [&](auto const& x) { return &x == w; })) continue;
                longest = std::max(longest, now - last[i]);
                last[i] = now;
                s.served += 1;
                q.give_back(s.flow);
            }
            hog.fill(q, now);
            sites[1 + random() % 100].fill(q, now);
        }
        INFO("seed " << seed << ": hog " << hog.served << " of " << grants << ", longest wait "
                     << std::chrono::duration<double>(longest).count() << " s");
        CHECK(hog.served >= 0.9 * grants / 101);
        CHECK(hog.served <= 3.0 * grants / 101);
        // log2(1000 / forgiven) = 7 epochs, and a round.
        CHECK(longest <= 8 * fair_queue::epoch);
        drop_all(q);
    }
}

TEST_CASE("fair_queue: what a site may hold changes for all who wait at once, and who holds more keeps it") {
    fair_queue q(1);
    fair_flow big, small, heavy(2);
    std::deque<fair_waiter> a(6), b(2), c(3);
    for (auto& w : a) q.push(big, w, t0);
    for (auto& w : b) q.push(small, w, t0);
    for (auto& w : c) q.push(heavy, w, t0);
    CHECK(q.ready() == 3);
    CHECK(q.pop(t0) == &a[0]);
    CHECK(q.ready() == 2);
    q.set_max_held(3);
    // Its turn comes behind those who had one before.
    CHECK(q.ready() == 2 + 2 + 3);
    CHECK(q.pop(t0) == &b[0]);
    CHECK(q.pop(t0) == &c[0]);
    CHECK(q.pop(t0) == &c[1]);
    CHECK(q.pop(t0) == &a[1]);
    CHECK(big.held() == 2);
    q.set_max_held(1);
    CHECK(q.ready() == 0);
    CHECK(q.pop(t0) == nullptr);
    q.give_back(big);
    CHECK(q.ready() == 0);
    q.give_back(big);
    CHECK(q.ready() == 1);
    CHECK(q.pop(t0) == &a[2]);
    CHECK(q.pop(t0) == nullptr);
    q.set_max_held(2);
    CHECK(q.ready() == 2);  // the heavy one holds two
    drop_all(q);
}

TEST_CASE("fair_queue: random pushes, grants, returns, removals and caps lose and invent nobody") {
    random_engine random(42);
    std::uint32_t cap = 3;
    fair_queue q(cap);
    std::deque<fair_flow> flows;
    for (unsigned i = 0; i < 7; ++i) flows.emplace_back(1 + i % 3);
    std::deque<fair_waiter> waiters(200);
    std::array<std::size_t, 7> waiting{}, held{};
    auto const index = [&](fair_flow const* f) {
        for (std::size_t i = 0; i < flows.size(); ++i)
            if (&flows[i] == f) return i;
        throw std::logic_error("no such flow");
    };
    std::vector<std::size_t> owner(waiters.size());
    auto now = t0;
    for (int step = 0; step < 100'000; ++step) {
        now += std::chrono::milliseconds(random() % 20);
        auto const k = random() % waiters.size();
        auto& w = waiters[k];
        auto const f = random() % flows.size();
        auto const before = held;
        switch (random() % 6) {
        case 5:
            if (random() % 8 != 0) break;
            cap = static_cast<std::uint32_t>(1 + random() % 5);
            q.set_max_held(cap);
            break;
        case 0:
            if (!w.queued()) {
                q.push(flows[f], w, now);
                owner[k] = f;
                ++waiting[f];
            }
            break;
        case 1:
            if (w.queued()) --waiting[index(w.flow())];
            q.remove(w);
            break;
        case 2:
            if (held[f] != 0) {
                q.give_back(flows[f]);
                --held[f];
            }
            break;
        case 3:
            if (q.ready() == 0 && q.may_hold(flows[f])) {
                q.grant(flows[f], now);
                ++held[f];
            }
            break;
        default: {
            auto const ready = q.ready();
            auto* const got = q.pop(now);
            REQUIRE((got != nullptr) == (ready != 0));
            if (got == nullptr) break;
            for (std::size_t i = 0; i < waiters.size(); ++i) {
                if (&waiters[i] != got) continue;
                --waiting[owner[i]];
                ++held[owner[i]];
            }
        }
        }
        bool same = true;
        std::size_t size = 0;
        std::size_t ready = 0;
        for (std::size_t i = 0; i < flows.size(); ++i) {
            same = same && flows[i].waiting() == waiting[i] && flows[i].held() == held[i] &&
                   held[i] <= std::max(before[i], std::size_t{cap});
            size += waiting[i];
            if (held[i] < cap) ready += std::min(waiting[i], cap - held[i]);
        }
        same = same && q.size() == size && q.ready() == ready;
        REQUIRE(same);
    }
    std::size_t left = 0;
    while (q.evict() != nullptr) ++left;
    std::size_t expected = 0;
    for (auto const n : waiting) expected += n;
    CHECK(left == expected);
    CHECK(q.empty());
}

TEST_CASE("fair_queue: a site that leaves the second tier while it is the next to be looked at is looked at no more") {
    fair_queue q;
    fair_flow hog, other_hog, quiet;
    for (auto* const f : {&hog, &other_hog})
        for (int i = 0; i < 1000; ++i) {
            q.grant(*f, t0);
            q.give_back(*f);
        }
    std::deque<fair_flow> active(20);
    for (auto& f : active) q.grant(f, t0);
    std::deque<fair_waiter> of_quiet(4);
    fair_waiter of_hog, of_other;
    for (auto& w : of_quiet) q.push(quiet, w, t0);
    q.push(hog, of_hog, t0);
    q.push(other_hog, of_other, t0);
    REQUIRE(hog.second_tier());
    REQUIRE(other_hog.second_tier());
    CHECK(q.pop(t0) == &of_quiet[0]);  // and looked at the hog
    q.remove(of_other);
    // Long enough that nobody is over its share any more.
    auto const later = t0 + 20 * fair_queue::epoch;
    for (std::size_t left = 4; left > 0; --left) {
        CHECK(q.size() == left);
        CHECK(q.pop(later) != nullptr);
    }
    CHECK(q.pop(later) == nullptr);
    CHECK_FALSE(of_hog.queued());
}
