#include <jirapool/core/route.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace jirapool;

namespace {

std::string_view name_of(method m, std::string_view target) { return route(classify_route(m, target).route).name; }
std::string_view issue_of(method m, std::string_view target) { return classify_route(m, target).issue; }
route_info const& info_of(method m, std::string_view target) { return route(classify_route(m, target).route); }

std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> out;
    while (!path.empty()) {
        path.remove_prefix(1);
        auto const end = std::min(path.find('/'), path.size());
        out.emplace_back(path.substr(0, end));
        path.remove_prefix(end);
    }
    return out;
}

std::string join(std::vector<std::string> const& segments) {
    std::string out;
    for (auto const& s : segments) out += "/" + s;
    return out;
}

bool is_parameter(std::string_view segment) { return segment.front() == '{'; }
bool is_fallback(route_info const& r) { return r.name.find('/') == std::string_view::npos; }

/// A route's template, taken apart from its public name.
struct template_of {
    explicit template_of(route_info const& r) : segments(split(r.name.substr(r.name.find('/')))) {}

    bool api_version(std::size_t i) const { return i == 2 && segments[1] == "api" && segments[2] == "{version}"; }

    bool takes(std::size_t i, std::string_view text) const {
        if (api_version(i)) return text == "2" || text == "3" || text == "latest";
        if (i == 2 && segments[i] == "1.0" && text == "latest") return true;
        return is_parameter(segments[i]) || segments[i] == text;
    }
    bool matches(std::vector<std::string> const& path) const {
        if (path.size() != segments.size()) return false;
        for (std::size_t i = 0; i < path.size(); ++i) {
            if (!takes(i, path[i])) return false;
        }
        return true;
    }
    /// Which of two templates that match the same path wins: the one with the first literal.
    bool before(template_of const& other) const {
        for (std::size_t i = 0; i < segments.size(); ++i) {
            bool const mine = !is_parameter(segments[i]);
            if (mine != !is_parameter(other.segments[i])) return mine;
        }
        return false;
    }
    std::optional<std::size_t> issue() const {
        for (std::size_t i = 1; i < segments.size(); ++i) {
            bool const below = segments[i - 1] == "issue" || segments[i - 1] == "request";
            if (below && (segments[i] == "{issueIdOrKey}" || segments[i] == "{issueId}")) return i;
        }
        return std::nullopt;
    }

    std::vector<std::string> segments;
};

/// Classification as it is described, without any cleverness.
class reference {
public:
    reference() {
        for (std::size_t i = 0; i < route_count(); ++i) {
            auto const id = static_cast<route_id>(i);
            if (!is_fallback(route(id))) templates_.emplace_back(id, template_of(route(id)));
        }
    }
    /// Nothing when no template matches.
    std::optional<route_match> classify(method m, std::vector<std::string> const& path) const {
        std::pair<route_id, template_of> const* best = nullptr;
        for (auto const& t : templates_) {
            if (route(t.first).method != m || !t.second.matches(path)) continue;
            if (!best || t.second.before(best->second)) best = &t;
        }
        if (!best) return std::nullopt;
        auto const issue = best->second.issue();
        return route_match{best->first, issue ? std::string_view(path[*issue]) : std::string_view()};
    }
    auto const& templates() const { return templates_; }

private:
    std::vector<std::pair<route_id, template_of>> templates_;
};

std::string_view fallback_of(method m) {
    switch (m) {
    case method::get:
    case method::head: return "GET other";
    case method::post: return "POST other";
    case method::put: return "PUT other";
    case method::patch: return "PATCH other";
    case method::delete_: return "DELETE other";
    }
    return {};
}

constexpr method all_methods[] = {method::get, method::head, method::post, method::put, method::patch, method::delete_};

}  // namespace

TEST_CASE("route: a target gets the name of its template") {
    CHECK(name_of(method::get, "/rest/api/3/issue/ABC-1") == "GET /rest/api/{version}/issue/{issueIdOrKey}");
    CHECK(name_of(method::put, "/rest/api/3/issue/ABC-1") == "PUT /rest/api/{version}/issue/{issueIdOrKey}");
    CHECK(name_of(method::post, "/rest/api/3/search/jql") == "POST /rest/api/{version}/search/jql");
    CHECK(name_of(method::get, "/rest/api/3/myself") == "GET /rest/api/{version}/myself");
    CHECK(name_of(method::get, "/_edge/tenant_info") == "GET /_edge/tenant_info");
    CHECK(name_of(method::post, "/rest/webhooks/1.0/webhook") == "POST /rest/webhooks/1.0/webhook");
    CHECK(name_of(method::delete_, "/rest/webhooks/1.0/webhook/72") == "DELETE /rest/webhooks/1.0/webhook/{id}");
    CHECK(name_of(method::post, "/gira/1") == "POST /gira/{version}");
    CHECK(name_of(method::get, "/rest/agile/1.0/board/4/sprint") == "GET /rest/agile/1.0/board/{boardId}/sprint");
    CHECK(name_of(method::get, "/rest/servicedeskapi/servicedesk/2/customer") ==
          "GET /rest/servicedeskapi/servicedesk/{serviceDeskId}/customer");
}

