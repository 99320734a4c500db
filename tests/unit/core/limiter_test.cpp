#include "support/catch.hpp"

#include <jirapool/core/account_scope.hpp>
#include <jirapool/core/limiter.hpp>
#include <jirapool/core/shared_quota.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};
wall_time const w0{std::chrono::sys_days{std::chrono::year(2026) / 11 / 1}};
constexpr auto far = 24h;

route_match match(method m, char const* target) { return classify_route(m, target); }
route_match const get_issue = match(method::get, "/rest/api/3/issue/A-1");
route_match const get_myself = match(method::get, "/rest/api/3/myself");
route_match const put_issue = match(method::put, "/rest/api/3/issue/A-1");
route_match const put_other_issue = match(method::put, "/rest/api/3/issue/A-2");
route_match const bulk_delete = match(method::post, "/rest/api/3/bulk/issues/delete");

struct fixture {
    limit_params params;
    random_engine random{11};
    site_limiter limiter{params};
    quota_scopes quotas;

    admission::kind admit(limiter_waiter& w, steady_time now, steady_duration patience = far) {
        return limiter.admit(w, now, now + patience).what;
    }
    bool admit_one(route_match m, steady_time now) {
        limiter_waiter w(m, priority::interactive, quotas);
        auto const kind = admit(w, now);
        limiter.remove(w);
        return kind == admission::kind::now;
    }
    site_limiter::lesson answer(route_match m, int status, steady_time now, rate_headers h = {}) {
        return limiter.on_answer(m, quotas, status, h, now, w0, random);
    }
    void learn(route_match m, std::uint32_t limit, std::uint32_t remaining, steady_time now) {
        rate_headers h;
        h.limit = limit;
        h.remaining = remaining;
        answer(m, 200, now, h);
    }
    static rate_headers limited(limit_reason reason, std::optional<std::chrono::seconds> retry_after = std::nullopt) {
        rate_headers h;
        h.reason = reason;
        h.retry_after = retry_after;
        return h;
    }
};

/// Jira's burst limit, as the fact sheet describes it and the client must not know it.
struct hidden_bucket {
    double rate;
    double tokens = rate;
    steady_time last = t0;
    std::uint32_t remaining = 0;

    bool take(steady_time now) {
        tokens = std::min(rate, tokens + rate * std::chrono::duration<double>(now - last).count());
        last = now;
        bool const ok = tokens >= 1;
        if (ok) tokens -= 1;
        remaining = static_cast<std::uint32_t>(tokens);
        return ok;
    }
};

}  // namespace

TEST_CASE("limiter: before it knows a route's rate it lets only a few go at once") {
    fixture f;
    int now = 0;
    for (int i = 0; i < 100; ++i) now += f.admit_one(get_myself, t0);
    CHECK(now == 3);
}

TEST_CASE("limiter: an advertised rate is learned and used nearly whole") {
    fixture f;
    f.learn(get_myself, 20, 19, t0);
    int sent = 0;
    for (auto now = t0; now < t0 + 10s; now += 1ms) sent += f.admit_one(get_myself, now);
    CHECK(sent >= 190);
    CHECK(sent <= 200);
}

TEST_CASE("limiter: a figure that is no burst rate is not learned") {
    fixture f;
    f.learn(get_myself, 360'000, 0, t0);
    f.learn(get_myself, 0, 0, t0);
    int sent = 0;
    for (auto now = t0; now < t0 + 1s; now += 1ms) sent += f.admit_one(get_myself, now);
    CHECK(sent >= 90);
    CHECK(sent <= 105);
}

TEST_CASE("limiter: a 429 for a route pauses that route and no other") {
    fixture f;
    auto const lesson = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 5s));
    CHECK(lesson.pause == limit_reason::burst);
    CHECK(lesson.until >= t0 + 5s);
    CHECK_FALSE(f.admit_one(get_issue, t0 + 4999ms));
    CHECK(f.admit_one(get_myself, t0));
    CHECK(f.admit_one(put_issue, t0));
    CHECK(f.limiter.paused_scopes(t0) == 1);
    CHECK(f.admit_one(get_issue, lesson.until));
}

TEST_CASE("limiter: a 429 for an issue pauses writes to that issue alone") {
    fixture f;
    auto const lesson = f.answer(put_issue, 429, t0, fixture::limited(limit_reason::issue_write, 2s));
    CHECK(lesson.pause == limit_reason::issue_write);
    CHECK_FALSE(f.admit_one(put_issue, t0 + 1999ms));
    CHECK(f.admit_one(put_other_issue, t0));
    CHECK(f.admit_one(get_issue, t0));
    CHECK(f.admit_one(put_issue, lesson.until));
}

