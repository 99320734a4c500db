#include "support/catch.hpp"

#include "unit/mock/ask.hpp"

#include <jirapool/mock/scenes.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

/// What an answer is known by.
struct expected {
    scene what;
    int status;
    /// Lines of its head, without the ends of lines at both sides.
    std::string_view head;
    std::string_view body;
};

constexpr std::string_view limited_body =
    R"({"errorMessages":["The request has been rate-limited. Please try again later."],"errors":{},"status":429})";

// clang-format off: a table
constexpr expected answers[] = {
    {scene::anonymous, 200, "x-seraph-loginreason: AUTHENTICATED_FAILED", "[]"},
    {scene::anonymous_denied, 200, "x-seraph-loginreason: AUTHENTICATION_DENIED", "[]"},
    {scene::anonymous_404, 404, "x-seraph-loginreason: AUTHENTICATED_FAILED", R"({"errorMessages":["Issue does not exist)"},
    {scene::unauthorized, 401, "WWW-Authenticate: OAuth realm=\"https%3A%2F%2Fsite-0001.atlassian.net\"\r\nx-seraph-loginreason: AUTHENTICATED_FAILED",
     R"({"message":"Client must be authenticated to access this resource.","status-code":401})"},
    {scene::unauthorized_text, 401, "Content-Type: text/plain;charset=UTF-8", "Client must be authenticated to access this resource."},
    {scene::unauthorized_gateway, 401, "Content-Type: application/json", R"({"code":401,"message":"Unauthorized"})"},
    {scene::login_required, 401, "Content-Type: text/plain;charset=UTF-8", "login required"},
    {scene::scope_mismatch, 401, "x-failure-category: FAILURE_CLIENT_SCOPE_CHECK", R"({"code":401,"message":"Unauthorized; scope does not match"})"},
    {scene::scope_mismatch_body, 401, "Content-Type: application/json", R"({"code":401,"message":"Unauthorized; scope does not match"})"},
    {scene::scoped_token_on_site, 401, "x-failure-category: FAILURE_CLIENT_AUTH_MISMATCH", R"({"message":"Client must be)"},
    {scene::bearer_on_site, 403, "", R"({"error": "Failed to parse Connect Session Auth Token"})"},
    {scene::app_not_installed, 403, "", R"({"code":403,"message":"The app is not installed on this instance"})"},
    {scene::expired_403, 403, "", R"({"code":403,"message":"Forbidden"})"},
    {scene::expired_404, 404, "", R"({"code":404,"message":"Not Found"})"},
    {scene::unknown_cloud_401, 401, "", R"({"code":401,"message":"Unauthorized; scope does not match"})"},
    {scene::unknown_cloud_404, 404, "", R"({"code":404,"message":"No tenant found for this cloud id"})"},
    {scene::forbidden, 403, "X-AAccountId: ", R"({"errorMessages":["You do not have permission)"},
    {scene::not_found, 404, "X-AAccountId: ", R"({"errorMessages":["Issue does not exist)"},
    {scene::conflict, 409, "X-AAccountId: ", R"({"errorMessages":["The issue was changed)"},
    {scene::removed_endpoint, 410, "X-AAccountId: ", R"({"errorMessages":["The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.)"},
    {scene::too_large, 413, "X-AAccountId: ", R"({"errorMessages":["The attachment exceeds)"},
    {scene::xsrf, 403, "Content-Type: text/plain;charset=UTF-8", "XSRF check failed"},
    {scene::site_gone, 404, "Content-Type: text/html; charset=UTF-8", "Atlassian Cloud Notifications - Page Unavailable"},
    {scene::edge_html_400, 400, "X-Cache: Error from cloudfront", "ERROR: The request could not be satisfied"},
    {scene::edge_html_403, 403, "X-Cache: Error from cloudfront", "ERROR: The request could not be satisfied"},
    {scene::edge_html_405, 405, "Content-Type: text/html; charset=UTF-8", "<hr><center>nginx</center>"},
    {scene::unavailable, 503, "Content-Type: application/json;charset=UTF-8", R"({"code":503,"message":"Service Unavailable"})"},
    {scene::unavailable_retry_after, 503, "Retry-After: 7", R"({"code":503,"message":"Service Unavailable"})"},
    {scene::bad_gateway, 502, "Content-Type: text/html; charset=UTF-8", "<title>502 Bad Gateway</title>"},
    {scene::gateway_timeout, 504, "Content-Type: text/html; charset=UTF-8", "<title>504 Gateway Time-out</title>"},
    {scene::limited_burst, 429, "Retry-After: 7\r\nX-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 2027-01-15T08:00:07Z\r\n"
     "RateLimit-Policy: \"jira-burst-based\";q=100;w=1\r\nRateLimit-Reason: jira-burst-based", limited_body},
    {scene::limited_issue_writes, 429, "X-RateLimit-Reset: 2027-01-15T08:00:07Z\r\nRateLimit-Reason: jira-per-issue-on-write", limited_body},
    {scene::limited_quota_tenant, 429, "RateLimit-Policy: \"tenant-app-quota\";q=100000;w=3600\r\nRateLimit: \"tenant-app-quota\";r=0;t=7\r\n"
     "RateLimit-Reason: jira-quota-tenant-based", limited_body},
    {scene::limited_quota_global, 429, "RateLimit: \"global-app-quota\";r=0;t=7,\"jira-burst-based\";r=90;t=1\r\nRateLimit-Reason: jira-quota-global-based",
     limited_body},
    {scene::limited_quota, 429, "RateLimit-Reason: jira-quota-based", limited_body},
    {scene::limited_cost, 429, "X-RateLimit-Reset: 2027-01-15T08:01Z\r\nRateLimit-Reason: jira-cost-based", limited_body},
    {scene::limited_concurrency, 429, "RateLimit-Reason: jira-max-concurrent-threads-across-all-instances-per-tenant-per-user", limited_body},
    {scene::limited_confluence, 429, "RateLimit-Reason: confluence-quota-tenant-based", limited_body},
    {scene::limited_confluence_global, 429, "Retry-After: 7\r\nX-RateLimit-Reset: 2027-01-15T08:00:07Z\r\nRateLimit-Reason: confluence-quota-global-based", limited_body},
    {scene::limited_unknown_reason, 429, "Retry-After: 7\r\nRateLimit-Reason: jira-unheard-of-based", limited_body},
    {scene::limited_no_reason, 429, "Retry-After: 7", limited_body},
    {scene::limited_gateway, 429, "X-Failure-Category: FAILURE CLIENT RATE LIMITED\r\nX-Ratelimit-Limit: 360000\r\nX-Ratelimit-Remaining: 0\r\n"
     "X-Ratelimit-Reset: 2027-01-15T08:00:07Z", R"({"code":429,)"},
    {scene::limited_no_retry_after, 429, "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 0\r\nRateLimit-Reason: jira-burst-based", limited_body},
    {scene::limited_issue_writes_untold, 429, "RateLimit-Reason: jira-per-issue-on-write", limited_body},
    {scene::limited_quota_tenant_untold, 429, "RateLimit: \"tenant-app-quota\";r=0;t=4300\r\nRateLimit-Reason: jira-quota-tenant-based", limited_body},
    {scene::limited_quota_global_untold, 429, "RateLimit-Reason: jira-quota-global-based", limited_body},
    {scene::limited_cost_untold, 429, "RateLimit-Reason: jira-cost-based", limited_body},
    {scene::limited_concurrency_untold, 429, "RateLimit-Reason: jira-max-concurrent-threads-across-all-instances-per-tenant-per-user", limited_body},
    {scene::limited_confluence_untold, 429, "RateLimit-Reason: confluence-quota-tenant-based", limited_body},
    {scene::limited_unknown_reason_untold, 429, "RateLimit-Reason: jira-unheard-of-based", limited_body},
    {scene::limited_retry_after_zero, 429, "Retry-After: 0", limited_body},
    {scene::limited_retry_after_zero_reset, 429, "Retry-After: 0\r\nX-RateLimit-Reset: 2027-01-15T08:00:07Z", limited_body},
    {scene::limited_retry_after_date, 429, "Retry-After: Fri, 15 Jan 2027 08:00:07 GMT", limited_body},
    {scene::limited_retry_after_garbage, 429, "Retry-After: soon", limited_body},
    {scene::limited_retry_after_huge, 429, "Retry-After: 99999999999999999999999999", limited_body},
    {scene::limited_quota_retry_after_huge, 429, "Retry-After: 99999999999999999999999999\r\nRateLimit-Reason: jira-quota-tenant-based", limited_body},
    {scene::limited_retry_after_twice, 429, "Retry-After: 7\r\nRetry-After: 8", limited_body},
    {scene::limited_retry_after_twice_bad, 429, "Retry-After: soon\r\nRetry-After: 7", limited_body},
    {scene::limited_reset, 429, "X-RateLimit-Reset: 2027-01-15T08:00:07Z", limited_body},
    {scene::limited_reset_minute, 429, "X-RateLimit-Reset: 2027-01-15T08:01Z", limited_body},
    {scene::limited_reset_past, 429, "X-RateLimit-Reset: 2026-01-01T01:01:01Z", limited_body},
    {scene::limited_reset_garbage, 429, "X-RateLimit-Reset: tomorrow", limited_body},
    {scene::limited_html, 429, "Content-Type: text/html; charset=UTF-8", "<body class=\" error-page error429\">"},
    {scene::limited_empty, 429, "Content-Length: 0", ""},
    {scene::limited_beta, 200, "Beta-Retry-After: 7\r\nX-Beta-RateLimit-Limit: 65000\r\nX-Beta-RateLimit-Remaining: 0\r\n"
     "X-Beta-RateLimit-Reset: 2027-01-15T08:00:07Z\r\nX-Beta-RateLimit-NearLimit: true\r\n"
     "X-Beta-RateLimit-Reason: jira-quota-global-based\r\nBeta-RateLimit-Policy: \"global-app-quota\";q=65000;w=3600\r\n"
     "Beta-RateLimit: \"global-app-quota\";r=0;t=7", R"("accountType":"atlassian")"},
    {scene::limited_beta_only, 429, "Beta-Retry-After: 7\r\nX-Beta-RateLimit-Reset: 2027-01-15T08:00:07Z", limited_body},
    {scene::limited_beta_beside, 429, "Retry-After: 7\r\nX-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 0\r\nBeta-Retry-After: 3000", limited_body},
    {scene::token_access_denied_401, 401, "", R"({"error":"access_denied","error_description":"Unauthorized"})"},
    {scene::token_access_denied_403, 403, "", R"({"error":"access_denied","error_description":"Unauthorized"})"},
    {scene::token_invalid_client_400, 400, "", R"({"error":"invalid_client","error_description":"Unknown client"})"},
    {scene::token_gateway_401, 401, "", R"({"code":401,"message":"Unauthorized"})"},
    {scene::token_limited_429, 429, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length", "Too Many Requests"},
    {scene::token_limited_429_retry_after, 429, "Retry-After: 7", "Too Many Requests"},
    {scene::token_unavailable_503, 503, "", R"({"error":"temporarily_unavailable",)"},
    {scene::token_html_502, 502, "Content-Type: text/html; charset=UTF-8", "<title>502 Bad Gateway</title>"},
};
// clang-format on

ask myself(app const& a, connection_info const& c) { return ask("GET", host_of(a, c), "/rest/api/3/myself").basic(c); }

std::string sent(reply const& r) {
    std::string text;
    render(r, false, true, t0.wall, text);
    return text;
}

scene_request once(scene what) {
    scene_request r;
    r.what = what;
    r.times = 1;
    r.wait = 7s;
    return r;
}

std::size_t index_of(app const& a, std::string_view id) {
    return static_cast<std::size_t>(a.world().find(id) - a.world().connections().data());
}

TEST_CASE("mock scenes: each answers with its status, its tell-tale and its body, once") {
    REQUIRE(std::size(answers) == scene_count);
    std::vector<scene_info> const all = list_scenes();
    REQUIRE(all.size() == scene_count);
    app a(small());
    connection_info const& personal = *a.world().find("personal-0001");
    connection_info const& oauth = *a.world().find("oauth-0001");
    for (std::size_t i = 0; i < scene_count; ++i) {
        expected const& e = answers[i];
        INFO(to_string(e.what));
        REQUIRE(static_cast<std::size_t>(e.what) == i);
        CHECK(all[i].what == e.what);
        CHECK(all[i].status == e.status);
        CHECK(find_scene(all[i].name) == e.what);
        REQUIRE(a.stage().play(once(e.what)) == nullptr);
        bool const is_token = all[i].where == scene_place::token_endpoint;
        ask const request = is_token ? exchange(oauth) : myself(a, personal);
        std::string const text = sent(request.of(a));
        std::size_t const end = text.find("\r\n\r\n");
        REQUIRE(end != std::string::npos);
        std::string const head = text.substr(0, end + 2);
        CHECK(head.starts_with("HTTP/1.1 " + std::to_string(e.status) + ' '));
        CHECK(has(head, e.head));
        CHECK(has(text.substr(end + 4), e.body));
        CHECK(a.stage().playing_count() == 0);
        CHECK(request.of(a).status == 200);
    }
    CHECK(a.snapshot().scenes == scene_count);
}

TEST_CASE("mock scenes: what makes a limit's answer hard is really absent from it") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    auto const head = [&](scene what) {
        a.stage().play(once(what));
        return lower(myself(a, c).of(a).headers);
    };
    CHECK_FALSE(has(head(scene::limited_no_reason), "ratelimit"));
    CHECK_FALSE(has(head(scene::limited_gateway), "retry-after"));
    CHECK_FALSE(has(head(scene::limited_gateway), "ratelimit-reason"));
    for (scene const untold :
         {scene::limited_no_retry_after, scene::limited_issue_writes_untold, scene::limited_quota_tenant_untold,
          scene::limited_quota_global_untold, scene::limited_cost_untold, scene::limited_concurrency_untold,
          scene::limited_confluence_untold, scene::limited_unknown_reason_untold}) {
        INFO(to_string(untold));
        std::string const without = head(untold);
        CHECK_FALSE(has(without, "retry-after"));
        CHECK_FALSE(has(without, "ratelimit-reset"));
    }
    CHECK_FALSE(has(head(scene::limited_reset), "retry-after"));
    CHECK_FALSE(has(head(scene::limited_html), "ratelimit"));
    std::string const empty = head(scene::limited_empty);
    CHECK_FALSE(has(empty, "retry-after"));
    CHECK_FALSE(has(empty, "ratelimit"));
    std::string const beta = head(scene::limited_beta);
    CHECK_FALSE(has(beta, "\r\nretry-after"));
    CHECK_FALSE(has(beta, "\r\nratelimit-reason"));
    CHECK_FALSE(has(beta, "\r\nx-ratelimit-reset"));
}

