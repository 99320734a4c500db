#include "support/catch.hpp"

#include <jirapool/core/token_fsm.hpp>

#include <algorithm>
#include <limits>
#include <string>
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

    void refresh(steady_time asked, std::chrono::seconds lifetime = 3600s) {
        REQUIRE(fsm.refresh_due(asked));
        REQUIRE(fsm.on_refreshed(asked, asked, lifetime, random));
    }
};

}  // namespace

TEST_CASE("token_fsm: of many calls without a token exactly one starts the refresh") {
    machine m;
    CHECK(m.fsm.on_need(t0) == token_need::refresh_then_wait);
    for (int i = 0; i < 10'000; ++i) CHECK(m.fsm.on_need(t0) == token_need::wait);
    CHECK_FALSE(m.fsm.refresh_due(t0));
    REQUIRE(m.fsm.on_refreshed(t0, t0 + 1s, 3600s, m.random));
    CHECK(m.fsm.on_need(t0 + 1s) == token_need::use);
    CHECK(m.fsm.generation() == 1);
}

TEST_CASE("token_fsm: the refresh starts ahead, once, while calls go on with the old token") {
    machine m;
    m.refresh(t0);
    auto const due = m.fsm.next_refresh();
    CHECK(due >= t0 + 3600s * 35 / 100);
    CHECK(due <= t0 + 3600s * 85 / 100);
    CHECK(m.fsm.on_need(due - 1s) == token_need::use);
    CHECK(m.fsm.on_need(due) == token_need::use_and_refresh);
    CHECK(m.fsm.on_need(due) == token_need::use);
    CHECK(m.fsm.next_refresh() == steady_time::max());
}

TEST_CASE("token_fsm: credentials loaded in one second renew spread over half of the lifetime") {
    token_params const params;
    random_engine random(1);
    std::vector<steady_time> due;
    for (int i = 0; i < 1000; ++i) {
        token_endpoint endpoint(params);
        token_fsm fsm(endpoint);
        REQUIRE(fsm.refresh_due(t0));
        REQUIRE(fsm.on_refreshed(t0, t0, 3600s, random));
        due.push_back(fsm.next_refresh());
    }
    // In the fullest minute not much more than the even share of 1000 over 30 minutes.
    std::sort(due.begin(), due.end());
    std::size_t fullest = 0;
    for (std::size_t i = 0; i < due.size(); ++i) {
        auto const end = std::upper_bound(due.begin(), due.end(), due[i] + 60s);
        fullest = std::max(fullest, static_cast<std::size_t>(end - due.begin()) - i);
    }
    CHECK(fullest < 70);
}

TEST_CASE("token_fsm: close to its expiry a token is not sent any more") {
    machine m;
    m.refresh(t0);
    CHECK(m.fsm.usable(t0 + 3600s - 30s - 1ms));
    CHECK_FALSE(m.fsm.usable(t0 + 3600s - 30s));
}

TEST_CASE("token_fsm: a short lifetime keeps nine tenths of its use") {
    machine m;
    m.refresh(t0, 6s);
    CHECK(m.fsm.usable(t0 + 5399ms));
    CHECK_FALSE(m.fsm.usable(t0 + 5400ms));
    CHECK(m.fsm.next_refresh() <= t0 + 5100ms);
}

TEST_CASE("token_fsm: while the old token lives a failed refresh means backoff and no failed call") {
    machine m;
    m.refresh(t0);
    auto now = m.fsm.next_refresh();
    int attempts = 0;
    // The endpoint is down for the rest of the lifetime.
    while (m.fsm.usable(now)) {
        CHECK(m.fsm.on_need(now) == token_need::use_and_refresh);
        ++attempts;
        m.fsm.on_refresh_failed(refresh_failure::transient, now, std::nullopt, m.random);
        CHECK(m.fsm.on_need(now) == token_need::use);
        CHECK(m.fsm.next_refresh() > now);
        now = m.fsm.next_refresh();
    }
    CHECK(attempts < 80);  // 40 min at most, one a minute and the first doublings
}

TEST_CASE("token_fsm: Retry-After is a floor for the next refresh") {
    machine m;
    m.refresh(t0);
    auto const now = m.fsm.next_refresh();
    REQUIRE(m.fsm.refresh_due(now));
    m.fsm.on_refresh_failed(refresh_failure::transient, now, 120s, m.random);
    CHECK(m.fsm.next_refresh() >= now + 120s);
}

TEST_CASE(
    "token_fsm: a refusal for good fails calls at once, is asked about ever more seldom, and ends with a new secret") {
    machine m;
    auto now = t0;
    for (auto const memory : {1h, 2h, 4h, 8h, 16h, 24h, 24h}) {
        REQUIRE(m.fsm.on_need(now) == token_need::refresh_then_wait);
        m.fsm.on_refresh_failed(refresh_failure::permanent, now, std::nullopt, m.random);
        CHECK(m.fsm.on_need(now + 1s) == token_need::refused);
        now += memory;
        CHECK(m.fsm.on_need(now - 1s) == token_need::refused);
    }
    m.refresh(now);  // a person repaired it, and it fails again: from the beginning
    now = m.fsm.next_refresh();
    REQUIRE(m.fsm.refresh_due(now));
    m.fsm.on_refresh_failed(refresh_failure::permanent, now, std::nullopt, m.random);
    CHECK(m.fsm.next_refresh() == now + 1h);
    m.fsm.on_secret_replaced(now + 1s);
    CHECK(m.fsm.on_need(now + 1s) != token_need::refused);
    CHECK(m.fsm.refreshing());
}

TEST_CASE("token_fsm: a token that Jira refuses too has the endpoint not asked before its refusal is forgotten") {
    machine m;
    m.refresh(t0);
    auto const now = m.fsm.next_refresh();
    REQUIRE(m.fsm.refresh_due(now));
    m.fsm.on_refresh_failed(refresh_failure::permanent, now, std::nullopt, m.random);
    CHECK(m.fsm.on_rejected(1, now + 1s) == token_rejection::need_newer);
    CHECK_FALSE(m.fsm.usable(now + 1s));
    CHECK(m.fsm.on_need(now + 1s) == token_need::refused);
    CHECK(m.fsm.on_need(now + m.params.refused_memory) == token_need::refresh_then_wait);
}

TEST_CASE("token_fsm: a refusal for good leaves a token that still lives in use") {
    machine m;
    m.refresh(t0);
    auto const now = m.fsm.next_refresh();
    REQUIRE(m.fsm.refresh_due(now));
    m.fsm.on_refresh_failed(refresh_failure::permanent, now, std::nullopt, m.random);
    CHECK(m.fsm.on_need(now + 1s) == token_need::use);
}

TEST_CASE("token_fsm: of 10,000 answers that refuse one generation the first leads to one refresh") {
    machine m;
    m.refresh(t0);
    auto const now = t0 + 60s;
    int refreshes = 0;
    for (int i = 0; i < 10'000; ++i) {
        CHECK(m.fsm.on_rejected(1, now) == token_rejection::need_newer);
        if (m.fsm.on_need(now) == token_need::refresh_then_wait) ++refreshes;
    }
    CHECK(refreshes == 1);
    REQUIRE(m.fsm.on_refreshed(now, now, 3600s, m.random));
    for (int i = 0; i < 10'000; ++i) CHECK(m.fsm.on_rejected(1, now + 1s) == token_rejection::resend);
    CHECK(m.fsm.generation() == 2);
    CHECK_FALSE(m.fsm.refreshing());
}

TEST_CASE("token_fsm: fresh tokens that are refused again and again do not renew at wire speed") {
    machine m;
    m.refresh(t0);
    auto now = t0 + 60s;
    int refreshes = 0;
    bool delivered = false;
    for (int i = 0; i < 100; ++i, now += 10ms) {
        if (m.fsm.on_rejected(m.fsm.generation(), now) == token_rejection::deliver) {
            delivered = true;
            continue;
        }
        if (m.fsm.on_need(now) == token_need::refresh_then_wait) {
            ++refreshes;
            REQUIRE(m.fsm.on_refreshed(now, now, 3600s, m.random));
        }
    }
    CHECK(delivered);
    CHECK(refreshes <= 2);
}

TEST_CASE("token_fsm: a token that is as good as expired when it comes counts as a failure") {
    machine m;
    REQUIRE(m.fsm.refresh_due(t0));
    CHECK_FALSE(m.fsm.on_refreshed(t0, t0 + 30s, 30s, m.random));
    CHECK_FALSE(m.fsm.usable(t0 + 30s));
    CHECK_FALSE(m.fsm.refreshing());
    CHECK(m.fsm.generation() == 0);
    CHECK(m.fsm.next_refresh() > t0 + 30s);
}

TEST_CASE("token_fsm: a secret replaced while a refresh runs is exchanged as soon as that one ends") {
    machine m;
    m.refresh(t0);
    auto const now = m.fsm.next_refresh();
    REQUIRE(m.fsm.refresh_due(now));
    m.fsm.on_secret_replaced(now);
    CHECK_FALSE(m.fsm.refresh_due(now));
    m.fsm.on_refresh_failed(refresh_failure::permanent, now + 1s, std::nullopt, m.random);
    CHECK(m.fsm.on_need(now + 1s) == token_need::use_and_refresh);
}

TEST_CASE("token_params: every broken rule is named") {
    token_params p;
    CHECK(why_invalid(p) == nullptr);
    p.refresh_to = 1;
    CHECK(std::string(why_invalid(p)) == "token_params::refresh_to must be less than 1");
    p = {};
    p.refresh_from = 0;
    CHECK(why_invalid(p) != nullptr);
    p = {};
    p.backoff_max = 1ms;
    CHECK(why_invalid(p) != nullptr);
    for (double const rate : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
        p = {};
        p.exchanges_per_second = rate;
        CHECK(std::string(why_invalid(p)) == "token_params::exchanges_per_second must be greater than 0");
    }
}

TEST_CASE("token_fsm: after a night's sleep refreshes spread over a minute, but a call that needs one does not wait") {
    std::vector<steady_time> due;
    for (unsigned i = 0; i < 200; ++i) {
        machine m;
        m.random.seed(i);
        m.refresh(t0);
        auto const morning = t0 + 8h;
        m.fsm.on_timer(morning, m.random);
        m.fsm.on_timer(morning, m.random);  // a second ring puts nothing off further
        CHECK(m.fsm.next_refresh() >= morning);
        CHECK(m.fsm.next_refresh() <= morning + 60s);
        due.push_back(m.fsm.next_refresh());
        if (i % 2) {
            CHECK(m.fsm.on_need(morning) == token_need::refresh_then_wait);
            CHECK(m.fsm.on_need(morning) == token_need::wait);
        } else {
            CHECK_FALSE(m.fsm.refresh_due(due.back() - 1ms));
            CHECK(m.fsm.refresh_due(due.back()));
        }
    }
    std::sort(due.begin(), due.end());
    CHECK(due[100] - t0 - 8h > 20s);
    CHECK(due[100] - t0 - 8h < 40s);
}

TEST_CASE("token_fsm: a timer that rings in time puts nothing off") {
    machine m;
    m.fsm.on_timer(t0, m.random);
    m.refresh(t0);
    auto const at = m.fsm.next_refresh();
    m.fsm.on_timer(at, m.random);
    m.fsm.on_timer(at + 29s, m.random);
    CHECK(m.fsm.next_refresh() == at);
    CHECK(m.fsm.refresh_due(at));
    m.fsm.on_timer(at + 1h, m.random);
    CHECK(m.fsm.next_refresh() == steady_time::max());
}

TEST_CASE("token_fsm: a lifetime counts from when the token was asked for") {
    machine m;
    REQUIRE(m.fsm.refresh_due(t0));
    REQUIRE(m.fsm.on_refreshed(t0, t0 + 15s, 3600s, m.random));
    CHECK(m.fsm.expires() == t0 + 3600s);
    CHECK_FALSE(m.fsm.usable(t0 + 3570s));
}

TEST_CASE("token_fsm: a token that comes within its slack counts as a failure") {
    machine m;
    REQUIRE(m.fsm.refresh_due(t0));
    // A tenth of 30 s is its slack.
    CHECK_FALSE(m.fsm.on_refreshed(t0, t0 + 27s, 30s, m.random));
    CHECK(m.fsm.generation() == 0);
    CHECK(m.fsm.on_need(t0 + 27s) == token_need::wait);
    CHECK(m.fsm.next_refresh() > t0 + 27s);
}

TEST_CASE("token_fsm: a success makes the next failure the first one again") {
    machine m;
    auto now = t0;
    for (int i = 0; i < 10; ++i) {
        REQUIRE(m.fsm.refresh_due(now));
        m.fsm.on_refresh_failed(refresh_failure::transient, now, std::nullopt, m.random);
        now = m.fsm.next_refresh();
    }
    m.refresh(now);
    now = m.fsm.next_refresh();
    REQUIRE(m.fsm.refresh_due(now));
    m.fsm.on_refresh_failed(refresh_failure::transient, now, std::nullopt, m.random);
    CHECK(m.fsm.next_refresh() <= now + m.params.backoff);
}

TEST_CASE("token_fsm: an endpoint that is well again is not asked right behind the failure of one of two exchanges") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        machine m;
        m.random = random_engine{seed};
        REQUIRE(m.fsm.on_need(t0) == token_need::refresh_then_wait);
        REQUIRE(m.fsm.overtake_due(t0 + 1s));
        m.fsm.on_refresh_failed(refresh_failure::transient, t0 + 4s, std::nullopt, m.random);
        m.fsm.on_endpoint_recovered(t0 + 4s, true, m.random);
        CHECK_FALSE(m.fsm.overtake_due(t0 + 4s + 340ms));
    }
}