TEST_CASE("limiter: a pause begins once, and a probe that is refused prolongs it") {
    for (auto const reason : {limit_reason::burst, limit_reason::unknown, limit_reason::tenant_quota}) {
        INFO(to_string(reason));
        fixture f;
        points_quota quota;
        if (reason == limit_reason::tenant_quota) f.quotas.at_site = &quota;
        auto const of = reason == limit_reason::burst     ? limit_scope::route
                        : reason == limit_reason::unknown ? limit_scope::site
                                                          : limit_scope::site_quota;
        auto const limited = fixture::limited(reason, 5s);
        auto lesson = f.answer(get_issue, 429, t0, limited);
        CHECK(lesson.begins);
        CHECK(lesson.scope == of);
        CHECK_FALSE(f.answer(get_issue, 429, t0 + 1s, limited).begins);  // it was on the wire
        for (int i = 0; i < 5; ++i) {
            auto const at = lesson.until + 2s;
            REQUIRE(f.admit_one(get_issue, at));
            lesson = f.answer(get_issue, 429, at, limited);
            CHECK_FALSE(lesson.begins);
            CHECK(lesson.scope == of);
        }
        auto const at = lesson.until + 2s;
        REQUIRE(f.admit_one(get_issue, at));
        f.answer(get_issue, 200, at);
        CHECK(f.answer(get_issue, 429, at + 1s, limited).begins);
    }
}

TEST_CASE("limiter: a pause of an issue and one of a 503 begin once") {
    fixture f;
    auto const limited = fixture::limited(limit_reason::issue_write, 5s);
    auto lesson = f.answer(put_issue, 429, t0, limited);
    CHECK(lesson.begins);
    CHECK(lesson.scope == limit_scope::issue);
    CHECK_FALSE(f.answer(put_issue, 429, t0 + 6s, limited).begins);
    CHECK(f.answer(put_other_issue, 429, t0 + 6s, limited).begins);
    CHECK(f.answer(put_issue, 429, t0 + 60s, limited).begins);
    rate_headers overloaded;
    overloaded.retry_after = 5s;
    lesson = f.answer(get_myself, 503, t0, overloaded);
    CHECK(lesson.begins);
    CHECK(lesson.scope == limit_scope::route);
    REQUIRE(f.admit_one(get_myself, lesson.until));
    CHECK_FALSE(f.answer(get_myself, 503, lesson.until, overloaded).begins);
}

TEST_CASE("limiter: a permit is void once its scope is paused, and only then") {
    fixture f;
    REQUIRE(f.admit_one(get_issue, t0));
    CHECK(f.limiter.open(get_issue, {}, t0));
    auto const burst = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 5s));
    CHECK_FALSE(f.limiter.open(get_issue, {}, t0 + 4s));
    CHECK(f.limiter.open(get_myself, {}, t0 + 4s));
    CHECK(f.limiter.open(get_issue, {}, burst.until));
    f.answer(put_issue, 429, t0, fixture::limited(limit_reason::issue_write, 5s));
    CHECK_FALSE(f.limiter.open(put_issue, {}, t0 + 4s));
    CHECK(f.limiter.open(put_other_issue, {}, t0 + 4s));
    auto const site = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::unknown, 60s));
    CHECK_FALSE(f.limiter.open(get_myself, {}, t0 + 59s));
    CHECK(f.limiter.open(get_myself, {}, site.until));
    // The one that goes first after a pause keeps its permit while it waits for a channel.
    REQUIRE(f.admit_one(get_myself, site.until));
    CHECK(f.limiter.open(get_myself, {}, site.until + 1ms));
    points_quota quota;
    quota.close(t0 + 100s, t0);
    CHECK_FALSE(f.limiter.open(get_myself, {&quota, nullptr}, t0 + 99s));
    budget_share over_sites(std::make_shared<shared_quota>());
    over_sites.close(t0 + 100s, t0);
    CHECK_FALSE(f.limiter.open(get_myself, {nullptr, &over_sites}, t0 + 99s));
    std::atomic<std::uint32_t> in_flight{0};
    account_scope account(in_flight);
    account.close(limit_reason::account_cost, t0 + 100s, t0);
    CHECK_FALSE(f.limiter.open(get_myself, {nullptr, nullptr, &account}, t0 + 99s));
    CHECK(f.limiter.open(get_myself, {&quota, &over_sites, &account}, t0 + 100s));
}

