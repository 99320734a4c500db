#include "support/catch.hpp"

#include <jirapool/core/token_fsm.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};

struct machine {
    token_params params;
    random_engine random{7};
    token_endpoint endpoint{params};
    token_fsm fsm{endpoint};
    token_fsm other{endpoint};

    void fail(token_fsm& f, steady_time now, std::optional<std::chrono::seconds> retry_after = std::nullopt) {
        f.on_refresh_failed(refresh_failure::transient, now, retry_after, random);
    }
};

}  // namespace

TEST_CASE("faults: B1 a silent exchange is overtaken while calls wait, and the first good answer wins") {
    machine m;
    REQUIRE(m.fsm.on_need(t0) == token_need::refresh_then_wait);
    CHECK(m.fsm.next_refresh(true) == t0 + 1s);
    CHECK(m.fsm.next_refresh() == steady_time::max());
    CHECK(m.fsm.on_need(t0 + 999ms) == token_need::wait);
    CHECK_FALSE(m.fsm.refresh_due(t0 + 1s));
    CHECK(m.fsm.on_need(t0 + 1s) == token_need::refresh_then_wait);
    for (int i = 1; i < 100; ++i) CHECK(m.fsm.on_need(t0 + i * 1s) == token_need::wait);
    CHECK(m.fsm.next_refresh(true) == steady_time::max());
    REQUIRE_FALSE(m.fsm.ended_late(0));
    REQUIRE(m.fsm.on_refreshed(t0 + 1s, t0 + 2s, 3600s, m.random));
    CHECK(m.fsm.on_need(t0 + 2s) == token_need::use);
    CHECK_FALSE(m.fsm.refreshing());
    // The silent one answers after all.
    CHECK(m.fsm.ended_late(0));
    CHECK(m.fsm.generation() == 1);
    CHECK(m.fsm.expires() == t0 + 1s + 3600s);
}

TEST_CASE("faults: B1 an exchange that has waited for its channel is sent only if it is still wanted") {
    machine m;
    REQUIRE(m.fsm.on_need(t0) == token_need::refresh_then_wait);
    REQUIRE(m.fsm.on_need(t0 + 1s) == token_need::refresh_then_wait);
    // The first one gets its channel, and the second one a moment later: nothing is silent yet.
    REQUIRE(m.fsm.may_send(0, 0, t0 + 1500ms));
    CHECK_FALSE(m.fsm.may_send(0, 0, t0 + 1600ms));
    CHECK(m.fsm.on_need(t0 + 2499ms) == token_need::wait);
    REQUIRE(m.fsm.on_need(t0 + 2500ms) == token_need::refresh_then_wait);
    REQUIRE(m.fsm.may_send(0, 0, t0 + 2500ms));
    // Both fail, one while a third one waits for its channel.
    m.fail(m.fsm, t0 + 3s);
    auto const again = m.fsm.next_refresh(true);
    REQUIRE(m.fsm.on_need(again) == token_need::refresh_then_wait);
    auto const before = m.fsm.failures();
    m.fail(m.fsm, again);
    CHECK_FALSE(m.fsm.may_send(0, before, again));
    CHECK_FALSE(m.fsm.refreshing());
    CHECK(m.fsm.on_need(again) == token_need::wait);
    // One gives a token while another waits for its channel.
    auto const last = m.fsm.next_refresh(true);
    auto const of_last = m.fsm.failures();
    REQUIRE(m.fsm.on_need(last) == token_need::refresh_then_wait);
    REQUIRE(m.fsm.may_send(0, of_last, last));
    REQUIRE(m.fsm.on_need(last + 1s) == token_need::refresh_then_wait);
    REQUIRE_FALSE(m.fsm.ended_late(0));
    REQUIRE(m.fsm.on_refreshed(last, last + 1s, 3600s, m.random));
    CHECK_FALSE(m.fsm.may_send(0, of_last, last + 1s));
    CHECK(m.fsm.on_need(last + 1s) == token_need::use);
}

TEST_CASE("faults: B1 a silent exchange beside a usable token is not overtaken") {
    machine m;
    REQUIRE(m.fsm.refresh_due(t0));
    REQUIRE(m.fsm.on_refreshed(t0, t0, 3600s, m.random));
    auto const now = m.fsm.next_refresh();
    REQUIRE(m.fsm.on_need(now) == token_need::use_and_refresh);
    CHECK(m.fsm.on_need(now + 5s) == token_need::use);
    CHECK_FALSE(m.fsm.overtake_due(now + 5s));
    // It runs out.
    CHECK(m.fsm.on_need(t0 + 3600s) == token_need::refresh_then_wait);
}

