#include "support/catch.hpp"

#include <jirapool/core/limiter.hpp>
#include <jirapool/core/neighbours.hpp>

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <queue>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};
wall_time const w0{std::chrono::sys_days{std::chrono::year(2026) / 11 / 1}};
route_match const get_myself = classify_route(method::get, "/rest/api/3/myself");

/// Jira's bucket: `rate` a second, refilled all the time or once in each second.
struct hidden_bucket {
    double rate = 100;
    double size = 100;
    bool whole_seconds = false;
    double tokens = size;
    steady_time last = t0;

    bool take(steady_time now) {
        std::chrono::duration<double> since = now - last;
        if (whole_seconds)
            since = std::chrono::floor<std::chrono::seconds>(now) - std::chrono::floor<std::chrono::seconds>(last);
        tokens = std::min(size, tokens + rate * since.count());
        last = now;
        bool const ok = tokens >= 1;
        if (ok) tokens -= 1;
        return ok;
    }
    std::uint32_t remaining() const { return static_cast<std::uint32_t>(tokens); }
};

struct load {
    double others = 0;   ///< calls a second
    bool random = true;  ///< they come by chance, else evenly
    double offered = 150;
    steady_duration way = 10ms;
    steady_duration jitter = 5ms;
    steady_duration length = 60s;
    steady_duration others_from = 0s;
    steady_duration others_until = 1h;
};

struct outcome {
    double share = 0;  ///< the mean of what was estimated, of the last half
    double worst = 0;  ///< how far any of them was off
    double at_end = 0;
    long sent = 0, accepted = 0, refused = 0, others_refused = 0;
    long told = 0;  ///< calls of others, as told
    double refused_share() const { return static_cast<double>(refused) / static_cast<double>(sent); }
};

/// A limiter at a bucket that others use too.
outcome run(hidden_bucket bucket, load l) {
    limit_params params;
    random_engine random{7};
    site_limiter limiter(params);
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
        return l.way + steady_duration(static_cast<long>(uniform(random) * static_cast<double>(l.jitter.count())));
    };
    auto const send = [&](steady_time now) {
        ++o.sent;
        events.push({now + travel(), event::arrives, 0, 0});
    };
    auto const begun = t0 + 370ms;
    auto next = begun;
    int samples = 0;
    if (l.others > 0) events.push({begun + l.others_from, event::other, 0, 0});
    for (auto now = begun; now < begun + l.length; now += 500us) {
        while (!events.empty() && events.top().at <= now) {
            auto const e = events.top();
            events.pop();
            if (e.what == event::other) {
                if (e.at > begun + l.others_until) continue;
                o.others_refused += !bucket.take(e.at);
                auto const wait = l.random ? -std::log(1 - uniform(random)) / l.others : 1 / l.others;
                events.push({e.at + seconds(wait), event::other, 0, 0});
            } else if (e.what == event::arrives) {
                bool const ok = bucket.take(e.at);
                (ok ? o.accepted : o.refused) += 1;
                events.push({e.at + travel(), event::answered, ok ? 200 : 429, bucket.remaining()});
            } else {
                rate_headers h;
                h.limit = static_cast<std::uint32_t>(bucket.rate);
                h.remaining = e.remaining;
                if (e.status == 429) {
                    h.reason = limit_reason::burst;
                    h.retry_after = 1s;
                }
                o.told += limiter.on_answer(get_myself, {}, e.status, h, now, w0, random).others;
            }
        }
        for (; next <= now; next += seconds(1 / l.offered)) {
            auto w = std::make_unique<limiter_waiter>(get_myself, priority::interactive);
            if (limiter.admit(*w, now, now + 5s).what == admission::kind::now) send(now);
            calls.push_back(std::move(w));
            while (!calls.empty() && !calls.front()->waiting()) calls.pop_front();
        }
        while (limiter.release(now) != nullptr) send(now);
        if (now - begun >= l.length / 2 && (now - begun) % 100ms == 0ns) {
            ++samples;
            auto const share = limiter.others(get_myself.route);
            o.share += share;
            o.worst = std::max(o.worst, std::abs(share - l.others / bucket.rate));
        }
    }
    o.share /= samples;
    o.at_end = limiter.others(get_myself.route);
    for (auto& w : calls) limiter.remove(*w);
    return o;
}

}  // namespace

