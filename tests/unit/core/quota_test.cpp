#include "support/catch.hpp"

#include <jirapool/core/quota.hpp>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};
wall_time const half_past{std::chrono::sys_days{std::chrono::year(2026) / 11 / 1} + 30min};

quota_item item(std::optional<std::int64_t> remaining, std::optional<std::chrono::seconds> reset = std::nullopt) {
    quota_item i;
    i.remaining = remaining;
    i.reset_in = reset;
    return i;
}

int calls(points_quota& q, steady_time from, steady_duration length, steady_duration step = 10ms) {
    int n = 0;
    for (auto now = from; now < from + length; now += step) {
        if (q.earliest(now) > now) continue;
        q.take(now);
        ++n;
    }
    return n;
}

}  // namespace

TEST_CASE("quota: the hour ends at its top by the server's clock") {
    CHECK(top_of_hour(t0, half_past) == t0 + 30min);
    CHECK(top_of_hour(t0, half_past + 29min + 59s) == t0 + 1s);
    CHECK(top_of_hour(t0, half_past + 30min) == t0 + 1h);
}

TEST_CASE("quota: it holds nothing back until an answer shows that it is enforced") {
    points_quota q;
    CHECK(calls(q, t0, 1s) == 100);
    q.on_answer(nullptr, false, t0, half_past);
    quota_item policy;
    policy.quota = 65'000;
    policy.window = 3600s;
    q.on_answer(&policy, false, t0, half_past);  // far from its end Jira tells no remaining
    CHECK(calls(q, t0 + 1s, 1s) == 100);
    CHECK_FALSE(q.pacing(t0 + 2s));
}

TEST_CASE("quota: what is left lasts until the hour ends, and then all is new") {
    points_quota q;
    auto const left = item(3600);
    q.on_answer(&left, false, t0, half_past);
    CHECK(q.pacing(t0));
    // 1800 calls of two points in 1800 s, and what the tolerance lets go ahead.
    CHECK(calls(q, t0, 900s, 100ms) <= 903);
    CHECK(calls(q, t0 + 900s, 900s, 100ms) >= 895);
    CHECK(calls(q, t0 + 30min, 1s) == 100);
}

TEST_CASE("quota: nothing left closes it until the hour ends") {
    points_quota q;
    auto const none = item(0, 2500s);  // "was seen 700 s too high"
    q.on_answer(&none, false, t0, half_past);
    CHECK(q.earliest(t0 + 1s) == t0 + 30min);
    CHECK(calls(q, t0, 30min, 1s) == 0);
    CHECK(calls(q, t0 + 30min, 1s) == 100);
}

TEST_CASE("quota: a reset that comes before the hour's end counts") {
    points_quota q;
    auto const none = item(0, 60s);
    q.on_answer(&none, false, t0, half_past);
    CHECK(q.earliest(t0 + 1s) == t0 + 60s);
}

TEST_CASE("quota: it learns what calls cost from what they leave") {
    points_quota q;
    auto now = t0;
    double left = 10'000;
    for (int i = 0; i < 40; ++i) {
        auto const said = item(static_cast<std::int64_t>(left));
        q.on_answer(&said, false, now, half_past);
        q.take(now);
        left -= 17;  // a page of eight group members
    }
    auto const said = item(1700);
    q.on_answer(&said, false, now, half_past);
    // 100 such calls are left for 1800 s.
    CHECK(calls(q, now + 20s, 180s, 100ms) <= 13);
}

TEST_CASE("quota: NearLimit alone means a fifth of the smallest documented quota") {
    points_quota q;
    q.on_answer(nullptr, true, t0, half_past);
    REQUIRE(q.pacing(t0));
    // 13,000 points, 6,500 calls in 1800 s.
    auto const n = calls(q, t0, 100s, 10ms);
    CHECK(n >= 340);
    CHECK(n <= 375);
}

TEST_CASE("quota: NearLimit is not of the site's quota where the answer names another one alone") {
    auto const is_spread = [](rate_headers said) {
        said.near_limit = true;
        points_quota at_site;
        quota_scopes{&at_site, nullptr, nullptr}.on_answer(said, t0, half_past);
        return at_site.pacing(t0);
    };
    CHECK(is_spread({}));
    for (auto const of_another : {limit_reason::global_quota, limit_reason::account_cost, limit_reason::account_calls,
                                  limit_reason::other_product}) {
        CAPTURE(to_string(of_another));
        rate_headers said;
        said.reason = of_another;
        CHECK_FALSE(is_spread(said));
        said.tenant_quota = item(1000);
        CHECK(is_spread(said));
    }
    rate_headers said;
    said.global_quota = item(1000);
    CHECK_FALSE(is_spread(said));
    said.reason = limit_reason::tenant_quota;
    CHECK(is_spread(said));
    said.reason = limit_reason::none;
    said.tenant_quota = item(1000);
    CHECK(is_spread(said));
}

TEST_CASE("quota: what it tells is Jira's word less the calls since") {
    points_quota q;
    CHECK_FALSE(q.left(t0));
    auto said = item(10'000);
    said.quota = 100'000;
    q.on_answer(&said, false, t0, half_past);
    for (int i = 0; i < 10; ++i) q.take(t0);
    CHECK(q.left(t0)->left == 9'980);  // of two points each
    CHECK(q.left(t0)->of == 100'000);
    auto const told = item(9'900);
    q.on_answer(&told, false, t0, half_past);
    CHECK(q.left(t0)->left == 9'900);
    CHECK_FALSE(q.left(t0 + 30min));
}

TEST_CASE("quota: closed means closed until then, and the later end counts") {
    points_quota q;
    q.close(t0 + 10s, t0);
    q.close(t0 + 5s, t0);
    CHECK(q.closed(t0 + 9s));
    CHECK(q.earliest(t0) == t0 + 10s);
    CHECK_FALSE(q.closed(t0 + 10s));
    q.take(t0 + 10s);
    CHECK(q.earliest(t0 + 10s) == steady_time::min());
}

TEST_CASE("quota: who comes behind others has the turn behind them") {
    points_quota q;
    CHECK(q.turn(50, t0) == steady_time::min());
    auto const left = item(360);
    q.on_answer(&left, false, t0, half_past);  // 180 calls in 1800 s
    CHECK(q.turn(0, t0) <= t0);
    CHECK(q.turn(10, t0) == t0 + 100s);
    CHECK(q.turn(200, t0) == t0 + 30min);
}

TEST_CASE("quota: in a new hour nothing of the last one counts") {
    points_quota q;
    auto const left = item(100);
    q.on_answer(&left, false, t0, half_past);
    CHECK(calls(q, t0, 60s) >= 1);
    auto const next_hour = t0 + 31min;
    CHECK_FALSE(q.pacing(next_hour));
    // A fifth is left of the new hour's quota, and not what the last one's end left.
    q.on_answer(nullptr, true, next_hour, half_past + 31min);
    CHECK(q.pacing(next_hour));
    CHECK(calls(q, next_hour, 100s) >= 150);
}