TEST_CASE(
    "faults: B1 an exchange that fails beside a silent one waits for its backoff, and never are three in flight") {
    machine m;
    int in_flight = 0;
    int begun = 0;
    auto now = t0;
    steady_time second{};
    for (; now < t0 + 60s; now += 50ms) {
        if (m.fsm.on_need(now) == token_need::refresh_then_wait) {
            ++in_flight;
            ++begun;
            second = now;
        }
        REQUIRE(in_flight <= 2);
        if (in_flight == 2 && now >= second + 100ms) {
            REQUIRE_FALSE(m.fsm.ended_late(0));
            m.fail(m.fsm, now);
            --in_flight;
        }
    }
    CHECK(begun > 10);
    CHECK(begun < 40);
}

TEST_CASE("faults: B1 two silent exchanges of old generations leave no third one") {
    machine m;
    auto now = t0;
    for (int i = 0; i < 2; ++i) {
        REQUIRE(m.fsm.on_need(now) == token_need::refresh_then_wait);
        if (i == 0) {
            REQUIRE(m.fsm.on_need(now + 1s) == token_need::refresh_then_wait);
            REQUIRE(m.fsm.on_refreshed(now + 1s, now + 1s, 60s, m.random));
            now += 60s;
        }
    }
    CHECK(m.fsm.on_need(now + 30s) == token_need::wait);
    CHECK(m.fsm.next_refresh(true) == steady_time::max());
    CHECK(m.fsm.ended_late(0));
    CHECK(m.fsm.on_need(now + 30s) == token_need::refresh_then_wait);
}

TEST_CASE("faults: G1 a call that lacks a token waits for no backoff that is longer than its patience") {
    machine m;
    auto now = t0;
    for (int i = 0; i < 20; ++i) {
        REQUIRE(m.fsm.on_need(now) == token_need::refresh_then_wait);
        m.fail(m.fsm, now);
        CHECK(m.fsm.on_need(now) == token_need::wait);
        CHECK(m.fsm.next_refresh() <= now + 4s);
        CHECK(m.fsm.next_refresh() >= now + 250ms);
        now = m.fsm.next_refresh();
    }
    // What the endpoint asked for is kept all the same.
    REQUIRE(m.fsm.on_need(now) == token_need::refresh_then_wait);
    m.fail(m.fsm, now, 120s);
    CHECK(m.fsm.on_need(now) == token_need::wait);
    CHECK(m.fsm.next_refresh() >= now + 120s);
}

TEST_CASE("faults: G1 an outage that several credentials meet is asked about once a second, and its end told to all") {
    token_params p;
    p.exchanges_per_second = 1000;  // what holds them back is the outage alone
    token_endpoint endpoint(p);
    random_engine random(7);
    std::vector<token_fsm> all;
    for (int i = 0; i < 1000; ++i) all.emplace_back(endpoint);
    int asked = 0;
    bool up = false;
    steady_time back{};
    std::array<int, 7> at{};
    for (auto now = t0; now < t0 + 40s; now += 10ms) {
        up = now >= t0 + 30s;
        for (auto& f : all) {
            if (f.usable(now) || now < f.next_refresh() || f.on_need(now) != token_need::refresh_then_wait) continue;
            if (!up) {
                ++asked;
                f.on_refresh_failed(refresh_failure::transient, now, std::nullopt, random);
                continue;
            }
            if (back == steady_time{}) back = now;
            ++at[static_cast<std::size_t>((now - back) / 1s)];
            REQUIRE(f.on_refreshed(now, now, 3600s, random));
            if (endpoint.take_recovered())
                for (auto& other : all) other.on_endpoint_recovered(now, true, random);
        }
    }
    CHECK(asked <= 40);
    CHECK(asked >= 25);
    CHECK(back <= t0 + 32s);
    CHECK(at[0] + at[1] + at[2] == 1000);
    CHECK(at[0] < 600);  // spread
    CHECK(at[1] < 600);
}

TEST_CASE("faults: G1 a credential that comes to the place in memory of one that went is another one") {
    machine m;
    std::optional<token_fsm> f;
    auto now = t0;
    for (int i = 0; i < 3; ++i) {
        f.emplace(m.endpoint);
        REQUIRE(f->on_need(now) == token_need::refresh_then_wait);
        m.fail(*f, now += 1s);
    }
    CHECK(m.endpoint.opens() > now);
}

TEST_CASE("faults: G1 one credential's own trouble holds nobody else back, and nobody's success helps it") {
    machine m;
    auto now = t0;
    for (int i = 0; i < 10; ++i) {
        REQUIRE(m.fsm.refresh_due(now));
        m.fail(m.fsm, now);
        CHECK(m.endpoint.opens() == steady_time::min());
        now = m.fsm.next_refresh();
    }
    REQUIRE(m.other.refresh_due(now));
    REQUIRE(m.other.on_refreshed(now, now, 60s, m.random));
    CHECK_FALSE(m.endpoint.take_recovered());
}