TEST_CASE("neighbours: what others take is estimated, and what they leave is used without running into the limit") {
    for (double const rate : {20.0, 50.0, 100.0})
        for (double const part : {0.2, 0.4, 0.6, 0.8})
            for (bool const random : {false, true})
                for (auto const jitter : {0ms, 20ms, 50ms}) {
                    auto const o = run({.rate = rate, .size = rate}, {.others = part * rate,
                                                                      .random = random,
                                                                      .offered = 1.5 * rate,
                                                                      .jitter = jitter,
                                                                      .length = 120s});
                    double const theirs = part * rate * 120;
                    INFO("rate " << rate << ", others " << part << (random ? " by chance" : " evenly") << ", jitter "
                                 << jitter.count() << " ms: estimated " << o.share << ", told "
                                 << static_cast<double>(o.told) / theirs << " of theirs, accepted " << o.accepted
                                 << ", refused " << o.refused_share() << ", of theirs " << o.others_refused);
                    CHECK(std::abs(o.share - part) <= 0.05);
                    if (!random) CHECK(o.worst <= 0.05);
                    CHECK(static_cast<double>(o.accepted) >= 0.85 * (1 - part) * rate * 120);
                    // Chance empties a bucket of 20 now and then.
                    double const chance = random && rate < 50 ? 2 : 1;
                    CHECK(o.refused_share() <= 0.005 * chance);
                    CHECK(static_cast<double>(o.others_refused) <= 0.01 * theirs * chance);
                    CHECK(static_cast<double>(o.told) >= 0.8 * theirs);
                    CHECK(static_cast<double>(o.told) <= (1 + 0.1 * chance) * theirs);
                }
}

TEST_CASE("neighbours: nobody is seen where nobody is, however answers come") {
    for (bool const whole_seconds : {false, true})
        for (double const size : {10.0, 100.0, 200.0})
            for (double const offered : {20.0, 150.0})
                for (auto const jitter : {0ms, 20ms, 50ms}) {
                    auto const o = run({.rate = 100, .size = size, .whole_seconds = whole_seconds},
                                       {.offered = offered, .jitter = jitter});
                    INFO("size " << size << (whole_seconds ? " in whole seconds" : "") << ", offered " << offered
                                 << ", jitter " << jitter.count() << " ms: worst " << o.worst);
                    CHECK(o.worst <= 0.03);
                }
}

TEST_CASE("neighbours: those who come are seen within seconds, and those who go are not missed for long") {
    for (double const part : {0.3, 0.8}) {
        INFO("others " << part);
        load l{.others = part * 100, .length = 30s, .others_from = 20s};
        auto const come = run({}, l);
        CHECK(std::abs(come.at_end - part) <= 0.05);
        CHECK(come.refused_share() <= 0.005);
        l.others_from = 0s;
        l.others_until = 20s;
        l.length = 35s;
        auto const went = run({}, l);
        CHECK(went.at_end <= 0.1);
        l.others_until = 1h;
        l.length = 60s;
        auto const stayed = run({}, l);
        l.others_until = 20s;
        CHECK(run({}, l).accepted >= stayed.accepted + static_cast<long>(0.85 * part * 100 * 40));
    }
}

