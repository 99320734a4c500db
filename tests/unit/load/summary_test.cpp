#include "summary.hpp"

#include "close_to.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <string>

using namespace jirapool;
using namespace jirapool::load;
using namespace std::chrono_literals;

namespace {

result<response> answer(int status) {
    response r;
    r.set_status(status);
    return r;
}

summary some_summary() {
    recorders all;
    for (int i = 0; i < 96; ++i) all.add(operation::get_issue, answer(200), 10ms, 5ms);
    all.add(operation::get_issue, answer(404), 20ms, 5ms);
    all.add(operation::put_issue, answer(429), 20ms, 5ms);
    all.add(operation::put_issue, answer(503), 20ms, 5ms);
    all.add(operation::put_issue, failure(errc::timeout, "a \"quoted\" \x1b[31m rule"), 30s, 30s);
    all.add(operation::put_issue, failure(errc::stopped), 30s, 30s);
    summary s;
    s.plan.rate = 10;
    s.planned = 103;
    s.sent = 101;
    s.unsent = 2;
    s.elapsed = 10s;
    take_records(s, *all.total());
    s.examples = all.examples();
    s.client.answers = 200;
    s.client.answered_429 = 1;
    return s;
}

bool holds(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("summary: only 2xx is success, what a stop ended is cut off and not failed") {
    auto const s = some_summary();
    CHECK(s.all.completed == 100);
    CHECK(s.all.succeeded == 96);
    CHECK(s.all.failed == 4);
    CHECK(s.cut_off == 1);
    CHECK(s.operations[static_cast<std::size_t>(operation::put_issue)].failed == 3);
    CHECK(s.all.errors == std::map<std::string, std::uint64_t>{{"timeout", 1}});
    CHECK(close_to(s.sent_per_s(), 10.1));
    CHECK(close_to(s.succeeded_per_s(), 9.6));
    CHECK(s.all.response_time.max == 30s);
}

TEST_CASE("summary: its numbers are found by their place in the JSON") {
    auto const flat = flatten(some_summary());
    CHECK(flat.at("schema") == 1);
    CHECK(flat.at("calls.failed") == 4);
    CHECK(flat.at("calls.unsent") == 2);
    CHECK(flat.at("outcomes.2xx") == 96);
    CHECK(flat.at("outcomes.4xx") == 1);
    CHECK(flat.at("outcomes.429") == 1);
    CHECK(flat.at("outcomes.5xx") == 1);
    CHECK(flat.at("outcomes.errors") == 1);
    CHECK(flat.at("statuses.404") == 1);
    CHECK(flat.at("errors.timeout") == 1);
    CHECK(close_to(flat.at("response_ms.p50"), 10, 0.01));
    CHECK(close_to(flat.at("service_ms.p50"), 5, 0.01));
    CHECK(close_to(flat.at("routes.get_issue.response_ms.max"), 20));
    CHECK(close_to(flat.at("client.share_429"), 0.005));
    CHECK(flat.at("client.channels.closed_by.idle_timeout") == 0);
    CHECK(flat.count("mock.share_used") == 0);
}

TEST_CASE("summary: the mock's figures are in the JSON when there are any, else null") {
    auto s = some_summary();
    CHECK(holds(to_json(s), "\"mock\": null"));
    s.mock.emplace().share_used = 0.95;
    CHECK(close_to(flatten(s).at("mock.share_used"), 0.95));
    CHECK(holds(to_json(s), "\"share_used\": 0.95"));
}

TEST_CASE("summary: the text names failures with an example, and no control character of it") {
    auto const text = to_text(some_summary());
    CHECK(holds(text, "4 failed (2xx: 96, 429: 1, 4xx: 1, 5xx: 1, errors: 1)"));
    CHECK(holds(text, "103 planned, 101 sent, 2 unsent"));
    CHECK(holds(text, "[31m rule"));
    CHECK_FALSE(holds(text, "\x1b"));
    CHECK_FALSE(holds(text, "INTERRUPTED"));
}

TEST_CASE("summary: an interrupted run says so, a late generator as well") {
    auto s = some_summary();
    s.interrupted = true;
    s.lateness.p99 = 50ms;
    CHECK(holds(to_text(s), "INTERRUPTED"));
    CHECK(holds(to_text(s), "WARNING"));
    CHECK(holds(to_json(s), "\"interrupted\": true"));
}

TEST_CASE("summary: a run without calls divides by nothing") {
    summary const s;
    CHECK_FALSE(holds(to_text(s), "nan"));
    for (auto const& [name, value] : flatten(s)) {
        INFO(name);
        CHECK(std::isfinite(value));
    }
}
