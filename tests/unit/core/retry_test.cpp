#include "support/catch.hpp"

#include <jirapool/core/retry.hpp>

#include <algorithm>
#include <limits>
#include <string>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

bool resendable(request r) {
    auto const m = classify_route(r.method(), r.target());
    return is_resendable(r, m.route);
}

}  // namespace

TEST_CASE("retry: what may be sent twice follows the method and the route") {
    CHECK(resendable(request::get("/rest/api/3/myself")));
    CHECK(resendable(request::delete_("/rest/api/3/issue/A-1")));
    CHECK(resendable(request::post("/rest/api/3/search/jql").json("{}")));
    CHECK(resendable(request::put("/rest/api/3/issue/A-1").json(R"({"fields":{"summary":"x"}})")));
    CHECK_FALSE(resendable(request::put("/rest/api/3/issue/A-1").json(R"({"update":{"labels":[{"add":"x"}]}})")));
    CHECK_FALSE(resendable(request::post("/rest/api/3/issue").json("{}")));
    CHECK_FALSE(resendable(request::post("/rest/api/3/issue/A-1/comment").json("{}")));
    CHECK_FALSE(resendable(request::patch("/rest/api/3/whatever")));
    CHECK(resendable(request::post("/rest/api/3/issue").json("{}").resendable(true)));
    CHECK_FALSE(resendable(request::get("/rest/api/3/myself").resendable(false)));
}

TEST_CASE("retry: a write whose fate is unknown is not sent again, one that surely was not processed is") {
    retry_params const p;
    random_engine random(3);
    exchange_facts f;
    f.reason = resend_reason::channel_lost;
    CHECK_FALSE(resend_after(f, p, random).has_value());
    f.unprocessed = true;
    CHECK(resend_after(f, p, random).has_value());
    f.unprocessed = false;
    f.channel_ended = true;
    CHECK_FALSE(resend_after(f, p, random).has_value());
}

TEST_CASE(
    "faults: C1 an exchange is hedged when it takes far longer than its site does, and never before the param's time") {
    retry_params p;
    CHECK(hedge_after(p, 0s) == 2s);
    CHECK(hedge_after(p, 500ms) == 2s);
    CHECK(hedge_after(p, 3s) == 12s);
    CHECK(hedge_after(p, steady_duration::max()) >= 24h);
    p.hedge_after = std::chrono::milliseconds::max();
    CHECK(hedge_after(p, 3s) == steady_duration::max());
    p.hedge_after = 0ms;
    CHECK_FALSE(hedge_after(p, 3s).has_value());
    for (double const bad : {-1.0, 101.0, std::numeric_limits<double>::quiet_NaN()}) {
        retry_params wrong;
        wrong.hedge_percent = bad;
        REQUIRE(why_invalid(wrong) != nullptr);
        CHECK(std::string(why_invalid(wrong)).starts_with("retry_params::hedge_percent"));
    }
}

TEST_CASE("retry: a reused channel that died silently is replaced at once") {
    retry_params const p;
    random_engine random(3);
    exchange_facts f;
    f.resendable = true;
    f.channel_ended = true;
    CHECK(resend_after(f, p, random) == steady_duration(0));
}

TEST_CASE("retry: what a server refused goes to another channel at once, and who refuses all is asked less") {
    retry_params const p;
    random_engine random(3);
    exchange_facts f;
    f.reason = resend_reason::channel_lost;
    f.unprocessed = f.refused = true;  // a POST too
    CHECK(resend_after(f, p, random) == steady_duration(0));
    CHECK_FALSE(needs_budget(f));
    f.exchanges = 2;
    steady_duration longest{};
    for (int i = 0; i < 100; ++i) {
        auto const wait = resend_after(f, p, random);
        REQUIRE(wait);
        longest = std::max(longest, *wait);
    }
    CHECK(longest > steady_duration(0));
    f.exchanges = p.max_exchanges;
    CHECK_FALSE(resend_after(f, p, random));
    // What was refused does not count, but for who is refused again and again.
    f.refusals = 1;
    CHECK(resend_after(f, p, random));
    f.exchanges = f.refusals = 2 * p.max_exchanges;
    CHECK_FALSE(resend_after(f, p, random));
    --f.exchanges;
    CHECK(resend_after(f, p, random));
}