TEST_CASE("limiter: a missing reason, an unknown one, and a quota of no known app pause the whole site") {
    for (auto const reason :
         {limit_reason::tenant_quota, limit_reason::global_quota, limit_reason::none, limit_reason::unknown}) {
        fixture f;
        auto const lesson = f.answer(get_issue, 429, t0, fixture::limited(reason, 100s));
        CHECK(lesson.until >= t0 + 100s);
        CHECK_FALSE(f.admit_one(get_myself, t0 + 99s));
        CHECK_FALSE(f.admit_one(put_other_issue, t0 + 99s));
        CHECK(f.admit_one(get_myself, lesson.until));
    }
}

TEST_CASE("limiter: a 429 that names no time pauses for longer each time in a row") {
    fixture f;
    steady_duration last{0};
    auto now = t0;
    for (int i = 0; i < 5; ++i) {
        auto const lesson = f.answer(get_issue, 429, now,
                                     fixture::limited(limit_reason::burst, i % 2 ? std::optional(0s) : std::nullopt));
        CHECK(lesson.until - now > last);
        CHECK(lesson.until - now <= 66s);
        last = lesson.until - now;
        now = lesson.until;
        REQUIRE(f.admit_one(get_issue, now));
    }
    f.answer(get_issue, 200, now);
    CHECK(f.answer(get_issue, 429, now, fixture::limited(limit_reason::burst)).until - now < 1200ms);
}

TEST_CASE("limiter: X-RateLimit-Reset is the pause's end when there is no Retry-After") {
    fixture f;
    auto h = fixture::limited(limit_reason::tenant_quota);
    h.reset = w0 + 600s;
    CHECK(f.answer(get_issue, 429, t0, h).until >= t0 + 600s);
}

TEST_CASE("limiter: after a pause one call goes alone, and its answer lets the others follow one by one") {
    fixture f;
    f.learn(get_issue, 100, 99, t0);
    auto const lesson = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 1s));
    auto const count = [&](steady_time from, steady_duration length) {
        int n = 0;
        for (auto now = from; now < from + length; now += 1ms) n += f.admit_one(get_issue, now);
        return n;
    };
    CHECK(count(lesson.until, 500ms) == 1);
    f.learn(get_issue, 100, 99, lesson.until + 500ms);
    auto const followers = count(lesson.until + 500ms, 100ms);
    CHECK(followers >= 2);
    CHECK(followers <= 8);
}

TEST_CASE("limiter: when the first call after a pause is limited again the pause costs one 429") {
    fixture f;
    f.learn(get_issue, 100, 99, t0);
    auto const first = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 1s));
    REQUIRE(f.admit_one(get_issue, first.until));
    auto const second = f.answer(get_issue, 429, first.until + 100ms, fixture::limited(limit_reason::burst, 3s));
    CHECK(second.until >= first.until + 3100ms);
    CHECK_FALSE(f.admit_one(get_issue, second.until - 1ms));
    CHECK(f.admit_one(get_issue, second.until));
}

TEST_CASE("limiter: a call that comes while the first one after a pause is out waits for that one's answer") {
    for (auto const reason : {limit_reason::burst, limit_reason::unknown}) {
        fixture f;
        auto const pause = f.answer(get_issue, 429, t0, fixture::limited(reason, 1s));
        limiter_waiter early(get_issue, priority::interactive), late(get_issue, priority::interactive);
        CHECK(f.admit(early, pause.until - 600ms, 500ms) == admission::kind::refused);
        REQUIRE(f.admit_one(get_issue, pause.until));
        // Another probe may go 2 s later only, but this one's answer will not take so long.
        CHECK(f.admit(late, pause.until + 10ms, 500ms) == admission::kind::wait);
        CHECK(f.limiter.release(pause.until + 50ms) == nullptr);
        f.answer(get_issue, 200, pause.until + 60ms);
        CHECK(f.limiter.release(pause.until + 60ms) == &late);
    }
}

TEST_CASE("limiter: when the first call after a pause is never answered another one goes after a while") {
    fixture f;
    auto const route = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 1s));
    REQUIRE(f.admit_one(get_issue, route.until));
    CHECK_FALSE(f.admit_one(get_issue, route.until + 1900ms));
    CHECK(f.admit_one(get_issue, route.until + 2s));
    fixture g;
    auto const site = g.answer(get_issue, 429, t0, fixture::limited(limit_reason::unknown, 1s));
    REQUIRE(g.admit_one(get_issue, site.until));
    CHECK_FALSE(g.admit_one(get_myself, site.until + 1900ms));
    CHECK(g.admit_one(get_myself, site.until + 2s));
}

