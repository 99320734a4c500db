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

route_match match(method m, char const* target) { return classify_route(m, target); }
route_match const get_issue = match(method::get, "/rest/api/3/issue/A-1");
route_match const get_myself = match(method::get, "/rest/api/3/myself");
route_match const get_field = match(method::get, "/rest/api/3/field");
route_match const post_issue = match(method::post, "/rest/api/3/issue");
route_match const put_issue = match(method::put, "/rest/api/3/issue/A-1");

struct fixture {
    limit_params params;
    random_engine random{11};
    site_limiter limiter{params};
    quota_scopes quotas;

    bool admit_one(route_match m, steady_time now) {
        limiter_waiter w(m, priority::interactive, quotas);
        auto const kind = limiter.admit(w, now, now + 48h).what;
        limiter.remove(w);
        return kind == admission::kind::now;
    }
    int admit_many(route_match m, int count, steady_time now) {
        int sent = 0;
        for (int i = 0; i < count; ++i) sent += admit_one(m, now);
        return sent;
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
    site_limiter::lesson limited(route_match m, limit_reason reason, steady_time now,
                                 std::optional<std::chrono::seconds> retry_after = std::nullopt) {
        rate_headers h;
        h.reason = reason;
        h.retry_after = retry_after;
        return answer(m, 429, now, h);
    }
    site_limiter::lesson overloaded(route_match m, std::chrono::seconds retry_after, steady_time now) {
        rate_headers h;
        h.retry_after = retry_after;
        return answer(m, 503, now, h);
    }
};

/// A bucket that advertises `rate` and holds `size`, refilled all the time or once in each `step`; others take from it too.
struct hidden_bucket {
    double rate;
    double size;
    steady_duration step{0};
    double tokens = size;
    steady_time last = t0;
    std::uint32_t remaining = 0;

    bool take(steady_time now) {
        auto since = now - last;
        if (step > 0s) since = (now.time_since_epoch() / step - last.time_since_epoch() / step) * step;
        tokens = std::min(size, tokens + rate * std::chrono::duration<double>(since).count());
        last = now;
        bool const ok = tokens >= 1;
        if (ok) tokens -= 1;
        remaining = static_cast<std::uint32_t>(tokens);
        return ok;
    }
};

struct load {
    double offered = 0;  ///< calls a second
    double others = 0;   ///< … of others, at random
    steady_duration way = 10ms;
    steady_duration jitter = 0s;  ///< each way takes up to so much more
    std::chrono::seconds length = 120s;
};

struct outcome {
    long sent = 0, accepted = 0, refused = 0;
    long others_refused = 0;
    double share_refused() const { return static_cast<double>(refused) / static_cast<double>(sent); }
};

outcome run(hidden_bucket bucket, load l) {
    fixture f;
    struct event {
        steady_time at;
        enum { arrives, answered, other } what;
        int status;
        std::uint32_t remaining;
        bool operator>(event const& o) const { return at > o.at; }
    };
    outcome o;
    std::priority_queue<event, std::vector<event>, std::greater<>> events;
    std::deque<std::unique_ptr<limiter_waiter>> calls;
    auto const seconds = [](double s) { return std::chrono::nanoseconds(static_cast<long>(s * 1e9)); };
    auto const travel = [&] {
        return l.way + steady_duration(static_cast<long>(uniform(f.random) * static_cast<double>(l.jitter.count())));
    };
    auto const send = [&](steady_time now) {
        ++o.sent;
        events.push({now + travel(), event::arrives, 0, 0});
    };
    auto const begun = t0 + 370ms;
    auto next = begun;
    if (l.others > 0) events.push({begun, event::other, 0, 0});
    for (auto now = begun; now < begun + l.length; now += 500us) {
        while (!events.empty() && events.top().at <= now) {
            auto const e = events.top();
            events.pop();
            if (e.what == event::other) {
                o.others_refused += !bucket.take(e.at);
                events.push({e.at + seconds(-std::log(1 - uniform(f.random)) / l.others), event::other, 0, 0});
            } else if (e.what == event::arrives) {
                bool const ok = bucket.take(e.at);
                (ok ? o.accepted : o.refused) += 1;
                events.push({e.at + travel(), event::answered, ok ? 200 : 429, bucket.remaining});
            } else {
                rate_headers h;
                h.limit = static_cast<std::uint32_t>(bucket.rate);
                h.remaining = e.remaining;
                if (e.status == 429) {
                    h.reason = limit_reason::burst;
                    h.retry_after = 1s;
                }
                f.answer(get_myself, e.status, now, h);
            }
        }
        for (; next <= now; next += seconds(1 / l.offered)) {
            auto w = std::make_unique<limiter_waiter>(get_myself, priority::interactive);
            if (f.limiter.admit(*w, now, now + 5s).what == admission::kind::now) send(now);
            calls.push_back(std::move(w));
            while (!calls.empty() && !calls.front()->waiting()) calls.pop_front();
        }
        while (f.limiter.release(now) != nullptr) send(now);
    }
    for (auto& w : calls) f.limiter.remove(*w);
    return o;
}

}  // namespace

