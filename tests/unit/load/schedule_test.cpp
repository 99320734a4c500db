#include "schedule.hpp"
#include "requests.hpp"

#include <jirapool/core/route.hpp>

#include "close_to.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <vector>

using namespace jirapool;
using namespace jirapool::load;
using namespace std::chrono_literals;

namespace {

mix usual_mix() { return mix::parse(mix::default_text).value(); }

std::vector<arrival> all_of(schedule s) {
    std::vector<arrival> all;
    while (!s.done()) all.push_back(s.next());
    return all;
}

}  // namespace

TEST_CASE("schedule: rate times duration calls, at even distances from 0") {
    auto const all = all_of(schedule(4, 1.5, usual_mix(), 3, 10, 1));
    REQUIRE(all.size() == 6);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].at == static_cast<int>(i) * 250ms);
}

TEST_CASE("schedule: no drift after an hour at a rate that divides nothing") {
    schedule s(300, 3601, usual_mix(), 1, 1, 1);
    while (s.next_at() < 3600s) s.next();
    CHECK(s.next_at() == 3600s);
    CHECK(s.planned() == 300u * 3601u);
}

TEST_CASE("schedule: a product that is a whole number only but for rounding loses no call") {
    CHECK(schedule(10, 0.3, usual_mix(), 1, 1, 1).planned() == 3);
    CHECK(schedule(0.01, 1, usual_mix(), 1, 1, 1).planned() == 1);
}

TEST_CASE("schedule: connections take turns, so any two counts differ by at most 1") {
    std::vector<unsigned> used(7);
    for (auto const& a : all_of(schedule(100, 1, usual_mix(), used.size(), 10, 5))) ++used.at(a.connection);
    auto const [least, most] = std::minmax_element(used.begin(), used.end());
    CHECK(*most - *least <= 1);
}

TEST_CASE("schedule: the same seed plans the same, another seed something else") {
    auto const fingerprint = [](std::uint64_t seed) {
        std::vector<std::size_t> out;
        for (auto const& a : all_of(schedule(100, 1, usual_mix(), 20, 50, seed))) {
            out.push_back(a.connection);
            out.push_back(static_cast<std::size_t>(a.what));
            out.push_back(a.issue);
        }
        return out;
    };
    CHECK(fingerprint(1) == fingerprint(1));
    CHECK(fingerprint(1) != fingerprint(2));
}

TEST_CASE("schedule: issues are from 1 to the last, and operations as frequent as the mix says") {
    std::vector<unsigned> issues(4);
    std::array<unsigned, operation_count> operations{};
    for (auto const& a : all_of(schedule(10'000, 1, usual_mix(), 1, 3, 9))) {
        REQUIRE(a.issue >= 1);
        ++issues.at(a.issue);
        ++operations[static_cast<std::size_t>(a.what)];
    }
    for (std::size_t i = 1; i < issues.size(); ++i) CHECK(close_to(issues[i], 3333, 0.1));
    for (std::size_t i = 0; i < operation_count; ++i)
        CHECK(close_to(operations[i], 100 * usual_mix().weight(static_cast<operation>(i)), 0.15));
}

TEST_CASE("schedule: due counts those whose time has come, and never more than planned") {
    schedule const s(10, 1, usual_mix(), 1, 1, 1);
    CHECK(s.due(-1ms) == 0);
    CHECK(s.due(0ms) == 1);
    CHECK(s.due(99ms) == 1);
    CHECK(s.due(101ms) == 2);
    CHECK(s.due(1h) == 10);
}

TEST_CASE("make_request: each operation is fit to send and goes to the route it is named for") {
    struct expectation {
        operation what;
        std::string_view route;
    };
    auto const e = GENERATE(expectation{operation::myself, "GET /rest/api/{version}/myself"},
                            expectation{operation::get_issue, "GET /rest/api/{version}/issue/{issueIdOrKey}"},
                            expectation{operation::search, "GET /rest/api/{version}/search/jql"},
                            expectation{operation::put_issue, "PUT /rest/api/{version}/issue/{issueIdOrKey}"},
                            expectation{operation::post_issue, "POST /rest/api/{version}/issue"});
    arrival a;
    a.what = e.what;
    a.issue = 7;
    auto const r = make_request(a, 42, 1500ms);
    errc code{};
    CHECK(why_invalid(r, code) == nullptr);
    CHECK(route(classify_route(r.method(), r.target()).route).name == e.route);
    CHECK(r.timeout() == 1500ms);
}