TEST_CASE("limiter: after a pause of the site one call goes alone, and its answer opens all routes without a burst") {
    fixture f;
    f.learn(get_issue, 100, 99, t0);
    f.learn(get_myself, 100, 99, t0);
    auto const lesson = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::unknown, 5s));
    REQUIRE(f.admit_one(get_issue, lesson.until));
    CHECK_FALSE(f.admit_one(get_issue, lesson.until + 50ms));
    CHECK_FALSE(f.admit_one(get_myself, lesson.until + 50ms));
    f.learn(get_issue, 100, 99, lesson.until + 60ms);
    int burst = 0;
    for (int i = 0; i < 20; ++i) burst += f.admit_one(get_myself, lesson.until + 60ms);
    CHECK(burst == 1);
}

TEST_CASE("limiter: a quota's 429 closes it for the app's calls alone, until the hour's end when no time is named") {
    fixture f;
    points_quota at_site;
    budget_share over_sites(std::make_shared<shared_quota>());
    f.quotas = {&at_site, &over_sites};
    auto const tenant = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::tenant_quota));
    CHECK(tenant.until - t0 >= 1h);  // the test's wall clock stands at the top of an hour
    CHECK(tenant.until - t0 <= 1h + 2s);
    CHECK(at_site.closed(t0 + 59min));
    CHECK_FALSE(over_sites.closed(t0));
    CHECK_FALSE(f.admit_one(get_myself, t0 + 59min));
    auto const global = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::global_quota, 7200s));
    CHECK(over_sites.closed(t0 + 7199s));
    CHECK(global.pause == limit_reason::global_quota);
    f.quotas = {};
    CHECK(f.admit_one(get_myself, t0));  // another app's
    f.quotas = {nullptr, &over_sites};
    fixture elsewhere;
    elsewhere.quotas = f.quotas;
    CHECK_FALSE(elsewhere.admit_one(get_myself, t0 + 1h));  // the same app at another site
}

TEST_CASE("limiter: what is left of a quota is spread over what is left of the hour") {
    fixture f;
    points_quota at_site;
    f.quotas = {&at_site, nullptr};
    rate_headers h;
    h.tenant_quota = quota_item{};
    h.tenant_quota->remaining = 1800;  // at two points a call: 900 calls in 3600 s
    f.answer(get_issue, 200, t0, h);
    int sent = 0;
    for (auto now = t0; now < t0 + 400s; now += 100ms) sent += f.admit_one(get_myself, now);
    CHECK(sent >= 95);
    CHECK(sent <= 105);
}

TEST_CASE("limiter: writes to one issue keep 20 in 2 seconds and 100 in 30") {
    fixture f;
    f.learn(put_issue, 1000, 999, t0);
    std::vector<steady_time> sent;
    for (auto now = t0; now < t0 + 65s; now += 5ms)
        if (f.admit_one(put_issue, now)) sent.push_back(now);
    for (std::size_t i = 0; i < sent.size(); ++i) {
        if (i + 20 < sent.size()) CHECK(sent[i + 20] - sent[i] >= 2s);
        if (i + 100 < sent.size()) CHECK(sent[i + 100] - sent[i] >= 30s);
    }
    CHECK(sent.size() >= 255);  // 100 in the first 10 s, 100 from 30 s on, 60 from 60 s on: Jira permits no more
}

TEST_CASE("limiter: calls behind one that wants a busy issue do not wait for it, and keep their own order") {
    fixture f;
    f.learn(put_issue, 1000, 999, t0);
    for (int i = 0; i < 18; ++i) REQUIRE(f.admit_one(put_issue, t0));
    f.answer(put_issue, 429, t0, fixture::limited(limit_reason::burst, 1s));
    std::vector<std::unique_ptr<limiter_waiter>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(std::make_unique<limiter_waiter>(put_issue, priority::interactive));
    for (int i = 0; i < 3; ++i)
        calls.push_back(std::make_unique<limiter_waiter>(put_other_issue, priority::interactive));
    for (auto& c : calls) REQUIRE(f.admit(*c, t0) == admission::kind::wait);
    std::vector<limiter_waiter*> released;
    std::vector<steady_time> at;
    for (auto now = t0; now < t0 + 10s; now += 1ms) {
        while (auto* const w = f.limiter.release(now)) {
            released.push_back(w);
            at.push_back(now);
            f.learn(put_issue, 1000, 999, now);
        }
        CHECK(f.limiter.next_release(now) > now);
    }
    // Two more writes are left to the issue in these two seconds; the other issue's go before the rest.
    std::vector<limiter_waiter*> expected;
    for (auto const i : {0u, 1u, 4u, 5u, 6u, 2u, 3u}) expected.push_back(calls[i].get());
    CHECK(released == expected);
    CHECK(at.at(4) < t0 + 1300ms);
    CHECK(at.at(5) >= t0 + 2s);
    CHECK(f.limiter.waiting() == 0);
}