TEST_CASE("retry: what was turned away goes to the next channel at once, however often") {
    retry_params p;
    p.max_exchanges = 1;
    random_engine random(3);
    exchange_facts f;
    f.unprocessed = f.refused = f.turned_away = true;  // a POST too
    for (unsigned exchanges : {0u, 1u, 100u}) {
        f.exchanges = exchanges;
        CHECK(resend_after(f, p, random) == steady_duration(0));
    }
}

TEST_CASE("retry: backoff has full jitter, doubles, and keeps the server's floor") {
    retry_params const p;
    random_engine random(3);
    exchange_facts f;
    f.reason = resend_reason::transient_answer;
    f.resendable = true;
    for (unsigned exchanges = 1; exchanges < p.max_exchanges; ++exchanges) {
        f.exchanges = exchanges;
        for (int i = 0; i < 1000; ++i) {
            auto const wait = resend_after(f, p, random);
            REQUIRE(wait);
            CHECK(*wait >= steady_duration(0));
            CHECK(*wait < p.backoff * (1 << (exchanges - 1)));
        }
    }
    f.exchanges = 1;
    f.retry_after = 7s;
    CHECK(*resend_after(f, p, random) >= 7s);
}

TEST_CASE("retry: exchanges are bounded, those answered 429 by a bound of their own") {
    retry_params const p;
    random_engine random(3);
    exchange_facts f;
    f.resendable = true;
    f.exchanges = p.max_exchanges;
    CHECK_FALSE(resend_after(f, p, random).has_value());
    f.limited = 1;
    CHECK(resend_after(f, p, random).has_value());
    f.reason = resend_reason::limited;
    f.limited = p.max_limited;
    CHECK(resend_after(f, p, random).has_value());
    f.limited = p.max_limited + 1;
    CHECK_FALSE(resend_after(f, p, random).has_value());
}

TEST_CASE("retry: a budget lets an outage be answered with a tenth more load at most") {
    retry_params const p;
    retry_budget budget(p);
    int resends = 0;
    for (int i = 0; i < 10'000; ++i) {
        budget.on_call(p);
        if (budget.take()) ++resends;
    }
    // What was saved up included; and what the ratio earns is had.
    CHECK(resends <= 1000);
    CHECK(resends >= p.budget_ratio * 10'000);
}

TEST_CASE("retry: backoff doubles up to its limit, drawn from all of it") {
    retry_params p;
    p.max_exchanges = 20;
    random_engine random(3);
    exchange_facts f;
    f.reason = resend_reason::transient_answer;
    f.resendable = true;
    for (unsigned exchanges = 1; exchanges < p.max_exchanges; ++exchanges) {
        f.exchanges = exchanges;
        auto const range = std::min<std::chrono::milliseconds>(p.backoff_max, p.backoff * (1 << (exchanges - 1)));
        steady_duration least = 1h, most{};
        for (int i = 0; i < 200; ++i) {
            auto const wait = resend_after(f, p, random).value();
            least = std::min(least, wait);
            most = std::max(most, wait);
        }
        INFO(exchanges << " exchanges");
        CHECK(least < range / 10);
        CHECK(most > range * 9 / 10);
        CHECK(most < range);
    }
}

TEST_CASE("retry: what a quiet day may save up is bounded") {
    retry_params const p;
    retry_budget budget(p);
    for (int i = 0; i < 100'000; ++i) budget.on_call(p);
    int resends = 0;
    while (resends < 100 && budget.take()) ++resends;
    CHECK(resends == 10);
}

TEST_CASE(
    "retry: calls of channels that had served and died silently may overdraw the budget, and the debt is earned back") {
    retry_params const p;
    retry_budget budget(p);
    exchange_facts f;
    f.reason = resend_reason::channel_lost;
    CHECK(overdraft(f, 100) == 0);
    f.channel_ended = true;
    auto const debt = overdraft(f, 100);
    CHECK(debt == 100);
    f.reason = resend_reason::transient_answer;
    CHECK(overdraft(f, 100) == 0);
    int resends = 0;
    while (resends < 1000 && budget.take(debt)) ++resends;
    CHECK(resends == 110);
    CHECK_FALSE(budget.can_take());
    auto const calls = static_cast<int>(101 / p.budget_ratio) + 2;
    for (int i = 0; i < calls - 10; ++i) budget.on_call(p);
    CHECK_FALSE(budget.can_take());
    for (int i = 0; i < 10; ++i) budget.on_call(p);
    CHECK(budget.take());
}
