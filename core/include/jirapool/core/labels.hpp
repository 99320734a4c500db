#pragma once

#include <cstddef>
#include <cstdint>

// By what answers, limits, resends and channels are told apart: in explanations, in what is counted, in the labels of metrics.

namespace jirapool {

/// What an answer means for the call, the token, the limiter and the connection (core/doc/jira-cloud.md, 2.5).
enum class answer_class : std::uint8_t {
    delivered,     ///< the caller gets it: any status that nothing below claims
    anonymous,     ///< not 401, but Jira ignored the credential
    unauthorized,  ///< 401 that a new token may cure, or that says an API token is bad
    maybe_expired,  ///< 403 or 404 on an OAuth connection: the gateway's answer to an expired token, if it is past expiry
    scope_mismatch,  ///< 401 that no refresh cures: the token lacks a scope
    limited,         ///< 429
    transient,       ///< 502, 503, 504; 421, 425, and 408 that closes the channel
};
inline constexpr std::size_t answer_class_count = 7;
/// The enumerator's name, as a metric's label has it.
char const* to_string(answer_class a) noexcept;

/// What an answer says of the connection that asked, beside what it means for the call (core/doc/jira-cloud.md, 2.5).
enum class answer_sign : std::uint8_t {
    none,                ///< nothing: limits, failures of the server, what only the caller understands
    works,               ///< 2xx, and Jira took the credential
    ignored_credential,  ///< Jira answered as to anybody
    refused_credential,  ///< 401
    wrong_host,        ///< 401: an API token with scopes, which works through the gateway alone, on the site's own host
    lacks_scope,       ///< 401 that names a scope
    not_installed,     ///< 403: the credential is not granted for this cloud ID, or not the family of scopes
    unknown_site,      ///< 404 of the edge: the site or cloud ID is unknown, renamed or suspended
    edge_refused,      ///< 400, 403 or 405 in HTML: the edge refused the request, and Jira never saw it
    endpoint_removed,  ///< 410: Atlassian removed what was asked for
    xsrf_refused,      ///< 403: Jira takes the caller for a browser
};
inline constexpr std::size_t answer_sign_count = 11;
/// The enumerator's name.
char const* to_string(answer_sign s) noexcept;

/// `RateLimit-Reason` of a 429: what the limit that was hit holds for.
enum class limit_reason : std::uint8_t {
    none,           ///< no reason given
    burst,          ///< jira-burst-based: this site's route
    issue_write,    ///< jira-per-issue-on-write: writes to this issue
    tenant_quota,   ///< jira-quota-tenant-based: the app at this site, until the top of the hour
    global_quota,   ///< jira-quota-global-based: the app at all its sites
    unknown,        ///< a reason that is in no document: pauses the site
    account_cost,   ///< jira-cost-based: the account at this site, until the top of the hour
    account_calls,  ///< …-per-user: too many of the account's calls at once at this site
    other_product,  ///< confluence-…: nothing of Jira's but what was refused
};
inline constexpr std::size_t limit_reason_count = 9;
/// The enumerator's name, as a metric's label has it.
char const* to_string(limit_reason r) noexcept;

/// What a call waits for at the limiter.
enum class limit_scope : std::uint8_t {
    none,        ///< nothing
    route,       ///< the burst rate of the site's route, or its pause
    issue,       ///< writes to one issue
    bulk,        ///< bulk operations in flight
    site,        ///< the whole site is paused
    site_quota,  ///< the app's points at the site
    app_quota,   ///< the app's points over all sites
    account,     ///< the account's own limits at the site
};
inline constexpr std::size_t limit_scope_count = 8;
/// The enumerator's name, as a metric's label has it.
char const* to_string(limit_scope s) noexcept;

/// Why an exchange is repeated.
enum class resend_reason : std::uint8_t {
    channel_lost,      ///< the channel ended before the answer was whole
    transient_answer,  ///< answer_class::transient
    limited,           ///< 429
    token,             ///< the access token was refused, and there is another one
    hedge,             ///< beside an exchange that goes on, see retry_params::hedge_after
    dial_failed,       ///< no channel could be opened: nothing was sent before
};
inline constexpr std::size_t resend_reason_count = 6;
/// The enumerator's name, as a metric's label has it.
char const* to_string(resend_reason r) noexcept;

/// What calls of a route do, as far as their cost and their danger differ.
enum class route_class : std::uint8_t {
    read,    ///< changes nothing
    search,  ///< a search, which changes nothing and may take Jira long
    write,   ///< may change something
    bulk,    ///< many issues at once, five at a time per site
};
inline constexpr std::size_t route_class_count = 4;
/// The enumerator's name, as a metric's label has it.
char const* to_string(route_class c) noexcept;

/// What an origin is.
enum class origin_kind : std::uint8_t {
    site,            ///< a site's own host
    gateway,         ///< api.atlassian.com, for all sites
    token_endpoint,  ///< auth.atlassian.com
};
inline constexpr std::size_t origin_kind_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(origin_kind o) noexcept;

/// What a channel of an origin does.
enum class channel_state : std::uint8_t {
    idle,     ///< open, serves no call
    active,   ///< leased: serves a call, over HTTP/2 one or more
    dialing,  ///< not open yet: resolving, connecting or shaking hands
    closed,   ///< or not begun
};
inline constexpr std::size_t channel_state_count = 4;
/// The enumerator's name, as a metric's label has it.
char const* to_string(channel_state s) noexcept;

/// Why a channel ended.
enum class close_reason : std::uint8_t {
    idle_timeout,  ///< unused for too long
    lifetime,      ///< old enough
    peer_closed,   ///< the server closed it while idle
    keep_alive,    ///< idle for as long as the server announced (`Keep-Alive: timeout`): before it closes it
    announced,     ///< the answer said `Connection: close`
    abandoned,     ///< its call ended in the middle: cancelled, timed out, or failed by its sink or source
    broken,        ///< reset, cut off, or not valid HTTP
    stopped,       ///< the client stops
};
inline constexpr std::size_t close_reason_count = 8;
/// The enumerator's name, as a metric's label has it.
char const* to_string(close_reason r) noexcept;

/// What a dial is for. Whoever's turn it is gets the channel, all the same.
enum class dial_purpose : std::uint8_t {
    waiting,  ///< calls wait
    replace,  ///< a channel that is used nears the end of its lifetime
    prewarm,  ///< pool_params::min_idle
};
inline constexpr std::size_t dial_purpose_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(dial_purpose p) noexcept;

/// Steps of a dial.
enum class dial_stage : std::uint8_t { resolve, connect, tls };
inline constexpr std::size_t dial_stage_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(dial_stage s) noexcept;

/// What a program does with its connections.
enum class connection_change : std::uint8_t {
    added,
    replaced,  ///< it got another secret, account or option
    removed,
};
inline constexpr std::size_t connection_change_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(connection_change c) noexcept;

/// How an exchange of a credential for an access token ended.
enum class refresh_result : std::uint8_t { ok, transient, permanent };
inline constexpr std::size_t refresh_result_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(refresh_result r) noexcept;

}  // namespace jirapool