TEST_CASE("limiter: a call to an issue knows how long those before it will take") {
    fixture f;
    f.learn(put_issue, 1000, 999, t0);
    std::vector<std::unique_ptr<limiter_waiter>> calls;
    std::vector<steady_time> promised;
    for (int i = 0; i < 150; ++i) {
        auto w = std::make_unique<limiter_waiter>(put_issue, priority::interactive);
        auto const word = f.limiter.admit(*w, t0, t0 + 1h);
        if (word.what != admission::kind::wait) continue;
        promised.push_back(word.at);
        calls.push_back(std::move(w));
    }
    REQUIRE(calls.size() > 120);
    std::size_t n = 0;
    for (auto now = t0; now < t0 + 100s; now += 5ms) {
        while (auto* const w = f.limiter.release(now)) {
            REQUIRE(w == calls.at(n).get());
            CHECK(std::chrono::abs(promised.at(n) - now) <= 60ms);
            ++n;
        }
    }
    CHECK(n == calls.size());
}

TEST_CASE("limiter: an interactive call is not refused for the background calls that it goes before") {
    fixture f;
    f.learn(get_myself, 10, 9, t0);
    std::vector<std::unique_ptr<limiter_waiter>> calls;
    for (int i = 0; i < 100; ++i) {
        calls.push_back(std::make_unique<limiter_waiter>(get_myself, priority::background));
        f.admit(*calls.back(), t0);
    }
    limiter_waiter background(get_myself, priority::background), interactive(get_myself, priority::interactive);
    CHECK(f.admit(background, t0, 2s) == admission::kind::refused);
    CHECK(f.admit(interactive, t0, 2s) == admission::kind::wait);
    CHECK(f.limiter.waiting_calls().size() == f.limiter.waiting());
    f.limiter.remove(interactive);
    for (auto& c : calls) f.limiter.remove(*c);
    CHECK(f.limiter.waiting_calls().empty());
}

TEST_CASE("limiter: in shadow mode all go at once, and the waits it names are those that enforcing has") {
    std::vector<steady_duration> enforced, predicted;
    for (auto const mode : {limiting::enforce, limiting::shadow}) {
        fixture f;
        f.params.mode = mode;
        f.learn(get_myself, 20, 19, t0);
        f.learn(put_issue, 100, 99, t0);
        std::vector<std::unique_ptr<limiter_waiter>> calls;
        std::vector<steady_time> came;
        random_engine random(3);
        auto& waits = mode == limiting::enforce ? enforced : predicted;
        auto next = t0;
        for (auto now = t0; now < t0 + 120s; now += 1ms) {
            while (f.limiter.release(now) != nullptr) {
            }
            for (std::size_t i = 0; i < calls.size(); ++i)
                if (waits[i] == steady_duration::min() && !calls[i]->waiting()) waits[i] = now - came[i];
            for (; next <= now && now < t0 + 60s; next += steady_duration(static_cast<long>(uniform(random) * 9e7))) {
                calls.push_back(std::make_unique<limiter_waiter>(calls.size() % 5 ? get_myself : put_issue,
                                                                 priority::interactive));
                came.push_back(now);
                auto const word = f.limiter.admit(*calls.back(), now, now + 1h);
                bool const wait = word.what == admission::kind::wait;
                if (mode == limiting::shadow) {
                    CHECK(word.what == admission::kind::now);
                    CHECK((word.shadow == admission::kind::wait) == (word.at > now));
                }
                waits.push_back(wait ? steady_duration::min() : word.at - now);
            }
        }
    }
    REQUIRE(enforced.size() == predicted.size());
    steady_duration sum_enforced{}, sum_predicted{};
    for (std::size_t i = 0; i < enforced.size(); ++i) {
        sum_enforced += enforced[i];
        sum_predicted += predicted[i];
    }
    CHECK(sum_enforced > 100s);
    CHECK(static_cast<double>(sum_predicted.count()) >= 0.98 * static_cast<double>(sum_enforced.count()));
    CHECK(static_cast<double>(sum_predicted.count()) <= 1.02 * static_cast<double>(sum_enforced.count()));
}

TEST_CASE("limiter: at most five bulk operations of a site run at a time") {
    fixture f;
    f.learn(bulk_delete, 1000, 999, t0);
    int now = 0;
    for (int i = 0; i < 20; ++i) now += f.admit_one(bulk_delete, t0 + i * 10ms);
    CHECK(now == 5);
    f.limiter.on_done(bulk_delete.route);
    CHECK(f.admit_one(bulk_delete, t0 + 1s));
    CHECK_FALSE(f.admit_one(bulk_delete, t0 + 1s));
}

