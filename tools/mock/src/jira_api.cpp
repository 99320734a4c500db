#include "jira_api.hpp"

#include "answers.hpp"
#include "injection.hpp"
#include "text.hpp"
#include "webhooks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <utility>

namespace jirapool::mock {
namespace {

using std::chrono::seconds;

bool looks_like_a_browsers_write(request_view const& r) {
    bool const writes = r.method == "POST" || r.method == "PUT" || r.method == "DELETE";
    return writes && (!r.header("origin").empty() || !r.header("referer").empty() ||
                      r.header("user-agent").starts_with("Mozilla/"));
}

bool is_search(route r) noexcept { return r == route::search_by_get || r == route::search_by_post; }
bool writes_issue(route r) noexcept { return r == route::edit_issue || r == route::delete_issue; }

/// What the API lists as account of a credential.
std::string_view account_type(connection_kind k) noexcept {
    return k == connection_kind::personal ? "atlassian" : "app";
}

}  // namespace

jira_api::jira_api(params const& p, world const& w, std::vector<site_state>& sites)
    : params_(p), world_(w), sites_(sites), limits_(p), issues_(p, w), search_(p, w, issues_) {}

reply jira_api::answer(visit& v) {
    if (looks_like_a_browsers_write(v.r)) {
        reply out = simple(403, text_type, wording::no_xsrf);
        add_common_headers(v, world_, out);
        return out;
    }
    if (v.match.id == route::removed_search) {
        reply out = json(410, wording::removed_search);
        add_common_headers(v, world_, out);
        return out;
    }

    site_state& site = sites_[*v.where.site];
    bool const writes = writes_issue(v.match.id);
    bool const has_issue = writes || v.match.id == route::get_issue;
    std::uint32_t const issue = has_issue ? issue_number(percent_decode(v.match.parameter, false)) : 0;
    // Before the limits: what a search costs follows from what it finds.
    std::optional<search::result> found;
    if (is_search(v.match.id)) found = search_.find(v, site);
    admission const admitted = site.admit(limits_, v.match.id, writes ? issue : 0, cost(v, found), v.now);
    if (admitted.outcome != admission::verdict::admitted) return refuse_limited(v, admitted);

    reply out = respond(v, site, issue, found);
    add_common_headers(v, world_, out);
    add_limit_headers(v, admitted, out);
    out.chunked = params_.chunked;
    out.compress = params_.compress;
    return out;
}

reply jira_api::respond(visit& v, site_state& site, std::uint32_t issue,
                        std::optional<search::result> const& found) const {
    if (auto error = injected_api_error(v)) return *std::move(error);
    if (found) return search_.answer(v, site, *found);
    if (is_webhook(v.match.id)) return answer_webhooks(v, world_, site);
    switch (v.match.id) {
    case route::get_myself: return get_myself(v);
    case route::get_my_permissions:
        return json(200, R"({"permissions":{"ADMINISTER":{"id":"0","key":"ADMINISTER","name":"Administer Jira",)"
                         R"("type":"GLOBAL","description":"Create and administer projects and users.",)"
                         R"("havePermission":true}}})");
    case route::get_server_info: return get_server_info(v);
    case route::get_issue: return issues_.get(v, site, issue);
    case route::create_issue: return issues_.create(v, site);
    case route::edit_issue: return issues_.edit(v, site, issue);
    case route::delete_issue: return issues_.remove(site, issue);
    default: return jira_error(404, "HTTP 404 Not Found");
    }
}

reply jira_api::get_myself(visit const& v) const {
    connection_info const& c = world_.connections()[*v.caller];
    return json(
        200,
        fmt::format(R"({{"self":"{}/rest/api/3/user?accountId={}","accountId":"{}","accountType":"{}",)"
                    R"("emailAddress":"{}","displayName":"{}","active":true,"timeZone":"Etc/UTC","locale":"en_US",)"
                    R"("groups":{{"size":1,"items":[]}},"applicationRoles":{{"size":1,"items":[]}}}})",
                    base_url(v, world_), c.account_id, c.account_id, account_type(c.kind), c.email, c.id));
}

reply jira_api::get_server_info(visit const& v) const {
    return json(
        200,
        fmt::format(R"({{"baseUrl":"https://{}","version":"1001.0.0-SNAPSHOT","versionNumbers":[1001,0,0],)"
                    R"("deploymentType":"Cloud","buildNumber":100285,"buildDate":"2026-10-01T08:00:00.000+0000",)"
                    R"("serverTime":"{}","scmInfo":"0000000000000000000000000000000000000000","serverTitle":"Jira",)"
                    R"("defaultLocale":{{"locale":"en_US"}}}})",
                    world_.sites()[*v.where.site].host, jira_date(v.now.wall)));
}

// ---- limits

void jira_api::set_limits(std::size_t site, site_limits l, instant now) {
    sites_.at(site).set_limits(l, limit_table(params_, l), now);
}

std::optional<std::uint64_t> jira_api::cost(visit const& v, std::optional<search::result> const& found) const noexcept {
    bool const spends_points = !params_.quota_oauth_only || v.shown.is_access_token;
    if (!v.caller || !spends_points) return std::nullopt;
    std::uint64_t const objects = found ? found->page.size() : v.match.id == route::get_issue ? 1 : 0;
    return 1 + objects;
}

reply jira_api::refuse_limited(visit& v, admission const& a) const {
    switch (a.outcome) {
    case admission::verdict::burst: v.limited_by = "jira-burst-based"; break;
    case admission::verdict::issue_writes: v.limited_by = "jira-per-issue-on-write"; break;
    default: v.limited_by = "jira-quota-tenant-based"; break;
    }
    reply out = json(429, wording::rate_limited);
    add_common_headers(v, world_, out);
    auto const retry_after = std::max(seconds{1}, std::chrono::ceil<seconds>(a.wait));
    wall_time const reset = std::chrono::ceil<seconds>(v.now.wall + a.wait);
    fmt::format_to(std::back_inserter(out.headers),
                   "Retry-After: {}\r\nX-RateLimit-Limit: {}\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: {}\r\n"
                   "RateLimit-Reason: {}\r\n",
                   retry_after.count(), a.limit, iso8601(reset), v.limited_by);
    if (a.outcome == admission::verdict::quota) out.headers += "X-RateLimit-NearLimit: true\r\n";
    if (a.quota_applies) {
        fmt::format_to(std::back_inserter(out.headers), "RateLimit-Policy: \"tenant-app-quota\";q={};w=3600\r\n",
                       a.quota);
        fmt::format_to(std::back_inserter(out.headers), "RateLimit: \"tenant-app-quota\";r={};t={}\r\n",
                       a.quota_remaining, hourly_quota::until_next_hour(v.now.wall).count());
    }
    return out;
}

void jira_api::add_limit_headers(visit const& v, admission const& a, reply& out) const {
    fmt::format_to(std::back_inserter(out.headers), "X-RateLimit-Limit: {}\r\nX-RateLimit-Remaining: {}\r\n", a.limit,
                   a.remaining);
    if (!a.quota_applies) return;
    bool const is_near = a.quota_remaining < (a.quota + 4) / 5;
    fmt::format_to(std::back_inserter(out.headers), "RateLimit-Policy: \"tenant-app-quota\";q={};w=3600\r\n", a.quota);
    // `r` only near the end, as documented.
    out.headers += "RateLimit: \"tenant-app-quota\"";
    if (is_near) fmt::format_to(std::back_inserter(out.headers), ";r={}", a.quota_remaining);
    fmt::format_to(std::back_inserter(out.headers), ";t={}\r\n", hourly_quota::until_next_hour(v.now.wall).count());
}

}  // namespace jirapool::mock