TEST_CASE("route: versions 2, 3 and latest fall together") {
    auto const three = classify_route(method::get, "/rest/api/3/issue/ABC-1").route;
    CHECK(classify_route(method::get, "/rest/api/2/issue/ABC-1").route == three);
    CHECK(classify_route(method::get, "/rest/api/latest/issue/ABC-1").route == three);
    CHECK(classify_route(method::get, "/rest/agile/latest/board").route ==
          classify_route(method::get, "/rest/agile/1.0/board").route);
    for (auto const* other : {"1", "4", "33", "Latest", "2.0"}) {
        CHECK(name_of(method::get, std::string("/rest/api/") + other + "/issue/ABC-1") == "GET other");
    }
}

TEST_CASE("route: HEAD counts with GET") {
    CHECK(classify_route(method::head, "/rest/api/3/issue/ABC-1").route ==
          classify_route(method::get, "/rest/api/3/issue/ABC-1").route);
    CHECK(issue_of(method::head, "/rest/api/3/issue/ABC-1") == "ABC-1");
}

TEST_CASE("route: a query and one slash at the end change nothing") {
    auto const plain = classify_route(method::get, "/rest/api/3/issue/ABC-1").route;
    for (auto const* end : {"?", "/", "/?", "?fields=summary", "/?a=/b//c", "?/rest/api/3/user", "?a?b"}) {
        CAPTURE(end);
        std::string const target = std::string("/rest/api/3/issue/ABC-1") + end;
        CHECK(classify_route(method::get, target).route == plain);
        CHECK(issue_of(method::get, target) == "ABC-1");
    }
}

TEST_CASE("route: a literal wins over a parameter, and what only the parameter leads to is still found") {
    CHECK(name_of(method::get, "/rest/api/3/issue/createmeta") == "GET /rest/api/{version}/issue/createmeta");
    CHECK(issue_of(method::get, "/rest/api/3/issue/createmeta").empty());
    // `createmeta/{projectIdOrKey}` has no route of its own, but a comment on an issue of that key would have.
    CHECK(name_of(method::get, "/rest/api/3/issue/createmeta/comment") ==
          "GET /rest/api/{version}/issue/{issueIdOrKey}/comment");
    CHECK(name_of(method::get, "/rest/agile/1.0/board/7/epic/none/issue") ==
          "GET /rest/agile/1.0/board/{boardId}/epic/none/issue");
    CHECK(name_of(method::get, "/rest/agile/1.0/board/7/epic/8/issue") ==
          "GET /rest/agile/1.0/board/{boardId}/epic/{epicId}/issue");
    CHECK(name_of(method::get, "/rest/agile/1.0/board/filter/configuration") ==
          "GET /rest/agile/1.0/board/filter/{filterId}");
    CHECK(name_of(method::get, "/rest/agile/1.0/board/filter/epic/none/issue") ==
          "GET /rest/agile/1.0/board/{boardId}/epic/none/issue");
}

TEST_CASE("route: what no template matches gets its method's fallback") {
    for (method const m : all_methods) {
        for (auto const* target :
             {"", "/", "//", "?", "/?", "rest/api/3/issue/ABC-1", "/rest", "/rest/api/3", "/rest/api/3/nothing",
              "//rest/api/3/issue/ABC-1", "/rest//api/3/issue/ABC-1", "/rest/api/3/issue//ABC-1",
              "/rest/api/3/issue/ABC-1//", "/rest/api/3/issue/ABC-1/no/such/thing", "/REST/api/3/issue/ABC-1",
              "/rest/api/3/issue/ABC-1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", "https://x.example/rest/api/3/myself"}) {
            CAPTURE(target);
            CHECK(name_of(m, target) == fallback_of(m));
            CHECK(issue_of(m, target).empty());
        }
    }
    CHECK(name_of(method::patch, "/rest/api/3/issue/ABC-1") == "PATCH other");
}

TEST_CASE("route: a method that is none classifies as a POST that promises nothing") {
    auto const& r = info_of(static_cast<method>(200), "/rest/api/3/myself");
    CHECK(r.name == "POST other");
    CHECK_FALSE(r.reads_only);
}

