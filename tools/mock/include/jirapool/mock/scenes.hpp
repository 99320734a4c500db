#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace jirapool::mock {

/** A kind of answer that Jira Cloud documents or was seen to give, and that the mock gives in place of its own when it is told to
    (server::play, POST /scene). What each is known by: core/doc/jira-cloud.md, sections 2 and 3. */
enum class scene : std::uint8_t {
    // To a credential that is not taken, or not taken there.
    anonymous,             ///< 200 without data, `x-seraph-loginreason: AUTHENTICATED_FAILED`.
    anonymous_denied,      ///< The same with `AUTHENTICATION_DENIED`.
    anonymous_404,         ///< 404 in JSON with `AUTHENTICATED_FAILED`.
    unauthorized,          ///< 401 of a site in JSON.
    unauthorized_text,     ///< 401 of a site in plain text.
    unauthorized_gateway,  ///< 401 of the gateway: `{"code":401,"message":"Unauthorized"}`.
    login_required,        ///< 401 in plain text, as after many 429s; the credential is good.
    scope_mismatch,        ///< 401, `x-failure-category: FAILURE_CLIENT_SCOPE_CHECK`.
    scope_mismatch_body,   ///< 401 that says so in its body only.
    scoped_token_on_site,  ///< 401, `x-failure-category: FAILURE_CLIENT_AUTH_MISMATCH`.
    bearer_on_site,        ///< 403, "Failed to parse Connect Session Auth Token".
    app_not_installed,     ///< 403 of the gateway.
    expired_403,           ///< 403 of the gateway to an expired access token.
    expired_404,           ///< 404 of the gateway to the same.
    unknown_cloud_401,     ///< 401 of the gateway to a cloud id that it does not know.
    unknown_cloud_404,     ///< 404 of the gateway to the same.

    // Of Jira to somebody whom it let in.
    forbidden,         ///< 403 in JSON.
    not_found,         ///< 404 in JSON.
    conflict,          ///< 409 in JSON.
    removed_endpoint,  ///< 410 in JSON.
    too_large,         ///< 413 in JSON.
    xsrf,              ///< 403 in plain text, "XSRF check failed".

    // Of the edge, to tenant_info too.
    site_gone,                ///< 404 in HTML, "Page Unavailable".
    edge_html_400,            ///< 400 in HTML of CloudFront.
    edge_html_403,            ///< 403 in HTML of CloudFront.
    edge_html_405,            ///< 405 in HTML of nginx.
    unavailable,              ///< 503 in JSON.
    unavailable_retry_after,  ///< 503 in JSON with Retry-After.
    bad_gateway,              ///< 502 in HTML.
    gateway_timeout,          ///< 504 in HTML.

    // 429 by its reason, with all headers that belong to it.
    limited_burst,              ///< `jira-burst-based`.
    limited_issue_writes,       ///< `jira-per-issue-on-write`.
    limited_quota_tenant,       ///< `jira-quota-tenant-based`.
    limited_quota_global,       ///< `jira-quota-global-based`.
    limited_quota,              ///< `jira-quota-based`, of older documents.
    limited_cost,               ///< `jira-cost-based`; its X-RateLimit-Reset has no seconds.
    limited_concurrency,        ///< `jira-max-concurrent-threads-across-all-instances-per-tenant-per-user`.
    limited_confluence,         ///< `confluence-quota-tenant-based`.
    limited_confluence_global,  ///< `confluence-quota-global-based`.
    limited_unknown_reason,     ///< A reason that is in no document.
    limited_no_reason,          ///< Retry-After and no reason.
    limited_gateway,  ///< The gateway's own: `X-Failure-Category: FAILURE CLIENT RATE LIMITED`, no Retry-After.