TEST_CASE("faults: A3 the size of a bucket is learned, however much larger its rate is") {
    for (double const size : {5.0, 10.0, 20.0, 50.0, 100.0, 200.0})
        for (auto const jitter : {0ms, 10ms, 20ms}) {
            auto const o = run({.rate = 100, .size = size}, {.offered = 150, .jitter = jitter});
            INFO("size " << size << ", jitter " << jitter.count() << " ms: " << o.accepted << " accepted, " << o.refused
                         << " refused");
            CHECK(static_cast<double>(o.accepted) >= 0.9 * 100 * 120);
            CHECK(o.share_refused() <= 0.005);
        }
}

TEST_CASE("faults: A3 a bucket that is refilled in whole seconds is not asked for more than it then holds") {
    for (double const rate : {5.0, 20.0, 100.0})
        for (double const size : {5.0, 10.0, 20.0, 50.0, 100.0, 200.0})
            for (auto const jitter : {0ms, 20ms, 50ms}) {
                auto const given = std::min(rate, size);
                auto const o = run({.rate = rate, .size = size, .step = 1s},
                                   {.offered = 1.5 * given, .jitter = jitter});
                INFO("rate " << rate << ", size " << size << ", jitter " << jitter.count() << " ms: " << o.accepted
                             << " accepted, " << o.refused << " refused");
                CHECK(static_cast<double>(o.accepted) >= 0.85 * given * 120);
                CHECK(o.share_refused() <= 0.005);
            }
}

TEST_CASE("faults: A3 a burst after quiet and what follows it fit into a bucket that is refilled in whole seconds") {
    for (auto const quiet : {400ms, 1200ms, 3000ms}) {
        fixture f;
        hidden_bucket bucket{.rate = 20, .size = 20, .step = 1s};
        int refused = 0, accepted = 0;
        auto now = t0 + 990ms;
        for (int round = 0; round < 50; ++round, now += quiet)
            for (auto const end = now + 700ms; now < end; now += 5ms)
                for (int i = 0; i < 30 && f.admit_one(get_myself, now); ++i) {
                    bool const ok = bucket.take(now);
                    (ok ? accepted : refused) += 1;
                    if (ok) f.learn(get_myself, 20, bucket.remaining, now);
                }
        INFO("quiet " << quiet.count() << " ms: " << accepted << " accepted");
        CHECK(refused == 0);
        CHECK(accepted >= 50 * 10);
    }
}

