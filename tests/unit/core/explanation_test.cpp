#include "support/catch.hpp"

#include <jirapool/core/explanation.hpp>
#include <jirapool/core/response.hpp>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

explanation::step step(stage s, steady_duration took, limit_scope scope = limit_scope::none, std::uint32_t ahead = 0) {
    explanation::step made;
    made.stage = s;
    made.took = took;
    made.scope = scope;
    made.ahead = ahead;
    return made;
}

}  // namespace

TEST_CASE("explanation: steps add up, and know the exchange they led to or were part of") {
    explanation e;
    e.add(step(stage::admit, 1s, limit_scope::route, 17));
    e.add(step(stage::token, 0s));  // no time, no step
    e.add(step(stage::lease, 30ms));
    e.begin_exchange(false, 4);
    e.add(step(stage::write, 1ms));
    e.add(step(stage::first_byte, 200ms));
    e.end_exchange(503, {});
    e.will_resend(resend_reason::transient_answer);
    e.add(step(stage::backoff, 100ms));
    e.begin_exchange(true, 4);
    e.add(step(stage::first_byte, 50ms));
    e.end_exchange(0, errc::channel_lost);

    CHECK(e.total() == 1381ms);
    CHECK(e.in(stage::first_byte) == 250ms);
    REQUIRE(e.steps().size() == 6);
    CHECK(e.steps()[1].exchange == 1);
    CHECK(e.steps()[3].exchange == 1);
    CHECK(e.steps()[4].exchange == 2);
    CHECK(e.steps()[5].exchange == 2);
    REQUIRE(e.exchanges().size() == 2);
    CHECK(e.exchanges()[0].resent == resend_reason::transient_answer);
    CHECK(e.exchanges()[1].reused);
    CHECK(e.exchanges()[1].error == errc::channel_lost);
    CHECK(
        e.describe() ==
        "1.381 s: admit 1.000 s (route, 17 ahead), lease 0.030 s, write 0.001 s, first_byte 0.200 s, backoff 0.100 s, "
        "first_byte 0.050 s; 1: 503, token 4, new channel, sent again: transient_answer; 2: " +
            make_error_code(errc::channel_lost).message() + ", token 4, used channel");
}

TEST_CASE("explanation: what more there is to say of a limit stands behind it") {
    explanation e;
    auto waited = step(stage::admit, 1s, limit_scope::route, 17);
    waited.note = "others take 41 % of its rate";
    e.add(waited);
    CHECK(e.describe() == "1.000 s: admit 1.000 s (route, 17 ahead: others take 41 % of its rate)");
}

TEST_CASE("explanation: a failure and a response carry it") {
    auto const e = std::make_shared<explanation>();
    CHECK(failure(errc::timeout).explanation() == nullptr);
    CHECK(failure(errc::timeout).with_explanation(e).explanation() == e);
    response r;
    r.set_explanation(e);
    CHECK(r.explanation() == e);
}