TEST_CASE("limiter: interactive calls go before background ones, each in their order") {
    fixture f;
    f.answer(get_myself, 429, t0, fixture::limited(limit_reason::burst, 1s));
    limiter_waiter slow1(get_myself, priority::background), slow2(get_myself, priority::background);
    limiter_waiter quick1(get_myself, priority::interactive), quick2(get_myself, priority::interactive);
    for (auto* const w : {&slow1, &slow2, &quick1, &quick2}) REQUIRE(f.admit(*w, t0) == admission::kind::wait);
    std::vector<limiter_waiter*> order;
    for (auto now = t0; now < t0 + 3s; now += 1ms)
        while (auto* const w = f.limiter.release(now)) {
            order.push_back(w);
            f.answer(get_myself, 200, now);
        }
    CHECK(order == std::vector<limiter_waiter*>{&quick1, &quick2, &slow1, &slow2});
}

TEST_CASE("limiter: a paused route delays nobody who waits for another") {
    fixture f;
    f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 60s));
    limiter_waiter blocked(get_issue, priority::interactive);
    REQUIRE(f.admit(blocked, t0) == admission::kind::wait);
    for (int i = 0; i < 3; ++i) f.admit_one(get_myself, t0);
    limiter_waiter next(get_myself, priority::background);
    REQUIRE(f.admit(next, t0) == admission::kind::wait);
    CHECK(f.limiter.next_release(t0) <= t0 + 400ms);
    CHECK(f.limiter.release(t0 + 400ms) == &next);
    f.limiter.remove(blocked);
    CHECK(f.limiter.waiting() == 0);
    CHECK(f.limiter.next_release(t0) == steady_time::max());
}

TEST_CASE("limiter: what cannot meet its deadline is refused at once, with the time to come back") {
    fixture f;
    auto const lesson = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 10s));
    limiter_waiter w(get_issue, priority::interactive);
    auto const word = f.limiter.admit(w, t0, t0 + 5s);
    CHECK(word.what == admission::kind::refused);
    CHECK(word.at >= lesson.until);
    CHECK_FALSE(w.waiting());
    // The queue before it counts as well.
    f.learn(get_myself, 10, 9, t0);
    std::deque<limiter_waiter> many;
    int accepted = 0;
    for (int i = 0; i < 100; ++i) {
        auto& x = many.emplace_back(get_myself, priority::interactive);
        accepted += f.limiter.admit(x, t0, t0 + 2s).what != admission::kind::refused;
    }
    CHECK(accepted >= 18);
    CHECK(accepted <= 23);
    for (auto& x : many) f.limiter.remove(x);
}

TEST_CASE("limiter: the queue of a site is bounded") {
    fixture f;
    f.params.max_waiting = 5;
    f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 10s));
    std::deque<limiter_waiter> many;
    int full = 0;
    for (int i = 0; i < 8; ++i)
        full += f.admit(many.emplace_back(get_issue, priority::interactive), t0) == admission::kind::full;
    CHECK(full == 3);
    for (auto& x : many) f.limiter.remove(x);
}

TEST_CASE("limiter: switched off it lets everything go") {
    fixture f;
    f.params.mode = limiting::off;
    f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 10s));
    for (int i = 0; i < 1000; ++i) CHECK(f.admit_one(get_issue, t0));
}

TEST_CASE("limiter: two objects that turn out to be one site keep the lower rate and the later pause") {
    fixture a, b;
    a.learn(get_myself, 100, 99, t0);
    b.learn(get_myself, 10, 9, t0);
    auto const lesson = b.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 30s));
    a.limiter.merge(b.limiter);
    CHECK_FALSE(a.admit_one(get_issue, t0 + 29s));
    CHECK(a.admit_one(get_issue, lesson.until));
    int sent = 0;
    for (auto now = t0; now < t0 + 1s; now += 1ms) sent += a.admit_one(get_myself, now);
    CHECK(sent <= 12);
}