TEST_CASE("faults: A3 the largest bucket that is told of lets a burst go, and a smaller one never a larger burst") {
    auto const burst_of = [](std::uint32_t remaining) {
        fixture f;
        CHECK(f.admit_one(get_myself, t0));
        f.learn(get_myself, 5'000, remaining, t0 + 1ms);
        int burst = 0;
        for (auto const now = t0 + 1min; burst < 100'000 && f.admit_one(get_myself, now); ++burst) {
        }
        return burst;
    };
    int last = 0;
    for (std::uint32_t const remaining : {1u, 100u, 4'095u, 8'191u, 8'192u, 8'193u, 16'387u, 60'000u, 4'294'967'295u}) {
        INFO("remaining " << remaining);
        int const burst = burst_of(remaining);
        CHECK(burst >= last);
        last = burst;
    }
    CHECK(last >= 4'000);
}

TEST_CASE("faults: A3 others who use the bucket too are given way to") {
    // What is over would be 70 a second.
    for (double const size : {20.0, 50.0, 100.0}) {
        auto const o = run({.rate = 100, .size = size}, {.offered = 150, .others = 30, .jitter = 5ms});
        INFO("size " << size << ": " << o.accepted << " accepted, " << o.refused << " refused, " << o.others_refused
                     << " of the others");
        CHECK(static_cast<double>(o.accepted) >= 0.55 * 100 * 120);
        CHECK(o.share_refused() <= 0.005);
        CHECK(o.others_refused <= 40);
    }
}

TEST_CASE("faults: A3 a bucket that becomes smaller is learned again") {
    fixture f;
    hidden_bucket bucket{.rate = 100, .size = 100};
    long accepted = 0, refused = 0;
    for (auto now = t0; now < t0 + 120s; now += 1ms) {
        if (now == t0 + 20s) bucket.size = 10;
        if (now == t0 + 40s) accepted = refused = 0;
        if (!f.admit_one(get_myself, now)) continue;
        bool const ok = bucket.take(now);
        (ok ? accepted : refused) += 1;
        if (ok) f.learn(get_myself, 100, bucket.remaining, now);
        else f.limited(get_myself, limit_reason::burst, now, 1s);
    }
    CHECK(accepted >= 90 * 80);
    CHECK(refused <= 40);
}

TEST_CASE(
    "faults: A3 before its first answer a route sends a few calls, and then as slowly as any figure of Jira's says") {
    fixture f;
    int sent = 0;
    for (auto now = t0; now < t0 + 2s; now += 1ms) sent += f.admit_one(get_myself, now);
    CHECK(sent >= 18);
    CHECK(sent <= 23);
    f.learn(get_myself, 100, 99, t0 + 2s);
    sent = 0;
    for (auto now = t0 + 2s; now < t0 + 3s; now += 1ms) sent += f.admit_one(get_myself, now);
    CHECK(sent >= 90);
}

TEST_CASE("faults: A3 a fiftieth of the advertised rate is left for the jitter of the way") {
    fixture f;
    f.learn(get_myself, 100, 99, t0);
    int sent = 0;
    for (auto now = t0; now < t0 + 12s; now += 100us) sent += f.admit_one(get_myself, now) && now >= t0 + 2s;
    CHECK(sent >= 970);
    CHECK(sent <= 985);
}

TEST_CASE("faults: A3 a route that keeps answering 429 is used a little less for a while") {
    fixture f;
    f.learn(get_myself, 100, 99, t0);
    auto now = t0;
    for (int i = 0; i < 4; ++i) {
        now = f.limited(get_myself, limit_reason::burst, now, 1s).until;
        REQUIRE(f.admit_one(get_myself, now));
        f.learn(get_myself, 100, 99, now);
    }
    auto const sent_in = [&](steady_duration length) {
        int sent = 0;
        for (auto const end = now + length; now < end; now += 1ms)
            if (f.admit_one(get_myself, now)) {
                ++sent;
                f.learn(get_myself, 100, 98, now);
            }
        return sent;
    };
    CHECK(sent_in(10s) <= 750);
    now += 1s;
    sent_in(180s);
    CHECK(sent_in(10s) >= 950);
}

TEST_CASE("faults: A4 a 503 with Retry-After pauses its route, and the site once three say so") {
    fixture f;
    auto const lesson = f.overloaded(post_issue, 600s, t0);
    CHECK(lesson.pause == limit_reason::unknown);
    CHECK(lesson.until == t0 + 600s);
    CHECK_FALSE(f.admit_one(post_issue, t0 + 599s));
    CHECK(f.admit_one(get_myself, t0));
    CHECK(f.limiter.open(get_myself, {}, t0));
    CHECK_FALSE(f.limiter.open(post_issue, {}, t0));
    f.overloaded(get_issue, 30s, t0 + 1s);
    CHECK(f.admit_one(get_myself, t0 + 2s));
    // The same route again is not another one.
    f.overloaded(get_issue, 30s, t0 + 2s);
    CHECK(f.admit_one(get_myself, t0 + 2s));
    f.overloaded(get_field, 60s, t0 + 3s);
    CHECK_FALSE(f.admit_one(get_myself, t0 + 31s));
    // The first of them may be tried, alone.
    CHECK(f.admit_one(get_myself, t0 + 32s));
    CHECK_FALSE(f.admit_one(put_issue, t0 + 32s));
    f.answer(get_myself, 200, t0 + 33s);
    CHECK(f.admit_one(put_issue, t0 + 33s));
    CHECK_FALSE(f.admit_one(get_field, t0 + 62s));
    CHECK_FALSE(f.admit_one(post_issue, t0 + 599s));
    CHECK(f.admit_one(post_issue, t0 + 600s));
}

TEST_CASE("faults: A4 routes that answered 503 one after the other, long ago, are not the site") {
    fixture f;
    for (auto const& [m, at] :
         {std::pair(post_issue, t0), std::pair(get_issue, t0 + 20s), std::pair(get_field, t0 + 40s)})
        f.overloaded(m, 1s, at);
    CHECK(f.admit_one(get_myself, t0 + 40s));
}

TEST_CASE("faults: A4 a 503 says nothing of how fast its route may be") {
    fixture f;
    f.learn(get_myself, 100, 99, t0);
    auto const until = f.overloaded(get_myself, 5s, t0).until;
    REQUIRE(f.admit_one(get_myself, until));
    f.learn(get_myself, 100, 99, until);
    int sent = 0;
    for (auto now = until; now < until + 10s; now += 1ms) sent += f.admit_one(get_myself, now);
    CHECK(sent >= 880);
}

TEST_CASE("faults: A5 all spellings of an issue's key are one issue") {
    char const* const spellings[] = {"/rest/api/3/issue/ABC-1",     "/rest/api/3/issue/abc-1",
                                     "/rest/api/3/issue/aBc-1",     "/rest/api/3/issue/ABC%2D1",
                                     "/rest/api/3/issue/ABC%2d1",   "/rest/api/3/issue/%41b%43-%31",
                                     "/rest/api/3/%69ssue/%61BC-1", "/rest/api/2/issue/ABC-1/?notifyUsers=false"};
    fixture f;
    f.learn(match(method::put, spellings[0]), 1000, 999, t0);
    int sent = 0;
    for (std::size_t i = 0; i < 80; ++i)
        sent += f.admit_one(match(method::put, spellings[i % std::size(spellings)]), t0);
    CHECK(sent == 20);
    // Its pause is that of all of them.
    fixture g;
    g.limited(match(method::put, spellings[1]), limit_reason::issue_write, t0, 60s);
    for (auto const* const s : spellings) CHECK_FALSE(g.admit_one(match(method::put, s), t0 + 59s));
    for (auto const* const s : spellings) CHECK_FALSE(g.limiter.open(match(method::put, s), {}, t0 + 59s));
    CHECK(g.admit_one(match(method::put, "/rest/api/3/issue/ABC-2"), t0 + 59s));
}

TEST_CASE("faults: A5 what looks like an escape and is none stays another issue") {
    fixture f;
    f.learn(put_issue, 1000, 999, t0);
    f.limited(match(method::put, "/rest/api/3/issue/ABC-1"), limit_reason::issue_write, t0, 60s);
    for (auto const* const other : {"/rest/api/3/issue/ABC%252D1", "/rest/api/3/issue/ABC%2", "/rest/api/3/issue/ABC%",
                                    "/rest/api/3/issue/ABC%zz1", "/rest/api/3/issue/ABC%2F1",
                                    "/rest/api/3/issue/ABC%AD1", "/rest/api/3/issue/ABC-1%00"})
        CHECK(f.admit_one(match(method::put, other), t0));
}

TEST_CASE("faults: A5 a route is found whatever of its path is escaped that need not be") {
    auto const name = [](method m, char const* target) {
        return std::string(route(classify_route(m, target).route).name);
    };
    CHECK(name(method::get, "/rest/api/3/m%79self") == name(method::get, "/rest/api/3/myself"));
    CHECK(name(method::get, "/%72%65%73%74/%61%70%69/%33/%6D%79%73%65%6C%66") ==
          name(method::get, "/rest/api/3/myself"));
    CHECK(name(method::get, "/rest/api/%6c%61test/myself?a=%2F") == name(method::get, "/rest/api/3/myself"));
    CHECK(name(method::put, "/rest/api/3/iss%75e/A-1") == std::string(route(put_issue.route).name));
    CHECK(classify_route(method::put, "/rest/api/3/iss%75e/A%2D1").issue == "A%2D1");
    auto const fallback = name(method::get, "/rest/nothing");
    for (auto const* const other : {"/rest%2Fapi/3/myself", "/rest/api/3/mysel%66%", "/rest/api/3/my%00self",
                                    "/rest/api/3/MYSELF", "/rest/api/3/%256Dyself"})
        CHECK(name(method::get, other) == fallback);
    // Longer than any literal.
    CHECK(name(method::get, ("/rest/api/3/%6dyself" + std::string(200, 'x')).c_str()) == fallback);
}

TEST_CASE("faults: A6 what limits an account pauses that account at the site, and its route when nobody keeps it") {
    for (auto const reason : {limit_reason::account_cost, limit_reason::account_calls}) {
        fixture f;
        std::atomic<std::uint32_t> in_flight{0};
        account_scope account(in_flight);
        f.quotas.of_account = &account;
        auto const lesson = f.limited(get_issue, reason, t0, 89s);
        CHECK(lesson.pause == reason);
        CHECK(lesson.until >= t0 + 89s);
        CHECK_FALSE(f.admit_one(get_myself, t0 + 88s));
        CHECK_FALSE(f.limiter.open(get_issue, f.quotas, t0 + 88s));
        CHECK(f.limiter.paused_scopes(t0) == 0);
        f.quotas = {};  // a second account of the site has its own
        CHECK(f.admit_one(get_issue, t0));
        CHECK(f.admit_one(get_myself, t0));
        f.quotas.of_account = &account;
        CHECK(f.admit_one(get_myself, lesson.until));

        fixture g;
        auto const of_route = g.limited(get_issue, reason, t0, 89s);
        CHECK_FALSE(g.admit_one(get_issue, t0 + 88s));
        CHECK(g.admit_one(get_myself, t0));
        CHECK(g.admit_one(get_issue, of_route.until));
    }
}

TEST_CASE(
    "faults: A6 a cost budget that names no time lasts until the hour ends, too many calls at once for a moment") {
    fixture f;
    std::atomic<std::uint32_t> in_flight{0};
    account_scope account(in_flight);
    f.quotas.of_account = &account;
    auto const cost = f.limited(get_issue, limit_reason::account_cost, t0).until;
    CHECK(cost >= t0 + 1h);  // the test's wall clock stands at the top of an hour
    CHECK(cost <= t0 + 1h + 2s);
    fixture g;
    account_scope other(in_flight);
    g.quotas.of_account = &other;
    CHECK(g.limited(get_issue, limit_reason::account_calls, t0).until <= t0 + 2s);
}

TEST_CASE("faults: A6 another product's reason closes no quota, no issue and no site") {
    fixture f;
    points_quota at_site;
    std::atomic<std::uint32_t> in_flight{0};
    account_scope account(in_flight);
    budget_share over_sites(std::make_shared<shared_quota>());
    f.quotas = {&at_site, &over_sites, &account};
    auto const lesson = f.limited(get_issue, limit_reason::other_product, t0, 60s);
    CHECK(lesson.pause == limit_reason::other_product);
    CHECK_FALSE(f.admit_one(get_issue, t0 + 59s));
    CHECK(f.admit_one(get_myself, t0));
    CHECK_FALSE(at_site.closed(t0));
    CHECK_FALSE(over_sites.closed(t0));
    CHECK_FALSE(account.closed(t0));
}

TEST_CASE("faults: A6 the reasons that were seen are told apart") {
    auto const reason = [](char const* text) {
        response r;
        r.set_status(429);
        r.add_header("RateLimit-Reason", text);
        return read_rate_headers(r, w0).reason;
    };
    CHECK(reason("jira-cost-based") == limit_reason::account_cost);
    CHECK(reason("Jira-Cost-Based") == limit_reason::account_cost);
    CHECK(reason("jira-max-concurrent-threads-across-all-instances-per-tenant-per-user") ==
          limit_reason::account_calls);
    CHECK(reason("jira-something-PER-USER") == limit_reason::account_calls);
    CHECK(reason("-per-user") == limit_reason::unknown);
    CHECK(reason("confluence-quota-global-based") == limit_reason::other_product);
    CHECK(reason("Confluence-quota-tenant-based") == limit_reason::other_product);
    CHECK(reason("confluence-max-threads-per-user") == limit_reason::other_product);
    CHECK(reason("confluence") == limit_reason::unknown);
    CHECK(reason("jira-something-new") == limit_reason::unknown);
    // What holds for more counts, and nothing of another product's is more than any of Jira's.
    CHECK(reason("confluence-quota-global-based, jira-burst-based") == limit_reason::burst);
    CHECK(reason("jira-cost-based, jira-burst-based") == limit_reason::account_cost);
    CHECK(reason("jira-cost-based, jira-quota-tenant-based") == limit_reason::tenant_quota);
}

TEST_CASE("faults: F3 whatever Retry-After says, a scope is tried once an hour, by one call") {
    for (auto const reason : {limit_reason::burst, limit_reason::unknown, limit_reason::none,
                              limit_reason::tenant_quota, limit_reason::global_quota, limit_reason::account_cost}) {
        fixture f;
        points_quota at_site;
        std::atomic<std::uint32_t> in_flight{0};
        account_scope account(in_flight);
        budget_share over_sites(std::make_shared<shared_quota>());
        f.quotas = {&at_site, &over_sites, &account};
        f.limited(get_issue, reason, t0, 24h);
        std::vector<steady_time> tried;
        for (auto now = t0; now < t0 + 24h; now += 10s)
            if (f.admit_one(get_issue, now)) {
                CHECK(f.limiter.open(get_issue, f.quotas, now));
                CHECK(f.admit_many(get_issue, 10, now) == 0);
                f.limited(get_issue, reason, now, std::chrono::ceil<std::chrono::seconds>(t0 + 24h - now));
                CHECK_FALSE(f.limiter.open(get_issue, f.quotas, now));
                tried.push_back(now);
            }
        INFO(to_string(reason));
        CHECK(tried.size() >= 22);
        CHECK(tried.size() <= 24);
        for (std::size_t i = 1; i < tried.size(); ++i) CHECK(tried[i] - tried[i - 1] >= 1h);

        // One that succeeds opens it.
        fixture g;
        points_quota a;
        account_scope c(in_flight);
        budget_share b(std::make_shared<shared_quota>());
        g.quotas = {&a, &b, &c};
        g.limited(get_issue, reason, t0, 24h);
        auto const again = t0 + 1h + 5s;
        CHECK_FALSE(g.admit_one(get_issue, t0 + 59min));
        REQUIRE(g.admit_one(get_issue, again));
        g.answer(get_issue, 200, again + 100ms);
        CHECK(g.admit_one(get_issue, again + 200ms));
    }
}

TEST_CASE("faults: F3 a try of a closed quota that is never answered is followed by another one in an hour") {
    fixture f;
    points_quota at_site;
    f.quotas = {&at_site, nullptr, nullptr};
    f.limited(get_issue, limit_reason::tenant_quota, t0, 24h);
    REQUIRE(f.admit_one(get_issue, t0 + 1h + 5s));
    CHECK_FALSE(f.admit_one(get_issue, t0 + 2h));
    CHECK(f.admit_one(get_issue, t0 + 2h + 10s));
    // An answer that was on the wire when it was closed is no try's.
    points_quota other;
    f.quotas.at_site = &other;
    f.limited(get_issue, limit_reason::tenant_quota, t0, 24h);
    f.answer(get_issue, 200, t0 + 1s);
    CHECK(other.closed(t0 + 1s));
}

TEST_CASE("faults: F3 reset lets one call go into each paused scope, and its answer opens it") {
    fixture f;
    f.limited(get_issue, limit_reason::burst, t0, 24h);
    f.limited(put_issue, limit_reason::issue_write, t0, 24h);
    f.overloaded(post_issue, 3600s, t0);
    f.limiter.reset();
    CHECK(f.limiter.paused_scopes(t0 + 1s) == 0);
    CHECK(f.limiter.open(get_issue, {}, t0 + 1s));
    CHECK(f.admit_one(put_issue, t0 + 1s));
    CHECK(f.admit_one(post_issue, t0 + 1s));
    CHECK(f.admit_many(get_issue, 10, t0 + 1s) == 1);
    f.learn(get_issue, 100, 99, t0 + 2s);
    CHECK(f.admit_many(get_issue, 10, t0 + 2s) == 1);
    CHECK(f.admit_one(get_issue, t0 + 2100ms));

    fixture g;
    g.limited(get_issue, limit_reason::unknown, t0, 24h);
    limiter_waiter waiting(get_myself, priority::interactive);
    REQUIRE(g.limiter.admit(waiting, t0, t0 + 48h).what == admission::kind::wait);
    g.limiter.reset();
    CHECK(g.limiter.next_release(t0 + 1s) <= t0 + 1s);
    CHECK(g.limiter.release(t0 + 1s) == &waiting);
    CHECK_FALSE(g.admit_one(get_issue, t0 + 1s));
    g.answer(get_myself, 200, t0 + 2s);
    CHECK(g.admit_one(get_issue, t0 + 2s));
    // A second 429 after it is a first one: its pause is a short one.
    g.limiter.reset();
    CHECK(g.limited(get_issue, limit_reason::unknown, t0 + 3s).until <= t0 + 5s);

    points_quota quota;
    quota.close(t0 + 24h, t0);
    quota.reset();
    CHECK_FALSE(quota.closed(t0 + 1s));
    CHECK(quota.earliest(t0 + 1s) <= t0 + 1s);
}

TEST_CASE("faults: G10 a page's calls leave at once while their route's bucket is nearly full") {
    for (int const rate : {5, 10, 20, 100}) {
        fixture f;
        hidden_bucket bucket{.rate = static_cast<double>(rate), .size = static_cast<double>(rate)};
        bucket.take(t0);
        f.learn(get_myself, static_cast<std::uint32_t>(rate), bucket.remaining, t0);
        int const page = rate / 2;
        int waited = 0, refused = 0;
        // At two fifths of what is permitted.
        auto const every = std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(page /
                                                                                                     (0.4 * rate)));
        for (auto now = t0 + 5s; now < t0 + 65s; now += every)
            for (int i = 0; i < page; ++i) {
                if (!f.admit_one(get_myself, now)) {
                    ++waited;
                    continue;
                }
                refused += !bucket.take(now);
                f.learn(get_myself, static_cast<std::uint32_t>(rate), bucket.remaining, now + 20ms);
            }
        INFO("rate " << rate);
        CHECK(waited == 0);
        CHECK(refused == 0);
    }
}

TEST_CASE("limiter: the part of a bucket that may leave at once is in range") {
    limit_params p;
    CHECK(why_invalid(p) == nullptr);
    for (double const bad : {0.0, -0.5, 1.01, std::nan("")}) {
        p.burst_of_bucket = bad;
        CHECK(std::string(why_invalid(p)) == "limit_params::burst_of_bucket must be in (0, 1]");
    }
    p.burst_of_bucket = 1;
    CHECK(why_invalid(p) == nullptr);
}

TEST_CASE("faults: A2 no more permits wait for a token or a channel than may leave at once") {
    fixture f;
    f.learn(get_myself, 100, 19, t0);
    auto now = t0 + 10s;
    int given = 0;
    for (int i = 0; i < 3000; ++i, now += 1ms)
        if (f.admit_one(get_myself, now)) {
            ++given;
            f.limiter.on_held(get_myself.route, held_for::gateway);
        }
    CHECK(given >= 1);
    CHECK(given <= 20);
    // Other routes have their own.
    CHECK(f.admit_one(get_issue, now));
    CHECK_FALSE(f.admit_one(get_myself, now));
    f.limiter.on_sent(get_myself.route, held_for::gateway);
    CHECK(f.admit_one(get_myself, now));
    f.limiter.on_held(get_myself.route, held_for::gateway);
    CHECK_FALSE(f.admit_one(get_myself, now + 1s));
    for (int i = 0; i < given; ++i) f.limiter.on_sent(get_myself.route, held_for::gateway);
    CHECK(f.admit_one(get_myself, now + 1s));
}

TEST_CASE("faults: A2 who waits for what a call does not need keeps no permit from it, and no turn") {
    using set = held_set;
    struct pair {
        set waiting;
        held_for what;
        set free;
    };
    for (auto const& [waiting, what, free] :
         {pair{{held_for::host}, held_for::host, {held_for::gateway}},
          pair{{held_for::gateway}, held_for::gateway, {held_for::host}},
          pair{{held_for::token, held_for::gateway}, held_for::token, {held_for::gateway}},
          pair{{held_for::token, held_for::gateway}, held_for::token, {held_for::host}}}) {
        fixture f;
        f.learn(get_myself, 100, 199, t0);
        auto now = t0 + 10s;
        std::deque<limiter_waiter> stuck;
        for (int i = 0; i < 400; ++i) {
            auto& w = stuck.emplace_back(get_myself, priority::interactive, quota_scopes(), waiting);
            if (f.limiter.admit(w, now, now + 60s).what == admission::kind::now)
                f.limiter.on_held(get_myself.route, what);
        }
        for (; auto* const w = f.limiter.release(now); now += 1ms) f.limiter.on_held(w->route(), what);
        REQUIRE(f.limiter.waiting() > 200);
        int gone = 0;
        now += 2s;  // the burst that they took is paid for
        for (auto const end = now + 2s; now < end; now += 1ms) {
            limiter_waiter w(get_myself, priority::interactive, {}, free);
            gone += f.limiter.admit(w, now, now + 100ms).what == admission::kind::now;
            f.limiter.remove(w);
            while (auto* const late = f.limiter.release(now)) f.limiter.on_held(late->route(), what);
        }
        // At the rate, which they have for themselves.
        CHECK(gone >= 180);
        for (auto& w : stuck) f.limiter.remove(w);
    }
}

TEST_CASE(
    "faults: A1c a site that becomes another one brings its issues' writes and pauses and its bulk operations along") {
    fixture host;
    fixture cloud;
    for (auto* const f : {&host, &cloud}) f->learn(put_issue, 1000, 999, t0);
    CHECK(host.admit_many(put_issue, 9, t0) == 9);
    CHECK(cloud.admit_many(put_issue, 9, t0 + 1ms) == 9);
    auto const bulk = match(method::post, "/rest/api/3/bulk/issues/delete");
    REQUIRE(host.admit_many(bulk, 1, t0) + cloud.admit_many(bulk, 1, t0) == 2);
    auto const other = match(method::put, "/rest/api/3/issue/B-2");
    rate_headers h;
    h.reason = limit_reason::issue_write;
    h.retry_after = 30s;
    host.answer(other, 429, t0, h);
    cloud.limiter.absorb(host.limiter);
    CHECK(cloud.admit_many(put_issue, 9, t0 + 1s) == 2);
    CHECK_FALSE(cloud.admit_one(other, t0 + 20s));
    // Of five places two are taken until both operations end; the same lesson twice changes nothing.
    cloud.limiter.merge(host.limiter);
    int places = 0;
    for (auto now = t0 + 10s; now < t0 + 40s; now += 1s) places += cloud.admit_one(bulk, now);
    CHECK(places == 3);
    cloud.limiter.on_done(bulk.route);
    cloud.limiter.on_done(bulk.route);
    CHECK(cloud.admit_one(bulk, t0 + 60s));
}

TEST_CASE(
    "faults: F2 of a host that is not believed its account's wait alone is learned, and what was sent is counted on") {
    rate_headers said;
    said.limit = 1;
    said.remaining = 0;
    said.near_limit = true;
    said.reason = limit_reason::tenant_quota;
    said.retry_after = 3600s;
    auto const limited = of_account_alone(said, 429);
    CHECK(limited.reason == limit_reason::account_cost);
    CHECK(limited.retry_after == 3600s);
    said.retry_after = std::nullopt;
    CHECK(of_account_alone(said, 429).retry_after == 1s);
    CHECK_FALSE(limited.limit);
    CHECK_FALSE(limited.remaining);
    CHECK_FALSE(limited.near_limit);
    auto const unwell = of_account_alone(said, 503);
    CHECK(unwell.reason == limit_reason::none);
    CHECK_FALSE(unwell.retry_after);

    limit_params const params;
    random_engine random(1);
    wall_time const wall{};
    auto const now = steady_time(1h);
    auto const get = classify_route(method::get, "/rest/api/3/myself");
    auto const put = classify_route(method::put, "/rest/api/3/issue/A-1");
    rate_headers fast;
    fast.limit = 1000;
    fast.remaining = 900;
    site_limiter host(params);
    host.on_answer(put, {}, 204, fast, now, wall, random);
    for (int i = 0; i < 20; ++i) {
        limiter_waiter w(put, priority::interactive);
        host.admit(w, now, steady_time::max());
        host.remove(w);
    }
    rate_headers busy;
    busy.reason = limit_reason::burst;
    busy.retry_after = 600s;
    host.on_answer(get, {}, 429, busy, now, wall, random);
    CHECK(host.paused_until(now) >= now + 600s);
    CHECK(host.paused_until(now + 2h) == steady_time::min());

    site_limiter cloud(params);
    cloud.on_answer(put, {}, 204, fast, now, wall, random);
    cloud.merge(host, site_limiter::word::counted);
    CHECK(cloud.paused_until(now) == steady_time::min());
    limiter_waiter reads(get, priority::interactive);
    CHECK(cloud.admit(reads, now, steady_time::max()).what == admission::kind::now);
    limiter_waiter writes(put, priority::interactive);
    auto const word = cloud.admit(writes, now, steady_time::max());
    CHECK(word.scope == limit_scope::issue);
    cloud.remove(writes);
}