TEST_CASE("mock scenes: an anonymous answer names no account, and is counted as one") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    a.stage().play(once(scene::anonymous));
    reply const r = ask("POST", host_of(a, c), "/rest/api/3/search/jql").basic(c).body("{}").of(a);
    CHECK(r.status == 200);
    CHECK(r.body == R"({"issues":[],"isLast":true})");
    CHECK_FALSE(has(r.headers, "X-AAccountId"));
    CHECK(r.headers.find("x-seraph-loginreason") == r.headers.rfind("x-seraph-loginreason"));
    CHECK(a.snapshot().anonymous_answers == 1);
    CHECK(a.snapshot().connections[0].requests == 0);
}

TEST_CASE("mock scenes: limits are counted by their reason, and for whom they held") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    for (scene const s : {scene::limited_cost, scene::limited_empty, scene::limited_html}) {
        a.stage().play(once(s));
        myself(a, c).of(a);
    }
    stats const s = a.snapshot();
    CHECK(s.limited.at("jira-cost-based") == 1);
    CHECK(s.limited.at("(none)") == 2);
    CHECK(s.limited_total == 3);
    CHECK(s.connections[0].limited == 3);
    CHECK(s.bucket_admitted == 0);
}

TEST_CASE("mock scenes: one of a site meets both ways to it and no other site, and plays until it is ended") {
    params p = small();
    app a(p);
    connection_info const& personal = *a.world().find("personal-0002");
    connection_info const& service = *a.world().find("service-0001");
    REQUIRE(personal.site == 1);
    REQUIRE(service.site == 1);
    scene_request r;
    r.what = scene::forbidden;
    r.site = 1;
    REQUIRE(a.stage().play(r) == nullptr);
    auto const through_gateway = [&] {
        return ask("GET", "api.atlassian.com", gateway_path(a, 1, "/rest/api/3/myself")).bearer(service.secret).of(a);
    };
    for (int i = 0; i < 3; ++i) {
        CHECK(myself(a, personal).of(a).status == 403);
        CHECK(through_gateway().status == 403);
        CHECK(myself(a, *a.world().find("personal-0001")).of(a).status == 200);
    }
    a.stage().end_all();
    CHECK(myself(a, personal).of(a).status == 200);
    CHECK(through_gateway().status == 200);
}

