#include "requests.hpp"

#include <fmt/format.h>

namespace jirapool::load {
namespace {

request bare_request(arrival const& a, std::uint64_t number) {
    switch (a.what) {
    case operation::myself: return request::get("/rest/api/3/myself");
    case operation::get_issue: return request::get(fmt::format("/rest/api/3/issue/PROJ-{}", a.issue));
    case operation::search:
        return request::get(
            "/rest/api/3/search/jql?jql=project%20%3D%20PROJ%20order%20by%20created&maxResults=20&fields=summary");
    case operation::put_issue:
        return request::put(fmt::format("/rest/api/3/issue/PROJ-{}", a.issue))
            .json(fmt::format(R"({{"fields":{{"summary":"load {}"}}}})", number));
    case operation::post_issue:
        return request::post("/rest/api/3/issue")
            .json(fmt::format(
                R"({{"fields":{{"project":{{"key":"PROJ"}},"issuetype":{{"name":"Task"}},"summary":"load {}"}}}})",
                number));
    }
    return request::get("/rest/api/3/myself");
}

}  // namespace

request make_request(arrival const& a, std::uint64_t number, std::chrono::milliseconds timeout) {
    return bare_request(a, number).timeout(timeout);
}

}  // namespace jirapool::load
