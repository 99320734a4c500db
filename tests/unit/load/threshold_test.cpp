#include "threshold.hpp"

#include "support/catch.hpp"

using namespace jirapool;
using namespace jirapool::load;

TEST_CASE("threshold: at most and at least hold at the bound itself") {
    flat_summary const s{{"calls.failed", 3}};
    CHECK(threshold::parse("calls.failed<=3")->is_met(s));
    CHECK_FALSE(threshold::parse("calls.failed<=2.9")->is_met(s));
    CHECK(threshold::parse("calls.failed>=3")->is_met(s));
    CHECK_FALSE(threshold::parse("calls.failed>=4")->is_met(s));
}

TEST_CASE("threshold: a status or error that did not happen counts 0, a missing figure is never met") {
    flat_summary const s;
    CHECK(threshold::parse("statuses.503<=0")->is_met(s));
    CHECK(threshold::parse("errors.timeout<=0")->is_met(s));
    CHECK(threshold::parse("routes.search.errors.timeout<=0")->is_met(s));
    CHECK_FALSE(threshold::parse("mock.share_used>=0")->is_met(s));
    CHECK_FALSE(threshold::parse("mock.share_used<=1")->is_met(s));
}

TEST_CASE("threshold: names are those of the summary's JSON") {
    CHECK(threshold::parse("response_ms.p99_9<=250").has_value());
    CHECK(threshold::parse("routes.put_issue.service_ms.max<=1e3").has_value());
    CHECK(threshold::parse("client.token_refreshes.ok>=300").has_value());
    CHECK(threshold::parse("mock.isolation_violations<=0").has_value());
}

TEST_CASE("threshold: what is malformed or names nothing is refused") {
    auto const text = GENERATE(as<std::string>{}, "", "calls.failed", "calls.failed<3", "calls.failed=3", "<=3",
                               "calls.failed<=", "calls.failed<=x", "calls.failed<=3x", "calls.failed<=inf", "p99<=3",
                               "calls<=3", "statuses.<=0");
    INFO(text);
    CHECK_FALSE(threshold::parse(text).has_value());
}