TEST_CASE("route: the issue is the target's own text") {
    std::string const target = "/rest/api/3/issue/ABC-1/comment/5?expand=a";
    auto const match = classify_route(method::put, target);
    CHECK(match.issue == "ABC-1");
    CHECK(match.issue.data() == target.data() + 18);
    CHECK(issue_of(method::get, "/rest/agile/1.0/issue/10001/estimation") == "10001");
    CHECK(issue_of(method::post, "/rest/servicedeskapi/request/HELP-3/comment") == "HELP-3");
    CHECK(issue_of(method::post, "/rest/api/3/issue").empty());
    CHECK(issue_of(method::post, "/rest/api/3/issue/bulkfetch").empty());
    CHECK(issue_of(method::get, "/rest/api/3/issueLink/10001").empty());
    CHECK(issue_of(method::get, "/rest/api/3/user").empty());
}

TEST_CASE("route: rates start from the documented table") {
    CHECK(info_of(method::get, "/rest/api/3/issue/ABC-1").default_rate == 150);
    CHECK(info_of(method::get, "/rest/api/3/issue/ABC-1/changelog").default_rate == 200);
    CHECK(info_of(method::get, "/rest/api/3/attachment/content/1").default_rate == 300);
    CHECK(info_of(method::get, "/rest/api/3/group/by-id").default_rate == 400);
    CHECK(info_of(method::put, "/rest/api/3/component/1").default_rate == 500);
    CHECK(info_of(method::get, "/rest/servicedeskapi/servicedesk/1/customer").default_rate == 5);
    CHECK(info_of(method::post, "/gira/1").default_rate == 150);
    CHECK(info_of(method::get, "/rest/api/3/myself").default_rate == 100);
    CHECK(info_of(method::post, "/rest/api/3/issue").default_rate == 100);
    CHECK(info_of(method::put, "/rest/api/3/issue/ABC-1").default_rate == 50);
    CHECK(info_of(method::delete_, "/rest/api/3/issue/ABC-1").default_rate == 50);
    CHECK(info_of(method::patch, "/any/thing").default_rate == 50);
}

TEST_CASE("route: only POSTs that change nothing read only") {
    for (auto const* path : {"search/jql", "search/approximate-count", "issue/bulkfetch", "changelog/bulkfetch",
                             "permissions/check", "jql/parse", "expression/evaluate", "worklog/list"}) {
        CAPTURE(path);
        CHECK(info_of(method::post, std::string("/rest/api/3/") + path).reads_only);
    }
    for (auto const* path : {"issue", "issue/bulk", "issue/ABC-1/comment", "issue/ABC-1/transitions", "issueLink",
                             "redact", "issue/archive", "bulk/issues/fields", "webhook", "filter", "nothing"}) {
        CAPTURE(path);
        CHECK_FALSE(info_of(method::post, std::string("/rest/api/3/") + path).reads_only);
    }
    CHECK_FALSE(info_of(method::post, "/gira/1").reads_only);  // a mutation is a POST as well
}

TEST_CASE("route: bulk operations, writes to an issue and unsafe PUTs are marked") {
    for (auto const* path : {"delete", "fields", "move", "transition"}) {
        CHECK(info_of(method::post, std::string("/rest/api/3/bulk/issues/") + path).bulk);
    }
    CHECK_FALSE(info_of(method::get, "/rest/api/3/bulk/issues/fields").bulk);
    CHECK_FALSE(info_of(method::get, "/rest/api/3/bulk/queue/1").bulk);

    CHECK(info_of(method::put, "/rest/api/3/issue/ABC-1").writes_issue);
    CHECK(info_of(method::delete_, "/rest/api/3/issue/ABC-1").writes_issue);
    for (auto const* path : {"comment", "transitions", "worklog", "attachments", "remotelink", "votes", "watchers"}) {
        CHECK(info_of(method::post, std::string("/rest/api/3/issue/ABC-1/") + path).writes_issue);
    }
    CHECK(info_of(method::put, "/rest/api/3/issue/ABC-1/assignee").writes_issue);
    CHECK(info_of(method::post, "/rest/servicedeskapi/request/HELP-3/comment").writes_issue);
    CHECK_FALSE(info_of(method::get, "/rest/api/3/issue/ABC-1").writes_issue);
    CHECK_FALSE(info_of(method::post, "/rest/api/3/issue").writes_issue);
    CHECK_FALSE(info_of(method::post, "/rest/api/3/issue/ABC-1/changelog/list").writes_issue);
    CHECK_FALSE(info_of(method::put, "/rest/api/3/issue/archive").writes_issue);

    CHECK(info_of(method::put, "/rest/api/3/issue/ABC-1").repeat_unsafe_put);
    CHECK(info_of(method::put, "/rest/api/3/notificationscheme/1/notification").repeat_unsafe_put);
    CHECK_FALSE(info_of(method::put, "/rest/api/3/issue/ABC-1/assignee").repeat_unsafe_put);
}