TEST_CASE(
    "neighbours: while a full bucket may hide them they are believed for a while, within what they can have taken") {
    neighbour_estimate e;
    neighbour_estimate::bucket const b{.rate = 100, .size = 100, .steady = true};
    auto now = t0;
    // Ours are 40 a second, and Remaining stands still at half: theirs are 60.
    for (int i = 0; i < 400; ++i) e.on_answer(b, 50, now += 25ms);
    CHECK(std::abs(e.share() - 0.6) <= 0.01);
    // Behind a pause the bucket is full, at the same rate of ours: between none and 60.
    e.on_answer(b, 99, now += 4s);
    for (int i = 0; i < 40; ++i) e.on_answer(b, 99, now += 25ms);
    CHECK(e.share() <= 0.6);
    CHECK(e.share() >= 0.55);
    for (int i = 0; i < 120; ++i) e.on_answer(b, 99, now += 25ms);
    CHECK(e.share() >= 0.52);
    // Ours are 80 a second: no more than 20 are theirs.
    for (int i = 0; i < 1'600; ++i) e.on_answer(b, 99, now += 12500us);
    CHECK(e.share() <= 0.2);
    // And of a quiet hour nothing is known.
    e.on_answer(b, 99, now += 1h);
    CHECK_FALSE(e.used(now + 11min));
    CHECK(e.used(now + 9min));
}

TEST_CASE("neighbours: a Remaining that stands still and low, whatever we leave, is a smaller bucket's") {
    neighbour_estimate e;
    neighbour_estimate::bucket const b{.rate = 100, .size = 100, .steady = true};
    auto now = t0;
    bool smaller = false;
    for (int i = 0; i < 30; ++i) smaller |= e.on_answer(b, 60, now += 200ms).smaller;
    CHECK_FALSE(smaller);
    for (int i = 0; i < 30; ++i)
        smaller |= e.on_answer(b, 30 + static_cast<std::uint32_t>(i % 3) * 5, now += 200ms).smaller;
    for (int i = 0; i < 300; ++i) smaller |= e.on_answer(b, 30, now += 20ms).smaller;
    CHECK_FALSE(smaller);
    for (int i = 0; i < 30; ++i) smaller |= e.on_answer(b, 30, now += 200ms).smaller;
    CHECK(smaller);
}

TEST_CASE("neighbours: who waits for a route is told what others take of it") {
    limit_params params;
    random_engine random{1};
    site_limiter limiter(params);
    rate_headers h;
    h.limit = 100;
    auto now = t0;
    for (int i = 0; i < 1000; ++i) {
        h.remaining = i < 100 ? 99 - i % 2 : 50 + i % 2;
        limiter.on_answer(get_myself, {}, 200, h, now += 25ms, w0, random);
    }
    limiter_waiter w(get_myself, priority::interactive);
    CHECK(limiter.describe(limit_scope::route, w.needs(), now) == "others take 60 % of its rate");
    CHECK(limiter.describe(limit_scope::site, w.needs(), now).empty());
    limiter_waiter other(classify_route(method::get, "/rest/api/3/field"), priority::interactive);
    CHECK(limiter.describe(limit_scope::route, other.needs(), now).empty());
}

TEST_CASE("neighbours: a bucket that others empty is seen to be refilled, and gives no burst on that") {
    limit_params params;
    random_engine random{1};
    site_limiter limiter(params);
    auto const go = [&](steady_time now) {
        limiter_waiter w(get_myself, priority::interactive);
        bool const goes = limiter.admit(w, now, now + 1h).what == admission::kind::now;
        limiter.remove(w);
        return goes;
    };
    rate_headers h;
    h.limit = 100;
    auto now = t0;
    // Each call of ours finds the bucket lower by four fifths of one: others take nearly all of the refill.
    int most_at_once = 0;
    for (int i = 0; i < 60; ++i) {
        now += 11ms;
        int at_once = 0;
        while (at_once < 40 && go(now)) ++at_once;
        if (i > 5) most_at_once = std::max(most_at_once, at_once);
        h.remaining = static_cast<std::uint32_t>(99 - i * 4 / 5);
        limiter.on_answer(get_myself, {}, 200, h, now, w0, random);
    }
    CHECK(most_at_once <= 2);
    // It falls by 73 a second and is refilled by 100, and ours are 91.
    CHECK(std::abs(limiter.others(get_myself.route) - 0.82) <= 0.05);
}

TEST_CASE("neighbours: the moment's low Remaining makes one call late, and refuses none of those behind it") {
    limit_params params;
    random_engine random{1};
    site_limiter limiter(params);
    rate_headers h;
    h.limit = 20;
    auto now = t0;
    // It falls, and then ours are four a second and it stands still: theirs are 16.
    for (int i = 0; i < 400; ++i) {
        h.remaining = static_cast<std::uint32_t>(i < 40 ? 19 - i / 4 : 10);
        limiter.on_answer(get_myself, {}, 200, h, now += i < 40 ? 50ms : 250ms, w0, random);
    }
    CHECK(std::abs(limiter.others(get_myself.route) - 0.8) <= 0.02);
    h.remaining = 0;
    limiter.on_answer(get_myself, {}, 200, h, now, w0, random);
    std::deque<limiter_waiter> calls;
    int refused = 0;
    for (int i = 0; i < 40; ++i) {
        auto& w = calls.emplace_back(get_myself, priority::interactive);
        refused += limiter.admit(w, now, now + 20s).what == admission::kind::refused;
    }
    CHECK(refused == 0);
    // Those behind are told their true time: four a second.
    auto& late = calls.emplace_back(get_myself, priority::interactive);
    CHECK(limiter.admit(late, now, now + 5s).what == admission::kind::refused);
    for (auto& w : calls) limiter.remove(w);
    // The next one goes when the reserve is back: 13 tokens, of which four come in a second.
    CHECK(limiter.next_release(now) == steady_time::max());
    limiter_waiter first(get_myself, priority::interactive);
    auto const at = limiter.admit(first, now, now + 20s).at;
    CHECK(at - now <= 3400ms);
    limiter.remove(first);
}

TEST_CASE("neighbours: 429s that came before others were known are held against nobody once they are") {
    limit_params params;
    random_engine random{1};
    site_limiter limiter(params);
    rate_headers h;
    h.limit = 20;
    auto now = t0;
    for (int i = 0; i < 4; ++i) {
        rate_headers too_fast;
        too_fast.reason = limit_reason::burst;
        too_fast.retry_after = 1s;
        limiter.on_answer(get_myself, {}, 429, too_fast, now, w0, random);
        now += 1200ms;
        limiter_waiter w(get_myself, priority::interactive);
        REQUIRE(limiter.admit(w, now, now + 1h).what == admission::kind::now);
        h.remaining = 19;
        limiter.on_answer(get_myself, {}, 200, h, now, w0, random);
    }
    // It falls below half, and then ours are four a second and it stands still: theirs are 16.
    for (int i = 0; i < 140; ++i) {
        h.remaining = static_cast<std::uint32_t>(i < 40 ? 19 - i / 3 : 9);
        limiter.on_answer(get_myself, {}, 200, h, now += i < 40 ? 50ms : 250ms, w0, random);
    }
    auto const others = limiter.others(get_myself.route);
    CHECK(std::abs(others - 0.8) <= 0.1);
    std::deque<limiter_waiter> calls;
    steady_time last{};
    for (int i = 0; i < 41; ++i)
        last = limiter.admit(calls.emplace_back(get_myself, priority::interactive), now, now + 1h).at;
    for (auto& w : calls) limiter.remove(w);
    // All that they leave is ours.
    CHECK(std::chrono::duration<double>(last - now).count() <= 1.15 * 40 / (20 * (1 - others)));
}

TEST_CASE("neighbours: our own calls whose answers tell nothing of the bucket are no others'") {
    limit_params params;
    random_engine random{1};
    site_limiter limiter(params);
    rate_headers h;
    h.limit = 100;
    auto now = t0;
    // 98 a second of ours, and every fourth answer is silent: as a host's is whose word does not count.
    for (int i = 0; i < 2'000; ++i) {
        now += 10ms;
        bool const silent = i % 4 == 3;
        h.remaining = static_cast<std::uint32_t>(i < 200 ? 99 - i / 5 : 60);
        limiter.on_answer(get_myself, {}, 200, silent ? rate_headers() : h, now, w0, random);
    }
    CHECK(limiter.others(get_myself.route) <= 0.03);
}

TEST_CASE("neighbours: a smaller bucket that is full is nobody's load") {
    limit_params params;
    random_engine random{1};
    site_limiter limiter(params);
    rate_headers h;
    h.limit = 50;
    auto now = t0;
    auto const answers = [&](std::uint32_t remaining, int count) {
        h.remaining = remaining;
        for (int i = 0; i < count; ++i) {
            now += 40ms;
            limiter.on_answer(get_myself, {}, 200, h, now, w0, random);
        }
    };
    answers(99, 125);
    now += 40s;
    answers(39, 1'000);
    CHECK(limiter.others(get_myself.route) <= 0.03);
}
