#include "support/catch.hpp"

#include "route.hpp"

#include <set>
#include <string>

using namespace jirapool::mock;

namespace {

std::string name(std::string_view method, std::string_view path) {
    return std::string(route_name(find_route(method, path).id));
}

TEST_CASE("mock routes: every version of the API is one route") {
    for (auto const* const path :
         {"/rest/api/2/issue/PROJ-1", "/rest/api/3/issue/PROJ-1", "/rest/api/latest/issue/PROJ-1"}) {
        CHECK(name("GET", path) == "GET /rest/api/{version}/issue/{issueIdOrKey}");
        CHECK(find_route("GET", path).parameter == "PROJ-1");
    }
    CHECK(name("GET", "/rest/api/4/issue/PROJ-1") == "GET other");
}

TEST_CASE("mock routes: method and path decide together") {
    CHECK(name("PUT", "/rest/api/3/issue/10001") == "PUT /rest/api/{version}/issue/{issueIdOrKey}");
    CHECK(name("POST", "/rest/api/3/issue") == "POST /rest/api/{version}/issue");
    CHECK(name("POST", "/rest/api/3/issue/") == "POST other");
    CHECK(name("GET", "/rest/api/3/issue/PROJ-1/comment") == "GET other");
    CHECK(name("HEAD", "/rest/api/3/myself") == "GET /rest/api/{version}/myself");
    CHECK(name("POST", "/rest/api/3/search/jql") == "POST /rest/api/{version}/search/jql");
    CHECK(name("GET", "/rest/api/3/search") == "/rest/api/{version}/search");
    CHECK(name("DELETE", "/rest/webhooks/1.0/webhook/7") == "DELETE /rest/webhooks/1.0/webhook/{id}");
    CHECK(name("DELETE", "/rest/webhooks/1.0/webhook") == "DELETE other");
    CHECK(name("GET", "/rest/webhooks/1.0/webhooks") == "GET other");
    CHECK(name("GET", "/_edge/tenant_info") == "GET /_edge/tenant_info");
    CHECK(name("GET", "/browse/PROJ-1") == "(edge)");
    CHECK(name("GET", "") == "(edge)");
}

TEST_CASE("mock routes: each has a name of its own") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < route_count; ++i) names.insert(route_name(static_cast<route>(i)));
    CHECK(names.size() == route_count);
}

}  // namespace