TEST_CASE("mock scenes: one of a connection meets the requests that show its credential, and its exchanges") {
    app a(small());
    connection_info const& first = *a.world().find("oauth-0001");
    connection_info const& second = *a.world().find("oauth-0002");
    std::string const token = token_of(exchange(first).of(a));
    scene_request r = once(scene::unauthorized_gateway);
    r.connection = index_of(a, first.id);
    REQUIRE(a.stage().play(r) == nullptr);
    // An exchange is no request to the API.
    CHECK(exchange(first).of(a).status == 200);
    CHECK(
        ask("GET", "api.atlassian.com", gateway_path(a, first.site, "/rest/api/3/myself")).bearer(token).of(a).status ==
        401);
    r.what = scene::token_access_denied_403;
    REQUIRE(a.stage().play(r) == nullptr);
    CHECK(exchange(second).of(a).status == 200);
    CHECK(
        ask("GET", "api.atlassian.com", gateway_path(a, first.site, "/rest/api/3/myself")).bearer(token).of(a).status ==
        200);
    CHECK(exchange(first).of(a).status == 403);
    CHECK(exchange(first).of(a).status == 200);

    scene_request of_site;
    of_site.what = scene::token_html_502;
    of_site.site = second.site;
    REQUIRE(a.stage().play(of_site) == nullptr);
    CHECK(exchange(first).of(a).status == 200);
    CHECK(exchange(second).of(a).status == 502);
}

