// What a call does when an exchange has ended, without a call: see also tests/sim/settling_test.cpp.
#include "support/catch.hpp"

#include <jirapool/core/settling.hpp>

#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};

/// A call of a write or a read, in the middle of an exchange.
struct call {
    explicit call(bool writes = true) : s(writes) {}

    /// An exchange, and how it ended.
    settlement after(exchange_end const& e) {
        s.on_begun();
        return s.settle(e, {resendable, site, origin, 8, 100, now, deadline}, params, random);
    }

    retry_params params;
    random_engine random{5};
    retry_budget site{params};
    retry_budget origin{params};
    bool resendable = false;
    steady_time now = t0;
    steady_time deadline = t0 + 1h;
    settling s;
};

exchange_end lost(bool unprocessed = false) {
    exchange_end e;
    e.error = errc::channel_lost;
    e.unprocessed = unprocessed;
    return e;
}

exchange_end lost_in_silence() {
    auto e = lost();
    e.reused = e.silent = true;
    return e;
}

exchange_end failed(errc why) {
    exchange_end e;
    e.error = why;
    return e;
}

exchange_end answered(answer_class a, bool new_token = false) {
    exchange_end e;
    e.answer = a;
    e.new_token = new_token;
    return e;
}

void use_up(retry_budget& b) {
    while (b.take()) continue;
}

using kind = settlement::kind;

}  // namespace

TEST_CASE("settling: what an answer is to the caller") {
    struct row {
        answer_class a;
        bool new_token, resendable;
        kind what;
    };
    for (auto const& r : std::vector<row>{
             {answer_class::delivered, false, true, kind::deliver},
             {answer_class::scope_mismatch, false, true, kind::deliver},
             {answer_class::anonymous, false, true, kind::fail},
             {answer_class::unauthorized, false, true, kind::deliver},
             {answer_class::unauthorized, true, false, kind::resend},
             {answer_class::maybe_expired, false, true, kind::deliver},
             {answer_class::maybe_expired, true, false, kind::resend},
             {answer_class::limited, false, false, kind::resend},
             {answer_class::transient, false, false, kind::deliver},
             {answer_class::transient, false, true, kind::resend},
         }) {
        INFO(to_string(r.a) << (r.new_token ? ", new token" : "") << (r.resendable ? ", resendable" : ""));
        call c;
        c.resendable = r.resendable;
        auto const end = c.after(answered(r.a, r.new_token));
        CHECK(end.what == r.what);
        CHECK_FALSE(end.over_budget);
        if (r.what == kind::resend) CHECK(end.otherwise == kind::deliver);
    }
}

TEST_CASE("settling: only a lost channel is worth another exchange, and not when the caller's own sink failed") {
    for (auto const why :
         {errc::timeout, errc::cancelled, errc::stopped, errc::protocol_error, errc::response_too_large}) {
        call c;
        c.resendable = true;
        CHECK(c.after(failed(why)).what == kind::fail);
    }
    call c;
    c.resendable = true;
    auto const end = c.after(lost());
    CHECK(end.what == kind::resend);
    CHECK(end.reason == resend_reason::channel_lost);
    CHECK(end.otherwise == kind::fail);
    auto own = lost();
    own.caller_failed = true;
    CHECK(c.after(own).what == kind::fail);
}

TEST_CASE(
    "settling: a write whose fate nobody knows is not sent again, one that was never written or not acted on is") {
    call c;
    CHECK(c.after(lost()).what == kind::fail);
    CHECK(c.s.maybe_processed());
    call unwritten;
    CHECK(unwritten.after(lost(true)).what == kind::resend);
    CHECK_FALSE(unwritten.s.maybe_processed());
    call refused;
    auto e = answered(answer_class::transient);
    e.unprocessed = true;
    CHECK(refused.after(e).what == kind::resend);
    CHECK_FALSE(refused.s.maybe_processed());
}

TEST_CASE("settling: whether Jira may have acted is kept until the call's end, whatever its later exchanges say") {
    call c;
    CHECK_FALSE(c.s.maybe_processed());
    c.s.on_begun();
    CHECK(c.s.maybe_processed());
    CHECK_FALSE(c.s.maybe_processed_before());
    c.resendable = true;
    call d;
    d.resendable = true;
    d.after(lost());
    REQUIRE(d.s.maybe_processed());
    CHECK_FALSE(d.s.maybe_processed_before());
    for (auto const& e : {lost(true), answered(answer_class::limited), answered(answer_class::unauthorized, true)}) {
        d.after(e);
        CHECK(d.s.maybe_processed());
        CHECK(d.s.maybe_processed_before());
    }
    for (auto const& e : {answered(answer_class::limited), answered(answer_class::unauthorized, true)}) {
        call first;
        first.after(e);
        CHECK_FALSE(first.s.maybe_processed());
    }
    call read(false);
    read.after(lost());
    read.after(lost());
    CHECK_FALSE(read.s.maybe_processed());
    CHECK_FALSE(read.s.maybe_processed_before());
}

