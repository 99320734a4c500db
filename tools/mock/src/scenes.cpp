#include "scenes.hpp"

#include "answers.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <utility>

namespace jirapool::mock {
namespace {

using std::chrono::seconds;

/// Whom Jira takes the caller for.
enum class caller : std::uint8_t { known, anonymous, unknown };

/** An answer as the table has it.

    Bodies are sent as they are. In headers stand, in braces, whole lines: `after` (Retry-After), `level` (limit and remaining of a
    bucket of 100), `reset` (X-RateLimit-Reset); and values: `seconds`, `more` (one second more), `date` (HTTP), `until` (ISO 8601),
    `minute` (the same without seconds), `host`. */
struct script {
    scene_info info;
    caller who = caller::unknown;
    std::string_view type;
    std::string_view body;
    std::string_view headers;
    /// RateLimit-Reason.
    std::string_view reason;
};

/// Stands for an empty list, in the shape that the request's route has for it.
constexpr std::string_view no_data = "(no data)";

constexpr std::string_view failed_login = "x-seraph-loginreason: AUTHENTICATED_FAILED\r\n";
constexpr std::string_view failed_login_challenge =
    "WWW-Authenticate: OAuth realm=\"https%3A%2F%2F{host}\"\r\nx-seraph-loginreason: AUTHENTICATED_FAILED\r\n";
constexpr std::string_view mismatch_challenge =
    "WWW-Authenticate: OAuth realm=\"https%3A%2F%2F{host}\"\r\nx-failure-category: FAILURE_CLIENT_AUTH_MISMATCH\r\n";
constexpr std::string_view no_scope = R"({"code":401,"message":"Unauthorized; scope does not match"})";
constexpr std::string_view gateway_401 = R"({"code":401,"message":"Unauthorized"})";
constexpr std::string_view absent =
    R"({"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}})";
constexpr std::string_view token_denied = R"({"error":"access_denied","error_description":"Unauthorized"})";
constexpr std::string_view bad_gateway_page =
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "</body>\r\n</html>\r\n";
constexpr std::string_view timeout_page =
    "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n<center><h1>504 Gateway "
    "Time-out</h1></center>\r\n"
    "</body>\r\n</html>\r\n";
constexpr std::string_view limited_page =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Too many requests</title></head>\n"
    "<body class=\" error-page error429\"><h1>Rate limit exceeded</h1></body></html>\n";

constexpr std::string_view burst = "jira-burst-based";

/// An enumerator and its name.
struct named {
    scene what;
    std::string_view name;
};

// By who answers. What is imitated ends each line of the table.
constexpr script anonymous(named n, int status, std::string_view body, std::string_view headers,
                           std::string_view imitates) {
    return {
        {n.what, n.name, imitates, scene_place::jira, status}, caller::anonymous, jira_json_type, body, headers, {}};
}
constexpr script refused(named n, int status, std::string_view type, std::string_view body, std::string_view headers,
                         std::string_view imitates) {
    return {{n.what, n.name, imitates, scene_place::jira, status}, caller::unknown, type, body, headers, {}};
}
constexpr script of_jira(named n, int status, std::string_view type, std::string_view body, std::string_view imitates) {
    return {{n.what, n.name, imitates, scene_place::jira, status}, caller::known, type, body, {}, {}};
}
constexpr script of_edge(named n, int status, std::string_view type, std::string_view body, std::string_view headers,
                         std::string_view imitates) {
    return {{n.what, n.name, imitates, scene_place::edge, status}, caller::unknown, type, body, headers, {}};
}
constexpr script limited(named n, std::string_view reason, std::string_view headers, std::string_view imitates,
                         std::string_view type = jira_json_type, std::string_view body = wording::rate_limited) {
    return {{n.what, n.name, imitates, scene_place::jira, 429}, caller::known, type, body, headers, reason};
}
constexpr script of_token_endpoint(named n, int status, std::string_view type, std::string_view body,
                                   std::string_view headers, std::string_view imitates) {
    return {{n.what, n.name, imitates, scene_place::token_endpoint, status}, caller::unknown, type, body, headers, {}};
}

