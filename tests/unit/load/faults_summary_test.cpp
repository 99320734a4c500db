// What a summary must say of failing connections, shares and limits.
#include "close_to.hpp"
#include "mock_view.hpp"
#include "recorder.hpp"
#include "summary.hpp"
#include "support/catch.hpp"
#include "threshold.hpp"

#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::load;
using namespace std::chrono_literals;

namespace {

result<response> answer(int status) {
    response r;
    r.set_status(status);
    return r;
}

bool holds(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("faults: E3 the summary names the connections that fail, the worst first and no more than it says") {
    std::vector<std::string> ids;
    for (int i = 0; i < 40; ++i) ids.push_back("c" + std::to_string(i) + (i == 7 ? "\x1b[31m" : ""));
    recorders all;
    all.name_connections(ids);
    for (std::size_t c = 0; c < ids.size(); ++c) {
        all.add(operation::myself, answer(200), 1ms, 1ms, c);
        all.add(operation::myself, failure(errc::stopped), 1ms, 1ms, c);  // the run's end is no failure of theirs
        if (c >= 30) continue;
        for (std::size_t i = 0; i <= c; ++i)
            all.add(operation::myself, c % 2 ? answer(401) : result<response>(failure(errc::timeout)), 1ms, 1ms, c);
    }
    summary s;
    s.plan.connections[0] = 40;
    take_records(s, *all.total());
    take_failing(s, all.failing());
    CHECK(s.failing_count == 30);
    REQUIRE(s.failing.size() == summary::max_failing_shown);
    CHECK(s.failing.front().id == "c29");
    CHECK(s.failing.front().failed == 30);
    CHECK(s.failing.front().first == "401");
    auto const text = to_text(s);
    CHECK(holds(text, "30 of 40 connections: c29 (30, first 401), c28 (29, first timeout)"));
    CHECK(holds(text, " and 10 more\n"));
    auto const flat = flatten(s);
    CHECK(close_to(flat.at("failing.count"), 30));
    CHECK(close_to(flat.at("failing.connections.c29"), 30));
    CHECK(threshold::parse("failing.connections.c3<=0")->is_met(flat));

    std::vector<failing_connection> named{{"a\x1b[31m", 1, "404"}};
    take_failing(s, named);
    CHECK_FALSE(holds(to_text(s), "\x1b"));
}

TEST_CASE("faults: E4 shares and p95 are numbers of the summary, blanks around a condition's parts are none") {
    recorders all;
    for (int i = 1; i <= 100; ++i) all.add(operation::search, answer(i > 94 ? 503 : 200), i * 1ms, i * 1ms);
    summary s;
    s.planned = 125;
    s.sent = 100;
    s.unsent = 25;
    take_records(s, *all.total());
    auto const flat = flatten(s);
    CHECK(close_to(flat.at("response_ms.p95"), 95, 0.01));
    CHECK(close_to(flat.at("routes.search.service_ms.p95"), 95, 0.01));
    CHECK(close_to(flat.at("calls.share_failed"), 0.06));
    CHECK(close_to(flat.at("calls.share_succeeded"), 0.94));
    CHECK(close_to(flat.at("calls.share_unsent"), 0.2));
    CHECK(close_to(flat.at("routes.search.share_failed"), 0.06));
    CHECK(close_to(flat.at("share.5xx"), 0.06));
    CHECK(close_to(flat.at("routes.search.share.2xx"), 0.94));

    for (char const* const text :
         {"calls.share_failed<=0.06", "calls.share_failed <= 0.06", " calls.share_failed<= 0.06",
          "calls.share_failed <=0.06 ", "\tcalls.share_failed\t<=\t0.06\t"}) {
        INFO(text);
        auto const t = threshold::parse(text);
        REQUIRE(t.has_value());
        CHECK(t->name() == "calls.share_failed");
        CHECK(t->is_met(flat));
    }
    for (char const* const text :
         {"calls.share_failed < = 1", "calls. share_failed<=1", " <=1", "calls.failed<= ", "calls.failed<=1 2"}) {
        INFO(text);
        CHECK_FALSE(threshold::parse(text).has_value());
    }
}

TEST_CASE("faults: E5 how much of the limits was used is said below half of them too") {
    summary s;
    s.mock = parse_mock_stats(R"({"buckets":{"touched":750,"permitted":40000.0,"admitted":3000,"refused":2,"busy":0,
        "busy_permitted":0,"busy_admitted":0,"busy_refused":0,"busy_used":0}})")
                 .value();
    auto text = to_text(s);
    CHECK(holds(text, "3000 of 40000 permitted admitted (7.5 %), 2 refused, in 750 buckets"));
    CHECK(holds(text, "no bucket was half used"));
    CHECK_FALSE(holds(text, "0 of 0"));
    CHECK(close_to(flatten(s).at("mock.all_share_used"), 0.075));

    s.mock->busy_buckets = 3;
    s.mock->permitted = 100;
    s.mock->admitted = 95;
    s.mock->share_used = 0.95;
    text = to_text(s);
    CHECK(holds(text, "95 of 100 (95.0 %), 0 refused, in the 3 that were half used or more"));
}