TEST_CASE("token_fsm: a token refused in its old age makes the fresh ones' refusals count anew") {
    machine m;
    m.refresh(t0);
    CHECK(m.fsm.on_rejected(1, t0 + 1s) == token_rejection::need_newer);
    m.refresh(t0 + 1s);
    m.fsm.on_accepted(2, t0 + 500s);
    CHECK(m.fsm.on_rejected(2, t0 + 1000s) == token_rejection::need_newer);
    m.refresh(t0 + 1000s);
    CHECK(m.fsm.on_rejected(3, t0 + 1001s) == token_rejection::need_newer);
    m.refresh(t0 + 1001s);
    CHECK(m.fsm.on_rejected(4, t0 + 1002s) == token_rejection::deliver);
    CHECK(m.fsm.on_rejected(4, t0 + 1003s) == token_rejection::deliver);
}

TEST_CASE("token_fsm: failures in a row are told once, as the credential's if the endpoint answers others") {
    for (bool const at_once : {true, false}) {
        machine m;
        m.refresh(t0);
        CHECK_FALSE(m.fsm.take_recovered());
        auto now = m.fsm.next_refresh();
        for (int i = 1; i <= 10; ++i) {
            INFO(i);
            if (at_once || i == 5) m.endpoint.on_answered();
            REQUIRE(m.fsm.refresh_due(now));
            m.fsm.on_refresh_failed(refresh_failure::transient, now, std::nullopt, m.random);
            CHECK(m.fsm.trouble(now) == (i == (at_once ? 3 : 5) ? token_trouble::credential : token_trouble::none));
            now = m.fsm.next_refresh();
        }
        m.refresh(now);
        CHECK(m.fsm.take_recovered());
        CHECK_FALSE(m.fsm.take_recovered());
    }
}