// Shapes and their sources: core/doc/jira-cloud.md, 2.1, 2.3, 2.5, 3.1 and 3.3. Where nobody has told a body's words, they are
// made up in the shape that the host's other errors have.
// clang-format off: a table
#define NAMED(enumerator) named{scene::enumerator, #enumerator}
constexpr std::array<script, scene_count> table{{
    anonymous(NAMED(anonymous), 200, no_data, failed_login, "a bad API token where anybody may ask"),
    anonymous(NAMED(anonymous_denied), 200, no_data, "x-seraph-loginreason: AUTHENTICATION_DENIED\r\n", "a bad API token where anybody may ask, told the rarer way"),
    anonymous(NAMED(anonymous_404), 404, absent, failed_login, "a bad API token where anybody may ask, but not see this"),
    refused(NAMED(unauthorized), 401, jira_json_type, wording::must_authenticate, failed_login_challenge, "a bad API token on its site"),
    refused(NAMED(unauthorized_text), 401, text_type, "Client must be authenticated to access this resource.", failed_login_challenge,
            "a bad API token on its site, told in plain text"),
    refused(NAMED(unauthorized_gateway), 401, json_type, gateway_401, {}, "a bad, expired or revoked token on the gateway"),
    refused(NAMED(login_required), 401, text_type, "login required", {}, "a good credential taken for nobody's, right after 429s"),
    refused(NAMED(scope_mismatch), 401, json_type, no_scope, "x-failure-category: FAILURE_CLIENT_SCOPE_CHECK\r\n",
            "a token without the scope that the request needs"),
    refused(NAMED(scope_mismatch_body), 401, json_type, no_scope, {}, "a token without the scope, told in the body only"),
    refused(NAMED(scoped_token_on_site), 401, jira_json_type, wording::must_authenticate, mismatch_challenge,
            "an API token with scopes on the site's host"),
    refused(NAMED(bearer_on_site), 403, jira_json_type, wording::no_connect_token, {}, "a bearer token on the site's host"),
    refused(NAMED(app_not_installed), 403, json_type, R"({"code":403,"message":"The app is not installed on this instance"})", {},
            "a token that is not for this cloud id"),
    refused(NAMED(expired_403), 403, json_type, R"({"code":403,"message":"Forbidden"})", {}, "an expired access token, as some saw it"),
    refused(NAMED(expired_404), 404, json_type, R"({"code":404,"message":"Not Found"})", {}, "an expired access token, as others saw it"),
    refused(NAMED(unknown_cloud_401), 401, json_type, no_scope, {}, "a cloud id that the gateway does not know, by one report"),
    refused(NAMED(unknown_cloud_404), 404, json_type, R"({"code":404,"message":"No tenant found for this cloud id"})", {},
            "a cloud id that the gateway does not know, by another report"),

    of_jira(NAMED(forbidden), 403, jira_json_type,
            R"({"errorMessages":["You do not have permission to perform this operation."],"errors":{}})", "a permission that the account lacks"),
    of_jira(NAMED(not_found), 404, jira_json_type, absent, "something absent, or hidden from the account"),
    of_jira(NAMED(conflict), 409, jira_json_type,
            R"({"errorMessages":["The issue was changed by another request at the same time."],"errors":{}})", "two writes to one issue at once"),
    of_jira(NAMED(removed_endpoint), 410, jira_json_type, wording::removed_search, "an operation that Atlassian has removed"),
    of_jira(NAMED(too_large), 413, jira_json_type,
            R"({"errorMessages":["The attachment exceeds its maximum permitted size."],"errors":{}})", "an attachment above the limit"),
    of_jira(NAMED(xsrf), 403, text_type, wording::no_xsrf, "a write that looks like a browser's"),

    of_edge(NAMED(site_gone), 404, html_type, wording::page_unavailable, {}, "a site that was renamed or suspended, or trouble of its edge"),
    of_edge(NAMED(edge_html_400), 400, "text/html", wording::not_satisfied, wording::not_satisfied_headers, "CloudFront dislikes the request"),
    of_edge(NAMED(edge_html_403), 403, "text/html", wording::not_satisfied, wording::not_satisfied_headers, "CloudFront's firewall dislikes the request"),
    of_edge(NAMED(edge_html_405), 405, html_type, wording::not_allowed, {}, "an incident of the edge: nginx refuses every request"),
    of_edge(NAMED(unavailable), 503, jira_json_type, wording::unavailable, {}, "Jira is down for a while"),
    of_edge(NAMED(unavailable_retry_after), 503, jira_json_type, wording::unavailable, "{after}", "Jira is down and says how long"),
    of_edge(NAMED(bad_gateway), 502, html_type, bad_gateway_page, {}, "the edge does not understand Jira"),
    of_edge(NAMED(gateway_timeout), 504, html_type, timeout_page, {}, "the edge waited for Jira in vain"),

    limited(NAMED(limited_burst), burst, "{after}{level}{reset}RateLimit-Policy: \"jira-burst-based\";q=100;w=1\r\n",
            "requests a second to one route"),
    limited(NAMED(limited_issue_writes), "jira-per-issue-on-write",
            "{after}X-RateLimit-Limit: 20\r\nX-RateLimit-Remaining: 0\r\n{reset}", "writes to one issue"),
    limited(NAMED(limited_quota_tenant), "jira-quota-tenant-based",
            "{after}X-RateLimit-Limit: 100000\r\nX-RateLimit-Remaining: 0\r\n{reset}X-RateLimit-NearLimit: true\r\n"
            "RateLimit-Policy: \"tenant-app-quota\";q=100000;w=3600\r\nRateLimit: \"tenant-app-quota\";r=0;t={seconds}\r\n",
            "points an hour of one app at one site"),
    limited(NAMED(limited_quota_global), "jira-quota-global-based",
            "{after}X-RateLimit-Limit: 65000\r\nX-RateLimit-Remaining: 0\r\n{reset}X-RateLimit-NearLimit: true\r\n"
            "RateLimit-Policy: \"global-app-quota\";q=65000;w=3600\r\n"
            "RateLimit: \"global-app-quota\";r=0;t={seconds},\"jira-burst-based\";r=90;t=1\r\n",
            "points an hour of one app over all sites"),
    limited(NAMED(limited_quota), "jira-quota-based", "{after}{reset}", "points, by an older document"),
    limited(NAMED(limited_cost), "jira-cost-based",
            "{after}X-RateLimit-Limit: 300000\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: {minute}\r\n",
            "what an account may cost its site in an hour"),
    limited(NAMED(limited_concurrency), "jira-max-concurrent-threads-across-all-instances-per-tenant-per-user", "{after}",
            "requests of an account at a time"),
    limited(NAMED(limited_confluence), "confluence-quota-tenant-based", "{after}{reset}", "points of another product"),
    limited(NAMED(limited_confluence_global), "confluence-quota-global-based", "{after}{reset}", "another product's points over all sites"),
    limited(NAMED(limited_unknown_reason), "jira-unheard-of-based", "{after}", "a limit of tomorrow"),
    limited(NAMED(limited_no_reason), {}, "{after}", "a limit that does not say which"),
    limited(NAMED(limited_gateway), {},
            "X-Failure-Category: FAILURE CLIENT RATE LIMITED\r\nX-Ratelimit-Limit: 360000\r\nX-Ratelimit-Remaining: 0\r\n"
            "X-Ratelimit-Reset: {until}\r\n",
            "the gateway's own limit, as in an incident", json_type, R"({"code":429,"message":"Too Many Requests"})"),

    limited(NAMED(limited_no_retry_after), burst, "{level}", "a limit that does not say how long"),
    limited(NAMED(limited_issue_writes_untold), "jira-per-issue-on-write", {}, "writes to one issue, without a time"),
    limited(NAMED(limited_quota_tenant_untold), "jira-quota-tenant-based",
            "X-RateLimit-NearLimit: true\r\nRateLimit: \"tenant-app-quota\";r=0;t=4300\r\n",
            "points at one site, told by a quota's figures alone, and those too high"),
    limited(NAMED(limited_quota_global_untold), "jira-quota-global-based", {}, "points over all sites, without a time"),
    limited(NAMED(limited_cost_untold), "jira-cost-based", {}, "what an account may cost, without a time"),
    limited(NAMED(limited_concurrency_untold), "jira-max-concurrent-threads-across-all-instances-per-tenant-per-user", {},
            "requests of an account at a time, without a time"),
    limited(NAMED(limited_confluence_untold), "confluence-quota-tenant-based", {}, "points of another product, without a time"),
    limited(NAMED(limited_unknown_reason_untold), "jira-unheard-of-based", {}, "a limit of tomorrow, without a time"),
    limited(NAMED(limited_retry_after_zero), burst, "Retry-After: 0\r\n{level}", "a wait of nothing"),
    limited(NAMED(limited_retry_after_zero_reset), burst, "Retry-After: 0\r\n{reset}", "a wait of nothing, and when it is over"),
    limited(NAMED(limited_retry_after_date), burst, "Retry-After: {date}\r\n{level}", "a wait until a date"),
    limited(NAMED(limited_retry_after_garbage), burst, "Retry-After: soon\r\n{level}", "a wait that nobody can read"),
    limited(NAMED(limited_retry_after_huge), burst, "Retry-After: 99999999999999999999999999\r\n{level}", "a wait beyond 64 bits"),
    limited(NAMED(limited_quota_retry_after_huge), "jira-quota-tenant-based", "Retry-After: 99999999999999999999999999\r\n",
            "points at one site, and a wait beyond 64 bits"),
    limited(NAMED(limited_retry_after_twice), burst, "{after}Retry-After: {more}\r\n{level}", "two waits that differ"),
    limited(NAMED(limited_retry_after_twice_bad), burst, "Retry-After: soon\r\n{after}", "two waits, one of which nobody can read"),
    limited(NAMED(limited_reset), burst, "{level}{reset}", "a limit that tells only when it is over"),
    limited(NAMED(limited_reset_minute), burst, "{level}X-RateLimit-Reset: {minute}\r\n", "a limit that tells the minute at which it is over"),
    limited(NAMED(limited_reset_past), burst, "X-RateLimit-Reset: 2026-01-01T01:01:01Z\r\n", "a limit that was over long ago, by its own word"),
    limited(NAMED(limited_reset_garbage), burst, "X-RateLimit-Reset: tomorrow\r\n", "an end that nobody can read"),

    limited(NAMED(limited_html), {}, "{after}", "a limit's page for people", html_type, limited_page),
    limited(NAMED(limited_empty), {}, {}, "a limit that says nothing at all", {}, {}),
    script{{scene::limited_beta, "limited_beta", "a limit that is not enforced yet: the call is answered", scene_place::jira, 200},
           caller::known, {}, {},
           "Beta-Retry-After: {seconds}\r\nX-Beta-RateLimit-Limit: 65000\r\nX-Beta-RateLimit-Remaining: 0\r\n"
           "X-Beta-RateLimit-Reset: {until}\r\nX-Beta-RateLimit-NearLimit: true\r\n"
           "X-Beta-RateLimit-Reason: jira-quota-global-based\r\n"
           "Beta-RateLimit-Policy: \"global-app-quota\";q=65000;w=3600\r\n"
           "Beta-RateLimit: \"global-app-quota\";r=0;t={seconds}\r\n", {}},
    limited(NAMED(limited_beta_only), {},
            "Beta-Retry-After: {seconds}\r\nX-Beta-RateLimit-Reset: {until}\r\nX-Beta-RateLimit-Reason: jira-quota-global-based\r\n"
            "Beta-RateLimit: \"global-app-quota\";r=0;t={seconds}\r\n",
            "a limit that tells nothing, beside one that is not enforced yet"),
    limited(NAMED(limited_beta_beside), burst,
            "{after}{level}Beta-Retry-After: 3000\r\nX-Beta-RateLimit-Reason: jira-quota-global-based\r\n"
            "Beta-RateLimit: \"global-app-quota\";r=0;t=3000\r\n",
            "a limit beside a longer one that is not enforced yet"),

    of_token_endpoint(NAMED(token_access_denied_401), 401, json_type, token_denied, {}, "a wrong client secret"),
    of_token_endpoint(NAMED(token_access_denied_403), 403, json_type, token_denied, {}, "a wrong client secret, by another report"),
    of_token_endpoint(NAMED(token_invalid_client_400), 400, json_type,
                      R"({"error":"invalid_client","error_description":"Unknown client"})", {}, "an unknown client id"),
    of_token_endpoint(NAMED(token_gateway_401), 401, json_type, gateway_401, {}, "a refusal by what stands before the endpoint"),
    of_token_endpoint(NAMED(token_limited_429), 429, text_type, "Too Many Requests", {}, "a limit, of which nothing is documented"),
    of_token_endpoint(NAMED(token_limited_429_retry_after), 429, text_type, "Too Many Requests", "{after}",
                      "a limit that says how long"),
    of_token_endpoint(NAMED(token_unavailable_503), 503, json_type,
                      R"({"error":"temporarily_unavailable","error_description":"Service Unavailable"})", {},
                      "the endpoint is down for a while"),
    of_token_endpoint(NAMED(token_html_502), 502, html_type, bad_gateway_page, {}, "the edge does not understand the endpoint"),
}};
#undef NAMED
// clang-format on

