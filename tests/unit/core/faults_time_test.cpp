// Durations at their ends: "never" stays never, and what cannot be meant is refused by name.
#include "support/catch.hpp"

#include <jirapool/core/limiter.hpp>
#include <jirapool/core/retry.hpp>
#include <jirapool/core/time.hpp>
#include <jirapool/core/token_fsm.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

steady_time const t0{1000h};

template <class D>
std::vector<D> ends() {
    return {D::min(), D(-1), D(0), D(1), D::max() - D(1), D::max()};
}

/// The true sum, which no 64 bits need hold.
__extension__ using wide = __int128;
template <class D>
wide nanoseconds_of(D d) {
    return static_cast<wide>(d.count()) * (1'000'000'000 / D::period::den) * D::period::num;
}
wide held(wide n) {
    return std::clamp<wide>(n, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
}

template <class D>
void check_later() {
    for (auto const d : ends<D>()) {
        CHECK((saturated(d).count() == held(nanoseconds_of(d))));
        for (auto const now : {steady_time::min(), steady_time{}, t0, steady_time::max() - 1ns, steady_time::max()})
            CHECK((later(now, d).time_since_epoch().count() ==
                   held(now.time_since_epoch().count() + held(nanoseconds_of(d)))));
    }
}

/// How often one credential asks in three seconds when each answer is `outcome`.
int requests_in_3s(token_params const& p, std::function<void(token_fsm&, steady_time, random_engine&)> const& outcome) {
    random_engine random{7};
    token_endpoint endpoint(p);
    token_fsm fsm(endpoint);
    int n = 0;
    for (auto now = t0; now < t0 + 3s && n < 1000;) {
        if (fsm.refresh_due(now)) {
            ++n;
            outcome(fsm, now, random);
        }
        if (fsm.next_refresh() > t0 + 3s) break;
        now = std::max(now, fsm.next_refresh());
    }
    return n;
}

}  // namespace

TEST_CASE("faults: C2 a moment that is later by any duration is held at the ends of time") {
    check_later<std::chrono::nanoseconds>();
    check_later<std::chrono::microseconds>();
    check_later<milliseconds>();
    check_later<seconds>();
    check_later<std::chrono::minutes>();
    check_later<std::chrono::duration<std::int32_t>>();
    static_assert(later(steady_time::max(), 1s) == steady_time::max());
    static_assert(later(steady_time{} + 1h, milliseconds::max()) == steady_time::max());
}

TEST_CASE("faults: C2 doubling ends at its limit, however often and from wherever it goes") {
    CHECK(doubled(200ms, 0, 20'000ms) == 200ms);
    CHECK(doubled(200ms, 3, 20'000ms) == 1600ms);
    CHECK(doubled(200ms, 60, 20'000ms) == 20'000ms);
    CHECK(doubled(milliseconds::max(), 20, milliseconds::max()) == milliseconds::max());
    CHECK(doubled(1ms, std::numeric_limits<unsigned>::max(), milliseconds::max()) == milliseconds::max());
    CHECK(doubled(milliseconds::max() / 2 + 1ms, 1, milliseconds::max()) == milliseconds::max());
    CHECK(doubled(0ms, std::numeric_limits<unsigned>::max(), 5ms) == 0ms);
    CHECK(doubled(10ms, 0, 5ms) == 5ms);
}

TEST_CASE("faults: C2 each duration of the params at its ends is refused by name, or meant as it stands") {
    struct row {
        char const* name;
        std::function<char const*(milliseconds)> check;
        bool zero;     ///< may be
        bool forever;  ///< may be
    };
    // Together with what must not be smaller.
    row const rows[] = {
        {"token_params::use_slack",
         [](auto d) {
             token_params p;
             p.use_slack = std::chrono::duration_cast<seconds>(d);
             return why_invalid(p);
         },
         true, true},
        {"token_params::backoff",
         [](auto d) {
             token_params p;
             p.backoff = d;
             p.backoff_max = milliseconds::max();
             return why_invalid(p);
         },
         false, true},
        {"token_params::backoff_max",
         [](auto d) {
             token_params p;
             p.backoff = 1ms;
             p.backoff_max = d;
             return why_invalid(p);
         },
         false, true},
        {"token_params::refused_memory",
         [](auto d) {
             token_params p;
             p.refused_memory = std::chrono::floor<seconds>(d);
             p.refused_memory_max = seconds::max();
             return why_invalid(p);
         },
         false, true},
        {"token_params::refused_memory_max",
         [](auto d) {
             token_params p;
             p.refused_memory = 1s;
             p.refused_memory_max = std::chrono::floor<seconds>(d);
             return why_invalid(p);
         },
         false, true},
        {"token_params::wake_spread",
         [](auto d) {
             token_params p;
             p.wake_spread = std::chrono::floor<seconds>(d);
             return why_invalid(p);
         },
         true, true},
        {"limit_params::pause",
         [](auto d) {
             limit_params p;
             p.pause = d;
             p.pause_max = std::max(d, milliseconds(24h));
             return why_invalid(p);
         },
         false, false},
        {"limit_params::pause_max",
         [](auto d) {
             limit_params p;
             p.pause = 1ms;
             p.pause_max = d;
             return why_invalid(p);
         },
         false, false},
        {"retry_params::backoff",
         [](auto d) {
             retry_params p;
             p.backoff = d;
             p.backoff_max = milliseconds::max();
             return why_invalid(p);
         },
         false, true},
        {"retry_params::hedge_after",
         [](auto d) {
             retry_params p;
             p.hedge_after = d;
             return why_invalid(p);
         },
         true, true},
        {"retry_params::backoff_max",
         [](auto d) {
             retry_params p;
             p.backoff = 1ms;
             p.backoff_max = d;
             return why_invalid(p);
         },
         false, true},
    };
    for (auto const& r : rows) {
        INFO(r.name);
        auto const refused = [&](milliseconds d) {
            char const* const rule = r.check(d);
            INFO((rule == nullptr ? "taken" : rule));
            if (rule != nullptr)
                CHECK(std::string(rule).starts_with(std::string(r.name).substr(0, std::string(r.name).find("_max"))));
            return rule != nullptr;
        };
        CHECK(refused(-1s));
        CHECK(refused(milliseconds::min()));
        CHECK(refused(0ms) == !r.zero);
        CHECK_FALSE(refused(1s));
        CHECK(refused(milliseconds::max() - 1ms) == !r.forever);
        CHECK(refused(milliseconds::max()) == !r.forever);
    }
    for (double const bad :
         {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN(), 1e300}) {
        limit_params limits;
        limits.burst_of_bucket = bad;
        CHECK(why_invalid(limits) != nullptr);
        retry_params ratio;
        ratio.budget_ratio = bad;
        CHECK(why_invalid(ratio) != nullptr);
        retry_params most;
        most.budget_max = bad;
        CHECK(why_invalid(most) != nullptr);
    }
}

TEST_CASE("faults: C2 a refusal that is remembered for ever is, and asks nothing again") {
    for (auto const memory : {seconds(1), seconds::max() - 1s, seconds::max()}) {
        token_params p;
        p.refused_memory = memory;
        p.refused_memory_max = memory;
        REQUIRE(why_invalid(p) == nullptr);
        random_engine random{7};
        token_endpoint endpoint(p);
        token_fsm fsm(endpoint);
        REQUIRE(fsm.on_need(t0) == token_need::refresh_then_wait);
        fsm.on_refresh_failed(refresh_failure::permanent, t0, std::nullopt, random);
        CHECK(fsm.on_need(t0 + 900ms) == token_need::refused);
        CHECK((fsm.on_need(t0 + 876'000h) == token_need::refused) == (memory > 1s));
    }
}

TEST_CASE("faults: C2 no backoff, spread or slack at its end makes a credential ask at once, or often") {
    for (auto const d : {milliseconds(1), milliseconds::max() - 1ms, milliseconds::max()}) {
        token_params p;
        p.backoff = d;
        p.backoff_max = d;
        REQUIRE(why_invalid(p) == nullptr);
        CHECK(requests_in_3s(p, [](auto& fsm, auto now, auto& random) {
                  fsm.on_refresh_failed(refresh_failure::transient, now, std::nullopt, random);
              }) <= 9);
    }
    for (auto const d : {seconds(0), seconds(1), seconds::max() - 1s, seconds::max()}) {
        token_params p;
        p.use_slack = d;
        p.wake_spread = d;
        REQUIRE(why_invalid(p) == nullptr);
        random_engine random{7};
        token_endpoint endpoint(p);
        token_fsm fsm(endpoint);
        REQUIRE(fsm.refresh_due(t0));
        REQUIRE(fsm.on_refreshed(t0, t0, 3600s, random));
        CHECK(fsm.usable(t0 + 3200s));
        auto const late = fsm.next_refresh() + 8h;
        fsm.on_timer(late, random);
        CHECK(fsm.next_refresh() >= late);
    }
    // A lifetime of which hardly any is left to use, and a refresh that is due as good as at once.
    token_params eager;
    eager.refresh_from = eager.refresh_to = 1e-12;
    REQUIRE(why_invalid(eager) == nullptr);
    for (auto const lifetime : {seconds(1), seconds(3600), seconds::max()})
        CHECK(requests_in_3s(eager, [&](auto& fsm, auto now, auto& random) {
                  fsm.on_refreshed(now, now, lifetime, random);
              }) <= 9);
}

TEST_CASE("faults: C2 a wait before a resend is never shorter than it was asked to be") {
    random_engine random{7};
    for (auto const d : {milliseconds(1), milliseconds::max() - 1ms, milliseconds::max()}) {
        retry_params p;
        p.max_exchanges = std::numeric_limits<unsigned>::max();
        p.backoff = d;
        p.backoff_max = milliseconds::max();
        REQUIRE(why_invalid(p) == nullptr);
        exchange_facts f;
        f.resendable = true;
        for (unsigned const exchanges : {1u, 2u, 21u, 1'000'000u}) {
            f.exchanges = exchanges;
            for (auto const floor : {seconds(0), seconds(1), seconds::max() - 1s, seconds::max()}) {
                f.retry_after = floor;
                auto const after = resend_after(f, p, random);
                REQUIRE(after);
                CHECK(*after >= saturated(floor));
            }
        }
    }
}
