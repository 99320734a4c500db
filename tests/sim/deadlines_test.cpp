#include "support/catch.hpp"
#include "support/figure.hpp"

#include <jirapool/core/limiter.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

struct verdicts {
    std::uint64_t calls = 0;
    std::uint64_t served = 0;
    std::uint64_t refused = 0;          // at arrival
    std::uint64_t wrongly_refused = 0;  // of them, that would have had their turn in time
    std::uint64_t too_late = 0;         // waited for nothing: should have been refused
    std::uint64_t overshoots = 0;       // ended behind the deadline
};

struct call {
    call(route_match m, priority p, std::uint64_t n, steady_time d)
        : waiter(m, p), route(m.route), urgency(p), number(n), deadline(d) {}
    limiter_waiter waiter;
    route_id route;
    priority urgency;
    std::uint64_t number;
    steady_time deadline;
    bool goes_before(call const& other) const noexcept {
        return urgency != other.urgency ? urgency < other.urgency : number < other.number;
    }
};

/// One site, four routes at half again of what they permit, calls of both priorities with deadlines of 0 to 20 s.
verdicts run(std::uint64_t count, std::uint64_t seed) {
    limit_params params;
    site_limiter limiter(params);
    random_engine random(seed);
    route_match const routes[] = {
        classify_route(method::get, "/rest/api/3/myself"), classify_route(method::get, "/rest/api/3/issue/A-1"),
        classify_route(method::get, "/rest/api/3/field"), classify_route(method::post, "/rest/api/3/search/jql")};
    constexpr double rate = 50;
    steady_time now{1000h};
    rate_headers h;
    h.limit = static_cast<std::uint32_t>(rate);
    h.remaining = h.limit;
    for (auto const& r : routes) limiter.on_answer(r, {}, 200, h, now, {}, random);

    verdicts v;
    std::vector<std::unique_ptr<call>> waiting;
    std::vector<std::unique_ptr<call>> ghosts;  // refused ones, until it is known when they would have had their turn
    auto const served_at = [&](call const* who, route_id route, steady_time at) {
        std::erase_if(ghosts, [&](auto const& g) {
            bool const turn = g->route == route && (who == nullptr || g->goes_before(*who));
            if (turn && at <= g->deadline) ++v.wrongly_refused;
            return turn || at > g->deadline;
        });
    };
    auto const interval = std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(1) /
                                                                      (rate * params.use_of_rate));
    std::unordered_map<route_id, steady_time> last_turn;
    auto arrival = now;
    while (v.calls < count || !waiting.empty()) {
        if (v.calls == count) ghosts.clear();  // that the load ends here nobody could know
        auto next = v.calls < count ? arrival : steady_time::max();
        next = std::min(next, limiter.next_release(now));
        for (auto const& c : waiting) next = std::min(next, c->deadline);
        now = std::max(now, next);
        while (auto* const w = limiter.release(now)) {
            auto const c = std::find_if(waiting.begin(), waiting.end(), [w](auto& x) { return &x->waiter == w; });
            ++v.served;
            if (now > (*c)->deadline) ++v.overshoots;
            served_at(c->get(), (*c)->route, now);
            last_turn[(*c)->route] = now;
            waiting.erase(c);
        }
        std::erase_if(waiting, [&](auto const& c) {
            if (c->deadline > now) return false;
            limiter.remove(c->waiter);
            ++v.too_late;
            return true;
        });
        for (auto const& r : routes)
            if (std::none_of(waiting.begin(), waiting.end(), [&](auto& c) { return c->route == r.route; }))
                served_at(nullptr, r.route, std::max(now, last_turn[r.route] + interval));
        for (; v.calls < count && arrival <= now;
             arrival += std::chrono::nanoseconds(static_cast<long>(2e9 * uniform(random) / (1.5 * 4 * rate)))) {
            auto const p = random() % 5 == 0 ? priority::background : priority::interactive;
            auto const patience = std::chrono::microseconds(random() % 20'000'000);
            auto c = std::make_unique<call>(routes[random() % 4], p, v.calls++, now + patience);
            switch (limiter.admit(c->waiter, now, c->deadline).what) {
            case admission::kind::now:
                ++v.served;
                last_turn[c->route] = now;
                break;
            case admission::kind::wait: waiting.push_back(std::move(c)); break;
            case admission::kind::refused:
                ++v.refused;
                ghosts.push_back(std::move(c));
                break;
            case admission::kind::full: FAIL("the queue is full"); break;
            }
        }
    }
    return v;
}

void check(verdicts const& v) {
    auto const doomed = static_cast<double>(v.refused - v.wrongly_refused + v.too_late);
    double const found = static_cast<double>(v.refused - v.wrongly_refused) / doomed;
    double const wrong = static_cast<double>(v.wrongly_refused) / static_cast<double>(v.calls);
    support::figure("deadlines_calls", static_cast<double>(v.calls));
    support::figure("deadlines_overshoots", static_cast<double>(v.overshoots));
    support::figure("doomed_refused_at_arrival_share", found);
    support::figure("wrongly_refused_share", wrong);
    INFO("served " << v.served << ", refused " << v.refused << ", wrongly " << v.wrongly_refused << ", too late "
                   << v.too_late);
    CHECK(v.served + v.refused + v.too_late == v.calls);
    CHECK(v.overshoots == 0);
    CHECK(found >= 0.99);
    CHECK(wrong < 0.001);
}

}  // namespace

TEST_CASE("sim: what cannot meet its deadline is refused at arrival, and little else") { check(run(30'000, 1)); }

TEST_CASE("sim: a million random deadlines", "[.figures]") { check(run(1'000'000, 2)); }
