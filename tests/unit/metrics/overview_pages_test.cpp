#include <jirapool/metrics/overview_pages.hpp>

#include "support/catch.hpp"
#include "told_overview.hpp"

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;
using metrics::connections_json;
using metrics::list_query;
using metrics::read_list_query;
using metrics::sites_json;

namespace {

connection_snapshot connection(std::string id, connection_condition c, int since) {
    connection_snapshot s;
    s.id = std::move(id);
    s.site = "acme.atlassian.net";
    s.host = s.site;
    s.status.condition = c;
    s.status.since = wall_time(std::chrono::seconds(since));
    return s;
}

std::vector<std::string> names(result<std::string> const& page, std::string_view list, std::string_view member) {
    REQUIRE(page.has_value());
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    REQUIRE(parser.parse(*page).get(doc) == simdjson::SUCCESS);
    std::vector<std::string> all;
    simdjson::dom::array items;
    REQUIRE(doc[list].get(items) == simdjson::SUCCESS);
    for (auto const item : items) {
        std::string_view name;
        REQUIRE(item[member].get(name) == simdjson::SUCCESS);
        all.emplace_back(name);
    }
    return all;
}

std::uint64_t number(result<std::string> const& page, std::string_view member) {
    REQUIRE(page.has_value());
    simdjson::dom::parser parser;
    std::uint64_t n = 0;
    REQUIRE(parser.parse(*page)[member].get(n) == simdjson::SUCCESS);
    return n;
}

told_overview some_connections() {
    told_overview o;
    o.all_connections = {
        connection("a", connection_condition::healthy, 10),
        connection("b\"\n<\xc3\xa4>", connection_condition::credential_rejected, 30),
        connection("c", connection_condition::limited, 5),
        connection("d", connection_condition::credential_rejected, 20),
        connection("e", connection_condition::site_gone, 1),
        connection("f", connection_condition::unknown, 0),
    };
    return o;
}

}  // namespace

TEST_CASE("overview_pages: connections come with the worst first, and the oldest of those") {
    auto const o = some_connections();
    auto const page = connections_json(o, {});
    CHECK(names(page, "connections", "id") == std::vector<std::string>{"d", "b\"\n<\xc3\xa4>", "e", "c", "a", "f"});
    CHECK(number(page, "total") == 6);
    CHECK(number(page, "matched") == 6);
}

TEST_CASE("overview_pages: connections are filtered by state and text, and given in parts") {
    auto const o = some_connections();
    list_query q;
    q.state = "credential_rejected";
    CHECK(names(connections_json(o, q), "connections", "id") == std::vector<std::string>{"d", "b\"\n<\xc3\xa4>"});
    q.state = "trouble";
    q.offset = 1;
    q.limit = 2;
    auto const part = connections_json(o, q);
    CHECK(names(part, "connections", "id") == std::vector<std::string>{"b\"\n<\xc3\xa4>", "e"});
    CHECK(number(part, "matched") == 4);
    CHECK(number(part, "total") == 6);
    q.offset = 400;
    CHECK(names(connections_json(o, q), "connections", "id").empty());
    q.offset = SIZE_MAX;
    CHECK(names(connections_json(o, q), "connections", "id").empty());
    q = {};
    q.search = "c";
    CHECK(names(connections_json(o, q), "connections", "id").size() == 6);  // acme
    q.search = "\"";
    CHECK(names(connections_json(o, q), "connections", "id").size() == 1);
    q = {};
    q.state = "ill";
    auto const wrong = connections_json(o, q);
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().code() == errc::invalid_argument);
    CHECK(wrong.error().field() == "state");
}

