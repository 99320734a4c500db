#include <jirapool/core/stats.hpp>

#include "support/catch.hpp"

using namespace jirapool;

TEST_CASE("stats: how a call that ended with an error is counted, and whose fault it is") {
    struct {
        error_code ec;
        outcome how;
        call_fault whose;
    } const rows[] = {
        {errc::invalid_target, outcome::refused, call_fault::caller},
        {errc::invalid_header, outcome::refused, call_fault::caller},
        {errc::body_not_allowed, outcome::refused, call_fault::caller},
        {errc::queue_full, outcome::refused, call_fault::caller},
        {errc::stopped, outcome::refused, call_fault::caller},
        {errc::connection_removed, outcome::refused, call_fault::caller},
        {errc::cancelled, outcome::cancelled, call_fault::caller},
        {errc::sink_failed, outcome::failed, call_fault::caller},
        {errc::source_failed, outcome::failed, call_fault::caller},
        {make_error_code(boost::system::errc::not_enough_memory), outcome::failed, call_fault::caller},
        {errc::limited_past_deadline, outcome::limited, call_fault::limit},
        {errc::credential_refused, outcome::credential, call_fault::credential},
        {errc::anonymous_answer, outcome::credential, call_fault::credential},
        {errc::token_unavailable, outcome::token_endpoint, call_fault::token_endpoint},
        {errc::resolve_failed, outcome::wire, call_fault::network},
        {errc::connect_failed, outcome::wire, call_fault::network},
        {errc::tls_failed, outcome::wire, call_fault::network},
        {errc::certificate_refused, outcome::wire, call_fault::network},
        {errc::channel_lost, outcome::wire, call_fault::network},
        {errc::protocol_error, outcome::wire, call_fault::network},
        {errc::response_too_large, outcome::wire, call_fault::network},
    };
    for (auto const& row : rows) {
        INFO(row.ec.message());
        CHECK(outcome_of(row.ec) == row.how);
        CHECK(fault_of(row.how, stage::body) == row.whose);
    }
}

TEST_CASE("stats: whose fault an answer or a timeout is") {
    for (int const status : {200, 204, 302, 400, 401, 403, 404, 409})
        CHECK(fault_of(outcome_of(status), stage::body) == call_fault::none);
    CHECK(fault_of(outcome_of(429), stage::body) == call_fault::limit);
    for (int const status : {500, 502, 503, 504}) CHECK(fault_of(outcome_of(status), stage::body) == call_fault::jira);
    struct {
        stage at;
        call_fault whose;
    } const rows[] = {{stage::check, call_fault::caller},
                      {stage::admit, call_fault::limit},
                      {stage::token, call_fault::token_endpoint},
                      {stage::lease, call_fault::pool},
                      {stage::write, call_fault::jira},
                      {stage::first_byte, call_fault::jira},
                      {stage::body, call_fault::jira},
                      {stage::backoff, call_fault::jira}};
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
