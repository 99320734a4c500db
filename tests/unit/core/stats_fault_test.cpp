#include <jirapool/core/stats.hpp>

#include "support/catch.hpp"

using namespace jirapool;

TEST_CASE("stats: how a call that ended with an error is counted, and whose fault it is") {
    struct {
        error_code ec;
        outcome how;
        fault whose;
    } const rows[] = {
        {errc::invalid_target, outcome::refused, fault::caller},
        {errc::invalid_header, outcome::refused, fault::caller},
        {errc::body_not_allowed, outcome::refused, fault::caller},
        {errc::queue_full, outcome::refused, fault::caller},
        {errc::stopped, outcome::refused, fault::caller},
        {errc::connection_removed, outcome::refused, fault::caller},
        {errc::cancelled, outcome::cancelled, fault::caller},
        {errc::sink_failed, outcome::failed, fault::caller},
        {errc::source_failed, outcome::failed, fault::caller},
        {make_error_code(boost::system::errc::not_enough_memory), outcome::failed, fault::caller},
        {errc::limited_past_deadline, outcome::limited, fault::limit},
        {errc::credential_refused, outcome::credential, fault::credential},
        {errc::anonymous_answer, outcome::credential, fault::credential},
        {errc::token_unavailable, outcome::token_endpoint, fault::token_endpoint},
        {errc::resolve_failed, outcome::wire, fault::network},
        {errc::connect_failed, outcome::wire, fault::network},
        {errc::tls_failed, outcome::wire, fault::network},
        {errc::certificate_refused, outcome::wire, fault::network},
        {errc::channel_lost, outcome::wire, fault::network},
        {errc::protocol_error, outcome::wire, fault::network},
        {errc::response_too_large, outcome::wire, fault::network},
    };
    for (auto const& row : rows) {
        INFO(row.ec.message());
        CHECK(outcome_of(row.ec) == row.how);
        CHECK(fault_of(row.how, stage::body) == row.whose);
    }
}

TEST_CASE("stats: whose fault an answer or a timeout is") {
    for (int const status : {200, 204, 302, 400, 401, 403, 404, 409})
        CHECK(fault_of(outcome_of(status), stage::body) == fault::none);
    CHECK(fault_of(outcome_of(429), stage::body) == fault::limit);
    for (int const status : {500, 502, 503, 504}) CHECK(fault_of(outcome_of(status), stage::body) == fault::jira);
    struct {
        stage at;
        fault whose;
    } const rows[] = {
        {stage::check, fault::caller}, {stage::admit, fault::limit}, {stage::token, fault::token_endpoint},
        {stage::lease, fault::pool},   {stage::write, fault::jira},  {stage::first_byte, fault::jira},
        {stage::body, fault::jira},    {stage::backoff, fault::jira}};
    for (auto const& row : rows) CHECK(fault_of(outcome::timeout, row.at) == row.whose);
}

TEST_CASE("stats: the sum of counters is over all of them") {
    std::array<std::array<counter, 2>, 3> all;
    all[0][1].add(2);
    all[2][0].add(5);
    CHECK(total(all) == 7);
    std::array<gauge, 2> gauges;
    gauges[0].set(-3);
    gauges[1].set(1);
    CHECK(total(gauges) == -2);
}