TEST_CASE("overview_pages: a connection's page has all of its state, and null for what is not known") {
    told_overview o;
    auto c = connection("a", connection_condition::limited, 1'700'000'000);
    c.status.cause = condition_cause::limit;
    c.status.until = wall_time(1'700'000'060'500ms);
    o.all_connections = {c};
    auto const page = connections_json(o, {});
    REQUIRE(page.has_value());
    auto const has = [&](std::string_view text) {
        INFO(text);
        return page->find(text) != std::string::npos;
    };
    CHECK(has(R"("kind":"personal_api_token","site":"acme.atlassian.net","host":"acme.atlassian.net")"));
    CHECK(has(R"("condition":"limited","cause":"limit","means":")"));
    CHECK(has(
        R"("since":1700000000.000,"until":1700000060.500,"last_success":null,"token_expires":null,"expires":null)"));
}

TEST_CASE("overview_pages: sites with their quota and calls") {
    told_overview o;
    site_snapshot quiet;
    quiet.site = "quiet";
    site_snapshot busy;
    busy.site = "busy";
    busy.trouble = 3.14159;
    busy.waiting = 7;
    busy.paused_until = wall_time(12s);
    busy.others = 0.5;
    busy.quota = budget_left{100, 65'000};
    busy.calls.emplace();
    (*busy.calls)[static_cast<std::size_t>(call_fault::limit)] = 9;
    o.all_sites = {busy, quiet};

    auto const page = sites_json(o, {});
    REQUIRE(page.has_value());
    CHECK(
        *page ==
        R"({"total":2,"matched":2,"offset":0,"sites":[{"site":"busy","trouble":3.142,"waiting":7,"paused_until":12.000,)"
        R"("neighbour_share":0.500,"quota":{"left":100.000,"of":65000.000},"calls":{"none":0,"caller":0,"limit":9,)"
        R"("credential":0,"network":0,"jira":0,"token_endpoint":0,"pool":0}},{"site":"quiet","trouble":0.000,)"
        R"("waiting":0,"paused_until":null,"neighbour_share":0.000,"quota":null,"calls":null}]})"
        "\n");
    for (auto const* const state : {"paused", "waiting", "trouble"}) {
        list_query q;
        q.state = state;
        CHECK(names(sites_json(o, q), "sites", "site") == std::vector<std::string>{"busy"});
    }
    list_query q;
    q.state = "limited";
    CHECK(sites_json(o, q).error().field() == "state");
}

TEST_CASE("overview_pages: the parameters of a query, and what is wrong with them") {
    auto const q = read_list_query(
        {{"limit", "7"}, {"offset", "14"}, {"state", "trouble"}, {"search", "x"}, {"z", "y"}});
    REQUIRE(q.has_value());
    CHECK((q->limit == 7 && q->offset == 14 && q->state == "trouble" && q->search == "x"));
    for (auto const* const value : {"", "0", "1001", "-1", "1e3", "7 ", "99999999999999999999999"}) {
        INFO(value);
        auto const wrong = read_list_query({{"limit", value}});
        REQUIRE_FALSE(wrong.has_value());
        CHECK(wrong.error().field() == "limit");
        CHECK(wrong.error().rule() == "must be a number from 1 to 1000");
    }
    for (auto const* const value : {"", "-1", "x"})
        CHECK(read_list_query({{"offset", value}}).error().field() == "offset");
}

TEST_CASE("overview_pages: a page answers with JSON, or with what is wrong with the query") {
    auto const o = std::make_shared<told_overview>(some_connections());
    auto const connections = metrics::connections_page(o);
    auto const sites = metrics::sites_page(o);
    CHECK(connections.path == "/connections");
    CHECK(sites.path == "/sites");
    metrics::page_request r;
    r.parameters = {{"limit", "1"}};
    auto const good = connections.answer(r);
    CHECK(good.status == 200);
    CHECK(good.content_type == "application/json");
    CHECK(names(good.body, "connections", "id") == std::vector<std::string>{"d"});
    CHECK(sites.answer(r).status == 200);
    r.parameters = {{"limit", "none"}};
    CHECK(connections.answer(r).status == 400);
    CHECK(sites.answer(r).body == "limit: must be a number from 1 to 1000\n");
    r.parameters = {{"state", "<b>"}};
    auto const wrong = sites.answer(r);
    CHECK(wrong.status == 400);
    CHECK(wrong.content_type.starts_with("text/plain"));
}