constexpr bool is_in_order() noexcept {
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (static_cast<std::size_t>(table[i].info.what) != i) return false;
    }
    return true;
}
static_assert(is_in_order());

script const& script_of(scene s) noexcept { return table[static_cast<std::size_t>(s)]; }

std::string_view empty_list(route r) noexcept {
    return r == route::search_by_get || r == route::search_by_post ? R"({"issues":[],"isLast":true})" : "[]";
}

void append_headers(script const& s, seconds wait, visit const& v, std::string& out) {
    wall_time const over = std::chrono::ceil<seconds>(v.now.wall) + wait;
    std::string const until = iso8601(over);
    std::string const minute = iso8601(std::chrono::ceil<std::chrono::minutes>(over)).substr(0, 16) + 'Z';
    fmt::format_to(std::back_inserter(out), fmt::runtime(s.headers),
                   fmt::arg("after", fmt::format("Retry-After: {}\r\n", wait.count())),
                   fmt::arg("level", "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 0\r\n"),
                   fmt::arg("reset", fmt::format("X-RateLimit-Reset: {}\r\n", until)),
                   fmt::arg("seconds", wait.count()), fmt::arg("more", wait.count() + 1),
                   fmt::arg("date", http_date(over)), fmt::arg("until", until), fmt::arg("minute", minute),
                   fmt::arg("host", v.r.host));
    if (!s.reason.empty()) fmt::format_to(std::back_inserter(out), "RateLimit-Reason: {}\r\n", s.reason);
}

}  // namespace

