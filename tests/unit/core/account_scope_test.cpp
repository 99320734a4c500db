#include "support/catch.hpp"

#include <jirapool/core/account_scope.hpp>
#include <jirapool/core/limiter.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};
wall_time const half_past{std::chrono::sys_days{std::chrono::year(2026) / 11 / 1} + 30min};

route_match const get_myself = classify_route(method::get, "/rest/api/3/myself");
route_match const get_issue = classify_route(method::get, "/rest/api/3/issue/A-1");
route_match const post_issue = classify_route(method::post, "/rest/api/3/issue");
route_match const search = classify_route(method::post, "/rest/api/3/search/jql");

}  // namespace

TEST_CASE("account: no number of calls in flight is too many until a 429 says so, which halves it") {
    flight_cap cap;
    CHECK_FALSE(cap.reached(10'000));
    for (int i = 0; i < 1'000; ++i) cap.on_answer(50);
    CHECK(cap.value() == 0);
    cap.on_refusal(40);
    CHECK(cap.value() == 20);
    CHECK(cap.reached(20));
    CHECK_FALSE(cap.reached(19));
    // Of those that were let through.
    cap.on_refusal(30);
    CHECK(cap.value() == 10);
    cap.on_refusal(4);
    CHECK(cap.value() == 2);
    for (int i = 0; i < 5; ++i) cap.on_refusal(1);
    CHECK(cap.value() == 1);
    CHECK_FALSE(cap.reached(0));
}

TEST_CASE("account: the number of calls in flight grows by one with three hundred answers that found it reached") {
    flight_cap cap;
    cap.on_refusal(8);
    REQUIRE(cap.value() == 4);
    for (int i = 0; i < 10'000; ++i) cap.on_answer(3);
    CHECK(cap.value() == 4);
    for (int i = 0; i < 299; ++i) cap.on_answer(4);
    CHECK(cap.value() == 4);
    cap.on_answer(4);
    CHECK(cap.value() == 5);
    for (int i = 0; i < 200; ++i) cap.on_answer(5);
    cap.on_refusal(6);
    CHECK(cap.value() == 2);
    // What was counted before counts no more.
    for (int i = 0; i < 299; ++i) cap.on_answer(2);
    CHECK(cap.value() == 2);
}

TEST_CASE("account: too many calls at once pause it for a moment, and then fewer are in flight, whatever their route") {
    limit_params params;
    random_engine random{1};
    site_limiter limiter(params);
    std::atomic<std::uint32_t> in_flight{0};
    account_scope account(in_flight);
    quota_scopes const quotas{nullptr, nullptr, &account};
    rate_headers fast;
    fast.limit = 1000;
    fast.remaining = 999;
    for (auto const& m : {get_myself, get_issue}) limiter.on_answer(m, quotas, 200, fast, t0, half_past, random);
    std::vector<std::unique_ptr<limiter_waiter>> calls;
    auto const admit = [&](route_match m, steady_time now) {
        calls.push_back(std::make_unique<limiter_waiter>(m, priority::interactive, quotas));
        bool const goes = limiter.admit(*calls.back(), now, now + 1h).what == admission::kind::now;
        in_flight += goes;
        return goes;
    };
    for (int i = 0; i < 12; ++i) REQUIRE(admit(i % 2 ? get_myself : get_issue, t0));
    rate_headers too_many;
    too_many.reason = limit_reason::account_calls;
    steady_time until{};
    // Three of them at the same time.
    for (int i = 0; i < 3; ++i) {
        --in_flight;
        until = limiter.on_answer(get_issue, quotas, 429, too_many, t0 + 20ms, half_past, random).until;
    }
    CHECK(until <= t0 + 2s);
    CHECK_FALSE(admit(get_myself, t0 + 900ms));
    CHECK(account.cap().value() == 6);
    for (; in_flight > 0; --in_flight) limiter.on_answer(get_issue, quotas, 200, fast, t0 + 1s, half_past, random);

    // Who waited goes first.
    auto const now = until + 1s;
    auto const waits = [](auto const& w) { return w->waiting(); };
    for (int i = 0; i < 8; ++i) admit(get_issue, now);
    while (limiter.release(now) != nullptr) ++in_flight;
    CHECK(in_flight == 6);
    CHECK(std::count_if(calls.begin(), calls.end(), waits) == 3);
    CHECK(account.describe(now) == "6 of its calls may be in flight at a time");
    CHECK(limiter.describe(limit_scope::account, calls.back()->needs(), now) == account.describe(now));
    // Another account of the site is not concerned.
    limiter_waiter other(get_issue, priority::interactive);
    CHECK(limiter.admit(other, now, now + 1h).what == admission::kind::now);
    // With an answer the next one goes.
    --in_flight;
    limiter.on_answer(get_issue, quotas, 200, fast, now + 10ms, half_past, random);
    CHECK(limiter.next_release(now + 10ms) <= now + 10ms);
    CHECK(limiter.release(now + 10ms) != nullptr);
    ++in_flight;
    CHECK(limiter.release(now + 10ms) == nullptr);
    CHECK(limiter.next_release(now + 10ms) <= now + 200ms);
    // An operator who resets it asks for what Jira lets through.
    account.reset();
    CHECK(limiter.release(now + 10ms) != nullptr);
    for (auto& w : calls) limiter.remove(*w);
}

TEST_CASE("account: what used up its budget is told by route, with what the hour comes to") {
    std::atomic<std::uint32_t> in_flight{0};
    account_scope account(in_flight);
    for (int i = 0; i < 100; ++i) account.on_answer(search.route, t0, half_past);
    // It is one that never met a budget: nothing is counted.
    CHECK(account.spent().calls() == 0);
    account.close(limit_reason::account_calls, t0 + 1s, t0);
    account.on_answer(search.route, t0 + 2s, half_past);
    CHECK(account.spent().calls() == 0);
    account.close(limit_reason::account_cost, t0 + 30min, t0);
    CHECK(account.describe(t0).empty());

    // The hour that follows is counted from its top.
    auto const top = t0 + 30min;
    auto const wall = [&](steady_time now) {
        return half_past + std::chrono::duration_cast<std::chrono::milliseconds>(now - t0);
    };
    for (int i = 0; i < 1'000; ++i) {
        auto const now = top + (i + 1) * 1s;
        auto const r = i % 100 < 61 ? search : i % 100 < 91 ? post_issue : i % 100 < 96 ? get_issue : get_myself;
        account.on_answer(r.route, now, wall(now));
    }
    CHECK(account.spent().calls() == 1'000);
    auto const text = account.describe(top + 1000s);
    CHECK(
        text.starts_with("POST /rest/api/{version}/search/jql 61 %, POST /rest/api/{version}/issue 30 %, "
                         "GET /rest/api/{version}/issue/{issueIdOrKey} 5 % of its 1000 calls this hour, "));
    // The first that was booked in this life of it was before the top: what follows began there or with its first call.
    CHECK(account.spent().forecast() >= 3'590);
    CHECK(account.spent().forecast() <= 3'610);
    // With the hour's end it is over.
    CHECK(account.describe(top + 1h).empty());
    account.on_answer(get_myself.route, top + 1h + 10s, wall(top + 1h + 10s));
    CHECK(account.spent().calls() == 1);
    CHECK(account.spent().forecast() == 360);
}

TEST_CASE("account: of many routes those with the most calls are told, whenever they came") {
    spent_calls spent;
    route_id next = 0;
    for (; next < 8; ++next) spent.book(next, t0, half_past);
    for (int i = 0; i < 2'000; ++i) {
        spent.book(i % 2        ? post_issue.route
                   : i % 10 < 6 ? search.route
                                : route_id(next++ % 100),
                   t0 + i * 100ms, half_past);
    }
    auto const text = spent.describe(t0 + 200s);
    CHECK(text.starts_with("POST /rest/api/{version}/issue 50 %, POST /rest/api/{version}/search/jql 30 %, "));
}