TEST_CASE("mock scenes: several play in the order in which they were begun") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    scene_request r = once(scene::unavailable);
    r.times = 2;
    a.stage().play(r);
    a.stage().play(once(scene::bad_gateway));
    CHECK(a.stage().playing_count() == 2);
    CHECK(myself(a, c).of(a).status == 503);
    CHECK(myself(a, c).of(a).status == 503);
    CHECK(myself(a, c).of(a).status == 502);
    CHECK(myself(a, c).of(a).status == 200);
}

TEST_CASE("mock scenes: Jira's leave tenant_info and other hosts alone, the edge's leave other hosts alone") {
    app a(small());
    ask const tenant_info("GET", "site-0001.atlassian.net", "/_edge/tenant_info");
    scene_request r;
    r.what = scene::unauthorized;
    a.stage().play(r);
    CHECK(tenant_info.of(a).status == 200);
    r.what = scene::site_gone;
    a.stage().play(r);
    CHECK(tenant_info.of(a).status == 404);
    CHECK(ask("GET", "auth.atlassian.com", "/").of(a).status == 404);
    CHECK(exchange(*a.world().find("oauth-0001")).of(a).status == 200);
    CHECK(a.snapshot().scenes == 1);
}

TEST_CASE("mock scenes: they come behind the intercept and before all else") {
    params p = small();
    p.intercept = [](request_view const& r) -> std::optional<scripted_reply> {
        return r.header("X-Script").empty() ? std::nullopt : std::optional(scripted_reply(299));
    };
    app a(p);
    connection_info const& c = *a.world().find("personal-0001");
    a.stage().play(once(scene::conflict));
    CHECK(myself(a, c).with("x-script", "1").of(a).scripted);
    CHECK(a.stage().playing_count() == 1);
    // The handshake's name is another: the edge itself would say 421.
    CHECK(myself(a, c).sni("site-0002.atlassian.net").of(a).status == 409);
}