std::vector<scene_info> list_scenes() {
    std::vector<scene_info> all;
    for (script const& s : table) all.push_back(s.info);
    return all;
}

std::string_view to_string(scene s) noexcept { return script_of(s).info.name; }

std::optional<scene> find_scene(std::string_view name) noexcept {
    auto const it = std::find_if(table.begin(), table.end(), [name](script const& s) { return s.info.name == name; });
    if (it == table.end()) return std::nullopt;
    return it->info.what;
}

char const* why_invalid(scene_request const& r) noexcept {
    if (static_cast<std::size_t>(r.what) >= scene_count) return "scene_request::what must be a scene";
    if (r.times && (*r.times < 1 || *r.times > 1'000'000'000)) return "scene_request::times must be 1 to 1,000,000,000";
    if (r.wait < seconds{0} || r.wait > std::chrono::hours{24}) return "scene_request::wait must be 0 s to a day";
    return nullptr;
}

scene_place place_of(scene s) noexcept { return script_of(s).info.where; }

bool adds_to_own_answer(scene s) noexcept { return s == scene::limited_beta; }

void perform(scene_request const& r, visit& v, world const& w, reply& out) {
    script const& s = script_of(r.what);
    if (!adds_to_own_answer(r.what)) {
        std::string_view const body = s.body == no_data ? empty_list(v.match.id) : s.body;
        out = simple(s.info.status, s.type, body);
        if (s.who == caller::known && v.shown.is_good) v.caller = v.shown.connection;
        if (s.info.where == scene_place::jira) add_common_headers(v, w, out);
        // Only now: the common headers of an anonymous answer have a login reason of their own.
        v.is_anonymous = s.who == caller::anonymous;
    }
    append_headers(s, r.wait, v, out.headers);
    if (s.info.status == 429) v.limited_by = s.reason.empty() ? "(none)" : s.reason;
}

}  // namespace jirapool::mock
