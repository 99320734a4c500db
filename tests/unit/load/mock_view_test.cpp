#include "mock_view.hpp"

#include "close_to.hpp"
#include "support/catch.hpp"

using namespace jirapool;
using namespace jirapool::load;

TEST_CASE("mock_view: reads what the mock says, and what it does not say is 0") {
    auto const v = parse_mock_stats(
        R"({"requests":{"total":12,"by_status":{"200":12}},"unauthorized":1,"limited_total":2,
        "isolation_violations":3,"tokens":{"min_refreshes_per_credential":4,"max_refreshes_per_credential":5,
        "max_in_flight_per_credential":1},"buckets":{"busy":2,"busy_permitted":100.5,"busy_admitted":95,"busy_used":0.945}})");
    REQUIRE(v.has_value());
    CHECK(v->requests == 12);
    CHECK(v->answered_401 == 1);
    CHECK(v->answered_429 == 2);
    CHECK(v->isolation_violations == 3);
    CHECK(v->min_refreshes_per_credential == 4);
    CHECK(v->max_refreshes_per_credential == 5);
    CHECK(v->max_in_flight_per_credential == 1);
    CHECK(close_to(v->permitted, 100.5));
    CHECK(v->admitted == 95);
    CHECK(close_to(v->share_used, 0.945));
    CHECK(v->handshakes == 0);
}

TEST_CASE("mock_view: what is no JSON object is refused") {
    CHECK_FALSE(parse_mock_stats("").has_value());
    CHECK_FALSE(parse_mock_stats("<html>").has_value());
    CHECK_FALSE(parse_mock_stats("[1]").has_value());
}