TEST_CASE("mock scenes: what could never play, or no longer makes sense, is refused with the member's name") {
    app a(small());
    auto const refused = [&](scene_request const& r) -> std::string {
        char const* const problem = a.stage().play(r);
        return problem ? problem : "";
    };
    scene_request r;
    r.times = 0;
    CHECK(refused(r) == "scene_request::times must be 1 to 1,000,000,000");
    r = {};
    r.wait = -1s;
    CHECK(refused(r) == "scene_request::wait must be 0 s to a day");
    r = {};
    r.what = static_cast<scene>(scene_count);
    CHECK(refused(r) == "scene_request::what must be a scene");
    r = {};
    r.site = 3;
    CHECK(refused(r) == "scene_request::site must be an index into world::sites()");
    r = {};
    r.connection = 9;
    CHECK(refused(r) == "scene_request::connection must be an index into world::connections()");
    r.connection = 0;
    r.site = 1;
    CHECK(refused(r) == "scene_request::site must be the connection's");
    r.site = 0;
    r.what = scene::token_html_502;
    CHECK(has(refused(r), "scene_request::connection must be an OAuth connection"));
    CHECK(a.stage().playing_count() == 0);
    CHECK_FALSE(find_scene("anonymou"));
    CHECK_FALSE(find_scene(""));

    r = once(scene::anonymous);
    for (std::size_t i = 0; i < stage::max_playing; ++i) REQUIRE(refused(r).empty());
    CHECK(refused(r) == "at most 1000 scenes play at a time");
}

}  // namespace