TEST_CASE("limiter: with half again of the permitted load it meets few 429s and uses nearly all of a hidden limit") {
    for (double const rate : {2.0, 5.0, 20.0, 100.0}) {
        fixture f;
        hidden_bucket bucket{rate};
        struct flight {
            steady_time at;
            int status;
            std::uint32_t remaining;
            bool operator>(flight const& o) const { return at > o.at; }
        };
        std::priority_queue<flight, std::vector<flight>, std::greater<>> answers;
        std::deque<std::unique_ptr<limiter_waiter>> calls;
        long sent = 0, refused = 0, accepted = 0;
        auto const send = [&](steady_time now) {
            ++sent;
            auto const arrives = now + 5ms + steady_duration(static_cast<long>(uniform(f.random) * 5e6));
            bool const ok = bucket.take(arrives);
            (ok ? accepted : refused) += 1;
            answers.push({arrives + 10ms, ok ? 200 : 429, bucket.remaining});
        };
        auto next_arrival = t0;
        auto const end = t0 + 120s;
        for (auto now = t0; now < end; now += 500us) {
            while (!answers.empty() && answers.top().at <= now) {
                auto const a = answers.top();
                answers.pop();
                rate_headers h;
                h.limit = static_cast<std::uint32_t>(rate);
                h.remaining = a.remaining;
                if (a.status == 429) {
                    h.reason = limit_reason::burst;
                    h.retry_after = 1s;
                }
                f.answer(get_myself, a.status, now, h);
            }
            while (next_arrival <= now) {
                auto w = std::make_unique<limiter_waiter>(get_myself, priority::interactive);
                if (f.limiter.admit(*w, now, now + 10s).what == admission::kind::now) send(now);
                calls.push_back(std::move(w));
                next_arrival += steady_duration(static_cast<long>(1e9 / (1.5 * rate)));
            }
            while (f.limiter.release(now) != nullptr) send(now);
        }
        for (auto& w : calls) f.limiter.remove(*w);
        INFO("rate " << rate << ": sent " << sent << ", refused " << refused << ", permitted " << rate * 120);
        CHECK(static_cast<double>(refused) <= 0.005 * static_cast<double>(sent) + 1);
        CHECK(static_cast<double>(accepted) >= 0.95 * rate * 120);
    }
}

TEST_CASE("limiter: an answer that was on the wire when its scope was paused ends no pause") {
    fixture f;
    auto const route = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 5s));
    f.answer(get_issue, 200, t0 + 10ms);
    CHECK_FALSE(f.admit_one(get_issue, t0 + 4999ms));
    CHECK(f.admit_one(get_issue, route.until));
    fixture g;
    auto const site = g.answer(get_issue, 429, t0, fixture::limited(limit_reason::unknown, 5s));
    g.answer(get_issue, 200, t0 + 10ms);
    g.answer(get_myself, 200, t0 + 10ms);
    CHECK_FALSE(g.admit_one(get_issue, t0 + 4999ms));
    CHECK_FALSE(g.admit_one(get_myself, t0 + 4999ms));
    CHECK(g.admit_one(get_myself, site.until));
}