TEST_CASE("settling: a call gets one new token") {
    call c;
    CHECK(c.s.may_renew_token());
    auto const end = c.after(answered(answer_class::unauthorized, true));
    REQUIRE(end.what == kind::resend);
    CHECK(end.reason == resend_reason::token);
    CHECK(end.at == c.now);
    CHECK_FALSE(end.costs_budget);
    CHECK_FALSE(c.s.may_renew_token());
    CHECK(c.after(answered(answer_class::unauthorized, true)).what == kind::deliver);
    CHECK(c.after(answered(answer_class::maybe_expired, true)).what == kind::deliver);
    CHECK(c.s.exchanges() == 3);
}

TEST_CASE("settling: a 429 costs no exchange and no budget, and is delivered when it has come too often") {
    call c;
    use_up(c.site);
    use_up(c.origin);
    for (unsigned i = 0; i < c.params.max_limited; ++i) {
        auto const end = c.after(answered(answer_class::limited));
        REQUIRE(end.what == kind::resend);
        CHECK(end.reason == resend_reason::limited);
        CHECK(end.at == c.now);
        CHECK_FALSE(end.costs_budget);
    }
    CHECK(c.after(answered(answer_class::limited)).what == kind::deliver);
    call d;
    d.resendable = true;
    for (int i = 0; i < 3; ++i) REQUIRE(d.after(answered(answer_class::limited)).what == kind::resend);
    for (unsigned i = 1; i < d.params.max_exchanges; ++i) REQUIRE(d.after(lost()).what == kind::resend);
    CHECK(d.after(lost()).what == kind::fail);
    CHECK(d.s.exchanges() == 3 + d.params.max_exchanges);
}

TEST_CASE("settling: a hedge is an exchange too") {
    call c;
    c.resendable = true;
    for (unsigned i = 1; i < c.params.max_exchanges; ++i) c.s.on_hedged();
    CHECK(c.after(lost()).what == kind::fail);
    CHECK(c.s.exchanges() == c.params.max_exchanges);
}

TEST_CASE("settling: nothing is sent again behind the deadline, and not before the server's own time") {
    call c;
    c.resendable = true;
    auto e = answered(answer_class::transient);
    e.retry_after = 7s;
    auto const end = c.after(e);
    REQUIRE(end.what == kind::resend);
    CHECK(end.at >= c.now + 7s);
    CHECK(end.at < c.now + 7s + c.params.backoff);
    c.deadline = c.now + 7s;
    CHECK(c.after(e).what == kind::deliver);
    CHECK_FALSE(c.after(e).over_budget);
    call at_once;
    at_once.deadline = at_once.now;
    CHECK(at_once.after(answered(answer_class::limited)).what == kind::deliver);
}

TEST_CASE("settling: what adds load to something that fails asks the site's budget and the origin's") {
    for (bool const of_site : {true, false}) {
        call c;
        c.resendable = true;
        use_up(of_site ? c.site : c.origin);
        auto end = c.after(answered(answer_class::transient));
        CHECK(end.what == kind::deliver);
        CHECK(end.over_budget);
        end = c.after(lost());
        CHECK(end.what == kind::fail);
        CHECK(end.over_budget);
        c.resendable = false;
        CHECK_FALSE(c.after(lost()).over_budget);
    }
    call c;
    c.resendable = true;
    CHECK(c.after(lost()).costs_budget);
    CHECK(c.after(answered(answer_class::transient)).costs_budget);
    // The budgets are the caller's to take from.
    CHECK(c.site.can_take(-9));
    CHECK(c.origin.can_take(-9));
}

TEST_CASE("settling: calls of channels that had served and died in silence may overdraw, each budget by its channels") {
    call c;
    c.resendable = true;
    use_up(c.site);
    use_up(c.origin);
    auto const end = c.after(lost_in_silence());
    REQUIRE(end.what == kind::resend);
    CHECK(end.at == c.now);
    CHECK(end.site_overdraft == 8);
    CHECK(end.origin_overdraft == 100);
    for (bool const reused : {true, false}) {
        call d;
        d.resendable = true;
        use_up(d.site);
        use_up(d.origin);
        auto e = lost();
        e.reused = reused;
        e.silent = !reused;
        CHECK(d.after(e).over_budget);
    }
}

TEST_CASE(
    "settling: what a server refused does not count among the exchanges, but for who is refused again and again") {
    call c;
    auto refused = lost(true);
    refused.refused = true;
    for (unsigned i = 1; i < 2 * c.params.max_exchanges; ++i) CHECK(c.after(refused).what == kind::resend);
    CHECK(c.after(refused).what == kind::fail);
    call d;
    for (unsigned i = 1; i < d.params.max_exchanges; ++i) CHECK(d.after(lost(true)).what == kind::resend);
    CHECK(d.after(lost(true)).what == kind::fail);
}

TEST_CASE(
    "settling: calls of a channel whose end was announced may overdraw, and those whose stream alone ended may not") {
    struct {
        bool silent, announced, lives, overdraws;
    } const cases[] = {
        {false, true, false, true},
        {true, true, false, true},
        {true, false, true, false},  // the server resets each stream
        {false, false, false, false},
    };
    for (auto const& k : cases) {
        INFO(k.silent << k.announced << k.lives);
        call c;
        c.resendable = true;
        use_up(c.site);
        use_up(c.origin);
        auto e = lost();
        e.reused = true;
        e.silent = k.silent;
        e.announced = k.announced;
        e.channel_lives = k.lives;
        CHECK(c.after(e).over_budget == !k.overdraws);
    }
}