TEST_CASE("token_fsm: a credential that fails while none of the others asks is told behind six failures") {
    machine m;
    auto now = t0;
    for (int i = 1; i <= 10; ++i) {
        REQUIRE(m.fsm.refresh_due(now));
        m.fsm.on_refresh_failed(refresh_failure::transient, now, std::nullopt, m.random);
        CHECK(m.fsm.trouble(now) == (i == 6 ? token_trouble::credential : token_trouble::none));
        now = m.fsm.next_refresh();
    }
    m.refresh(now);
    CHECK(m.fsm.take_recovered());
}

TEST_CASE("token_fsm: a refusal for good takes the place of a trouble that was told") {
    machine m;
    auto now = t0;
    for (int i = 0; i < 3; ++i) {
        REQUIRE(m.fsm.refresh_due(now));
        m.endpoint.on_answered();
        m.fsm.on_refresh_failed(refresh_failure::transient, now, std::nullopt, m.random);
        CHECK(m.fsm.trouble(now) == (i < 2 ? token_trouble::none : token_trouble::credential));
        now = m.fsm.next_refresh();
    }
    REQUIRE(m.fsm.refresh_due(now));
    m.fsm.on_refresh_failed(refresh_failure::permanent, now, std::nullopt, m.random);
    m.refresh(m.fsm.next_refresh());
    CHECK_FALSE(m.fsm.take_recovered());
}

TEST_CASE("token_fsm: what several credentials fail at is the endpoint's, also when it answers between") {
    machine m;
    std::vector<token_fsm> all;
    for (int i = 0; i < 100; ++i) all.emplace_back(m.endpoint);
    auto now = t0;
    int of_credentials = 0;
    int of_endpoint = 0;
    for (int round = 0; round < 10; ++round) {
        for (auto& f : all) {
            now = std::max(now, f.next_refresh()) + 1s;
            if (!f.refresh_due(now)) continue;
            f.on_refresh_failed(refresh_failure::transient, now, std::nullopt, m.random);
            auto const whose = f.trouble(now);
            of_credentials += whose == token_trouble::credential;
            of_endpoint += whose == token_trouble::endpoint;
            m.endpoint.on_answered();  // another one's token
        }
    }
    CHECK(of_endpoint > 0);
    // Three in ten minutes, each once.
    CHECK(of_credentials <= 3 * (1 + (now - t0) / 600s));
    CHECK(of_credentials <= 100);
}