TEST_CASE("faults: B6 an endpoint that nobody can reach is known to all until it answers") {
    machine m;
    REQUIRE(m.fsm.refresh_due(t0));
    CHECK_FALSE(m.other.out_of_reach());
    m.fsm.on_refresh_failed(refresh_failure::lasting, t0, std::nullopt, m.random);
    CHECK(m.other.out_of_reach());
    // It is asked again all the same.
    REQUIRE(m.other.on_need(t0 + 20ms) == token_need::refresh_then_wait);
    m.other.on_refresh_failed(refresh_failure::transient, t0 + 20ms, std::nullopt, m.random);
    CHECK_FALSE(m.fsm.out_of_reach());
    m.fsm.on_need(t0 + 5s);
    m.fsm.on_refresh_failed(refresh_failure::lasting, t0 + 5s, std::nullopt, m.random);
    CHECK(m.fsm.out_of_reach());
    REQUIRE(m.other.on_need(t0 + 10s) == token_need::refresh_then_wait);
    REQUIRE(m.other.on_refreshed(t0 + 10s, t0 + 10s, 3600s, m.random));
    CHECK_FALSE(m.fsm.out_of_reach());
}

TEST_CASE("faults: G7 credentials loaded at once begin one after the other, and those that calls wait for first") {
    token_params p;
    p.exchanges_per_second = 100;
    token_endpoint endpoint(p, 2);  // half of it
    random_engine random(7);
    std::vector<token_fsm> all;
    for (int i = 0; i < 1000; ++i) all.emplace_back(endpoint);
    std::vector<std::size_t> begun;
    std::vector<steady_time> when;
    steady_time wanted{};
    steady_duration longest{};
    auto const begin = [&](std::size_t i, steady_time now) {
        begun.push_back(i);
        when.push_back(now);
        REQUIRE(all[i].on_refreshed(now, now, 3600s, random));
    };
    for (auto now = t0; now < t0 + 25s; now += 1ms) {
        // Two calls every 100 ms, of credentials whose turns are far away.
        for (std::size_t const i : {999 - static_cast<std::size_t>((now - t0) / 100ms), std::size_t{500}}) {
            if ((now - t0) % 100ms != 0ms || now >= t0 + 10s || all[i].usable(now)) continue;
            wanted = now;
            if (all[i].on_need(now) == token_need::refresh_then_wait) begin(i, now);
            while (!all[i].usable(wanted) && all[i].next_refresh(true) <= wanted + 200ms) {
                wanted = all[i].next_refresh(true);
                if (all[i].refresh_due(wanted, true)) begin(i, wanted);
            }
            longest = std::max(longest, wanted - now);
            CHECK(all[i].usable(wanted));
        }
        for (std::size_t i = 0; i < all.size(); ++i)
            if (!all[i].usable(now) && now >= all[i].next_refresh() && all[i].refresh_due(now)) begin(i, now);
    }
    CHECK(longest <= 60ms);
    CHECK(begun.size() == 1000);
    std::sort(when.begin(), when.end());
    for (std::size_t i = 51; i < when.size(); ++i) CHECK(when[i] - when[i - 51] >= 1s);
    CHECK(when.back() <= t0 + 22s);
}

TEST_CASE("faults: F1 a credential whose tokens are always refused renews ever more rarely") {
    machine m;
    int renewals = 0;
    int delivered = 0;
    for (auto now = t0; now < t0 + 1h; now += 1s) {
        if (m.fsm.on_need(now) == token_need::refresh_then_wait) {
            ++renewals;
            REQUIRE(m.fsm.on_refreshed(now, now, 24h, m.random));
        }
        delivered += m.fsm.on_rejected(m.fsm.generation(), now) == token_rejection::deliver;
    }
    CHECK(delivered >= 3600 - renewals);
    CHECK(renewals >= 5);
    CHECK(renewals <= 18);
    m.fsm.on_accepted(m.fsm.generation() - 1, t0 + 3h);
    m.fsm.on_accepted(m.fsm.generation(), t0 + 3h);
    CHECK(m.fsm.on_rejected(m.fsm.generation(), t0 + 3h) == token_rejection::need_newer);
}

TEST_CASE("faults: F1 a new secret ends what the old one's refused tokens led to") {
    machine m;
    auto now = t0;
    for (int i = 0; i < 3; ++i, now += 100ms) {
        if (m.fsm.on_need(now) == token_need::refresh_then_wait) REQUIRE(m.fsm.on_refreshed(now, now, 1h, m.random));
        m.fsm.on_rejected(m.fsm.generation(), now);
    }
    REQUIRE(m.fsm.on_rejected(m.fsm.generation(), now) == token_rejection::deliver);
    m.fsm.on_secret_replaced(now);
    CHECK(m.fsm.on_need(now) == token_need::use_and_refresh);
}

TEST_CASE("faults: F1 an idle credential's tokens of a second are not renewed each second") {
    machine m;
    int asked = 0;
    for (auto now = t0; now < t0 + 100s;) {
        if (m.fsm.refresh_due(now)) {
            ++asked;
            REQUIRE(m.fsm.on_refreshed(now, now, 1s, m.random));
        }
        now = std::max(now + 1ms, m.fsm.next_refresh());
    }
    CHECK(asked <= 21);
    // A call gets one as before.
    CHECK(m.fsm.on_need(t0 + 200s) == token_need::refresh_then_wait);
}