    // 429 without a time, neither in Retry-After nor in X-RateLimit-Reset.
    limited_no_retry_after,         ///< `jira-burst-based`.
    limited_issue_writes_untold,    ///< `jira-per-issue-on-write`.
    limited_quota_tenant_untold,    ///< `jira-quota-tenant-based`; its RateLimit names an end behind the hour's.
    limited_quota_global_untold,    ///< `jira-quota-global-based`.
    limited_cost_untold,            ///< `jira-cost-based`.
    limited_concurrency_untold,     ///< `jira-max-concurrent-threads-…-per-user`.
    limited_confluence_untold,      ///< `confluence-quota-tenant-based`.
    limited_unknown_reason_untold,  ///< A reason that is in no document.

    // 429 jira-burst-based by how it tells the wait.
    limited_retry_after_zero,        ///< `Retry-After: 0`.
    limited_retry_after_zero_reset,  ///< The same with an X-RateLimit-Reset.
    limited_retry_after_date,        ///< An HTTP date.
    limited_retry_after_garbage,     ///< `Retry-After: soon`.
    limited_retry_after_huge,        ///< Seconds beyond 64 bits.
    limited_quota_retry_after_huge,  ///< The same with `jira-quota-tenant-based`.
    limited_retry_after_twice,       ///< Two headers, the second one second longer.
    limited_retry_after_twice_bad,   ///< Two headers, the first `soon`.
    limited_reset,                   ///< X-RateLimit-Reset and no Retry-After.
    limited_reset_minute,            ///< The same without seconds, so rounded up to the minute.
    limited_reset_past,              ///< The same in the past.
    limited_reset_garbage,           ///< `X-RateLimit-Reset: tomorrow`.

    // 429 by its body.
    limited_html,   ///< An HTML page, with Retry-After and no reason.
    limited_empty,  ///< No body and no header that tells anything.

    /// The mock's own answer, and `Beta-…` headers that tell of a limit which is not enforced.
    limited_beta,
    limited_beta_only,    ///< 429 with such headers only.
    limited_beta_beside,  ///< 429 `jira-burst-based` with Retry-After beside such headers, which tell a longer wait.

    // Of the token endpoint.
    token_access_denied_401,        ///< 401, `access_denied`.
    token_access_denied_403,        ///< 403, `access_denied`.
    token_invalid_client_400,       ///< 400, `invalid_client`.
    token_gateway_401,              ///< 401 without `error`.
    token_limited_429,              ///< 429 in plain text, without Retry-After.
    token_limited_429_retry_after,  ///< 429 with Retry-After.
    token_unavailable_503,          ///< 503 in JSON.
    token_html_502,                 ///< 502 in HTML.
};
inline constexpr std::size_t scene_count = static_cast<std::size_t>(scene::token_html_502) + 1;

/// Which requests a scene can answer.
enum class scene_place : std::uint8_t {
    jira,            ///< All to sites and the gateway but tenant_info.
    edge,            ///< All to sites and the gateway.
    token_endpoint,  ///< Token exchanges.
};

struct scene_info {
    scene what{};
    /// As the enumerator: "anonymous".
    std::string_view name;
    /// What it imitates, in one line.
    std::string_view imitates;
    scene_place where = scene_place::jira;
    int status = 0;
};

/// In the order of the enumerators.
std::vector<scene_info> list_scenes();
/// Its name.
std::string_view to_string(scene s) noexcept;
std::optional<scene> find_scene(std::string_view name) noexcept;

/// A scene, for whom it plays and how long.
struct scene_request {
    scene what{};
    /// Index into world::sites(): only requests to this site, by either way, or of its connections to the token endpoint.
    std::optional<std::size_t> site;
    /// Index into world::connections(): only requests that show one of its secrets or access tokens, good or not.
    std::optional<std::size_t> connection;
    /// For so many requests; nullopt: until scenes are ended. 1 to 1,000,000,000.
    std::optional<std::uint64_t> times;
    /// What Retry-After and X-RateLimit-Reset tell, where the scene has them, from the moment of the answer. 0 s to a day.
    std::chrono::seconds wait{1};
};

/// "scene_request::times must be 1 to 1,000,000,000", or nullptr. Whether site and connection exist is server::play's to see.
char const* why_invalid(scene_request const& r) noexcept;

}  // namespace jirapool::mock