TEST_CASE("route: the table is sound") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < route_count(); ++i) {
        auto const& r = route(static_cast<route_id>(i));
        CAPTURE(r.name);
        CHECK(names.insert(r.name).second);
        CHECK(r.name.substr(0, r.name.find(' ')) == to_string(r.method));
        CHECK(r.method != method::head);
        CHECK(r.default_rate > 0);
        CHECK((!r.reads_only || r.method == method::post));
        CHECK((!r.bulk || r.method == method::post));
        CHECK((!r.repeat_unsafe_put || r.method == method::put));
        CHECK_FALSE((r.reads_only && (r.bulk || r.writes_issue)));
        CHECK((!r.writes_issue || (r.method != method::get && template_of(r).issue())));
    }
}

TEST_CASE("route: every template, filled in, classifies as itself") {
    reference const all;
    REQUIRE(all.templates().size() > 700);
    for (auto const& [id, t] : all.templates()) {
        for (std::string const sample : {"10001", "ABC-1", "%20", "{id}", "a.b;c=d"}) {
            for (auto const* version : {"2", "3", "latest"}) {
                auto path = t.segments;
                for (std::size_t i = 0; i < path.size(); ++i) {
                    if (is_parameter(path[i])) path[i] = t.api_version(i) ? version : sample;
                }
                std::string const target = join(path) + "?x=/y";
                CAPTURE(target, route(id).name);
                auto const match = classify_route(route(id).method, target);
                CHECK(match.route == id);
                CHECK(match.issue == (t.issue() ? sample : ""));
            }
        }
    }
}

TEST_CASE("route: paths made of the templates' own words classify as the description says") {
    std::uint64_t const seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    reference const all;
    std::vector<std::string> words{"10001", "ABC-1"};
    for (auto const& t : all.templates()) words.insert(words.end(), t.second.segments.begin(), t.second.segments.end());
    for (int n = 0; n < 5000; ++n) {
        auto const& [id, t] = all.templates()[random() % all.templates().size()];
        auto path = t.segments;
        for (auto& segment : path) {
            if (is_parameter(segment) || random() % 16 == 0) segment = words[random() % words.size()];
        }
        if (path.size() > 2 && path[1] == "api" && random() % 16 != 0) path[2] = "3";
        if (random() % 16 == 0) path.push_back(words[random() % words.size()]);
        std::string const target = join(path);
        CAPTURE(target);
        auto const expected = all.classify(route(id).method, path);
        auto const match = classify_route(route(id).method, target);
        CHECK(match.issue == (expected ? expected->issue : std::string_view()));
        if (expected) {
            CHECK(route(match.route).name == route(expected->route).name);
        } else {
            CHECK(is_fallback(route(match.route)));
        }
    }
}

TEST_CASE("route: any bytes at all classify as something") {
    std::uint64_t const seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    std::string_view const likely[] = {"/rest/api/3/issue/", "/rest", "/", "?", "//", "%2e%2e", "latest", "issue"};
    for (int n = 0; n < 50'000; ++n) {
        std::string text;
        for (auto parts = random() % 8; parts > 0; --parts) {
            if (random() % 2 == 0) {
                text += likely[random() % std::size(likely)];
            } else {
                for (auto bytes = random() % 12; bytes > 0; --bytes) text += static_cast<char>(random());
            }
        }
        // A vector of exactly that size: the sanitizer sees a step past its end.
        std::vector<char> const exact(text.begin(), text.end());
        std::string_view const target(exact.data(), exact.size());
        method const m = all_methods[random() % std::size(all_methods)];
        auto const match = classify_route(m, target);
        CAPTURE(text);
        REQUIRE(match.route < route_count());
        REQUIRE(route(match.route).method == (m == method::head ? method::get : m));
        if (!match.issue.empty()) {
            REQUIRE(match.issue.data() >= target.data());
            REQUIRE(match.issue.data() + match.issue.size() <= target.data() + target.size());
        }
    }
}

TEST_CASE("route: very long targets are fine") {
    std::string const big(1'000'000, 'x');
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "/rest";
    CHECK(name_of(method::get, "/" + big) == "GET other");
    CHECK(name_of(method::get, deep) == "GET other");
    CHECK(name_of(method::get, std::string(1'000'000, '/')) == "GET other");
    CHECK(name_of(method::get, "/rest/api/3/search/jql?jql=" + big) == "GET /rest/api/{version}/search/jql");
    CHECK(issue_of(method::get, "/rest/api/3/issue/" + big) == big);
}