TEST_CASE("limiter: 429s that were on the wire together tell of one overrun, and the latest end counts") {
    for (auto const reason : {limit_reason::burst, limit_reason::unknown}) {
        fixture f;
        f.learn(get_issue, 100, 99, t0);
        auto until = f.answer(get_issue, 429, t0, fixture::limited(reason, 5s)).until;
        for (int i = 1; i <= 10; ++i)
            until = std::max(until, f.answer(get_issue, 429, t0 + i * 1ms, fixture::limited(reason, 1s)).until);
        CHECK_FALSE(f.admit_one(get_issue, t0 + 4999ms));
        until = std::max(until, f.answer(get_issue, 429, t0 + 20ms, fixture::limited(reason, 8s)).until);
        CHECK_FALSE(f.admit_one(get_issue, t0 + 7999ms));
        REQUIRE(f.admit_one(get_issue, until));
        // The second in a row.
        auto const again = f.answer(get_issue, 429, until + 20ms, fixture::limited(reason)).until;
        CHECK(again - until >= 2s);
        CHECK(again - until <= 2300ms);
        // Slowed by two steps, of which one is 3 to 4.
        REQUIRE(f.admit_one(get_issue, again));
        f.learn(get_issue, 100, 99, again + 20ms);
        int sent = 0;
        for (auto now = again + 20ms; now < again + 10'020ms; now += 1ms) sent += f.admit_one(get_issue, now);
        CHECK(sent >= 500);
    }
}

TEST_CASE("limiter: a 503 with Retry-After pauses its route, one without pauses nothing") {
    fixture f;
    rate_headers h;
    h.retry_after = 30s;
    auto const lesson = f.answer(get_issue, 503, t0, h);
    CHECK(lesson.pause == limit_reason::unknown);
    CHECK(lesson.until == t0 + 30s);
    CHECK_FALSE(f.admit_one(get_issue, t0 + 29s));
    CHECK(f.admit_one(get_issue, t0 + 30s));
    fixture g;
    CHECK(g.answer(get_issue, 503, t0).pause == limit_reason::none);
    CHECK(g.admit_one(get_issue, t0));
}

TEST_CASE("limiter: a route slowed by a low Remaining is as fast as before some answers later") {
    fixture f;
    f.learn(get_myself, 20, 0, t0);
    int slowed = 0;
    for (auto now = t0; now < t0 + 10s; now += 1ms) slowed += f.admit_one(get_myself, now);
    CHECK(slowed <= 130);
    for (int i = 0; i < 10; ++i) f.learn(get_myself, 20, 19, t0 + 10s);
    int sent = 0;
    for (auto now = t0 + 10s; now < t0 + 20s; now += 1ms) sent += f.admit_one(get_myself, now);
    CHECK(sent >= 190);
}

TEST_CASE("limiter: the figure of a 429 for another limit than the route's is not learned") {
    fixture f;
    points_quota at_site;
    f.quotas = {&at_site, nullptr};
    f.learn(get_myself, 50, 49, t0);
    auto h = fixture::limited(limit_reason::tenant_quota, 1s);
    h.limit = 5;
    f.answer(get_myself, 429, t0, h);
    f.quotas = {};
    int sent = 0;
    for (auto now = t0; now < t0 + 2s; now += 1ms) sent += f.admit_one(get_myself, now);
    CHECK(sent >= 90);
}

TEST_CASE("limiter: the first call after a pause of the site is an interactive one, whatever its route") {
    fixture f;
    auto const lesson = f.answer(get_issue, 429, t0, fixture::limited(limit_reason::unknown, 5s));
    limiter_waiter first(get_issue, priority::background), urgent(get_myself, priority::interactive);
    REQUIRE(f.admit(first, t0) == admission::kind::wait);
    REQUIRE(f.admit(urgent, t0 + 1s) == admission::kind::wait);
    CHECK(f.limiter.release(lesson.until) == &urgent);
    CHECK(f.limiter.release(lesson.until) == nullptr);
    f.limiter.remove(first);
}

TEST_CASE("limiter: calls to an issue that gave up stand before nobody") {
    fixture f;
    f.learn(put_issue, 1000, 999, t0);
    for (int i = 0; i < 20; ++i) REQUIRE(f.admit_one(put_issue, t0));
    std::deque<limiter_waiter> many;
    for (int i = 0; i < 60; ++i)
        REQUIRE(f.admit(many.emplace_back(put_issue, priority::interactive), t0) == admission::kind::wait);
    for (auto& w : many) f.limiter.remove(w);
    // While nobody at all waits nobody is looked for.
    f.answer(get_issue, 429, t0, fixture::limited(limit_reason::burst, 60s));
    limiter_waiter other(get_issue, priority::interactive), w(put_issue, priority::interactive);
    REQUIRE(f.admit(other, t0) == admission::kind::wait);
    CHECK(f.admit(w, t0, 3s) == admission::kind::wait);
    f.limiter.remove(w);
    f.limiter.remove(other);
}

TEST_CASE("limiter: an issue that calls wait for is not forgotten, however many others are written to") {
    fixture f;
    f.learn(put_issue, 1000, 999, t0);
    auto const lesson = f.answer(put_issue, 429, t0, fixture::limited(limit_reason::burst, 300s));
    limiter_waiter w(put_issue, priority::interactive);
    REQUIRE(f.admit(w, t0) == admission::kind::wait);
    std::deque<std::string> targets;
    for (int i = 0; i < 200; ++i) {
        targets.push_back("/rest/api/3/issue/B-" + std::to_string(i) + "/comment");
        REQUIRE(f.admit_one(match(method::post, targets.back().c_str()), t0 + i * 1s));
    }
    CHECK(f.limiter.waiting() == 1);
    CHECK(f.limiter.release(lesson.until) == &w);
    CHECK(f.limiter.waiting() == 0);
}

TEST_CASE("limiter: two objects that turn out to be one site keep a pause of the site") {
    fixture a, b;
    auto const lesson = b.answer(get_issue, 429, t0, fixture::limited(limit_reason::unknown, 30s));
    a.limiter.merge(b.limiter);
    CHECK_FALSE(a.admit_one(get_myself, t0 + 29s));
    CHECK(a.admit_one(get_myself, lesson.until));
}

TEST_CASE("limiter: a steady stream of writes to one issue keeps 100 in 30 seconds") {
    for (auto const every : {100ms, 150ms, 200ms, 250ms}) {
        fixture f;
        f.learn(put_issue, 1000, 999, t0);
        std::vector<steady_time> sent;
        for (auto now = t0; now < t0 + 120s; now += every)
            if (f.admit_one(put_issue, now)) sent.push_back(now);
        REQUIRE(sent.size() >= 380);
        auto shortest = 120s + 0ns;
        for (std::size_t i = 0; i + 100 < sent.size(); ++i) shortest = std::min(shortest, sent[i + 100] - sent[i]);
        INFO("every " << every / 1ms << " ms");
        CHECK(shortest >= 30s);
    }
}
