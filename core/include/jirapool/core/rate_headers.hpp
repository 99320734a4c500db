#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>
#include <jirapool/core/response.hpp>
#include <jirapool/core/time.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace jirapool {

/// One item of `RateLimit` and `RateLimit-Policy`, joined by name.
struct quota_item {
    std::optional<std::int64_t> quota;             ///< q: points per window
    std::optional<std::int64_t> remaining;         ///< r: points left
    std::optional<std::chrono::seconds> window;    ///< w
    std::optional<std::chrono::seconds> reset_in;  ///< t
};

/** What an answer says about limits (core/doc/jira-cloud.md, 3.3). Anything malformed but a Retry-After reads as absent; of a
    header that stands twice the more careful value counts. `Beta-…` and `X-Beta-…` headers only announce and are not read here. */
struct rate_headers {
    std::optional<std::uint32_t> limit;      ///< X-RateLimit-Limit: for burst, requests per second
    std::optional<std::uint32_t> remaining;  ///< X-RateLimit-Remaining
    std::optional<wall_time> reset;          ///< X-RateLimit-Reset, with or without seconds
    bool near_limit = false;                 ///< X-RateLimit-NearLimit: true
    limit_reason reason = limit_reason::none;
    /// Retry-After, a time or a date (made relative with the answer's own `Date`, else `now`) in whatever spelling servers have:
    /// "3.5" and "4s" as well, rounded up, and ISO 8601 or zones other than GMT. Never negative; values over a day are cut to
    /// a day. 0 is kept: it means "no hint".
    std::optional<std::chrono::seconds> retry_after;
    /// There was one that could not be read. Unless another one could, retry_after is a minute then: whoever sent it asked for
    /// patience.
    bool retry_after_unreadable = false;
    /// The two quotas that RateLimit-Policy or RateLimit name as enforced.
    std::optional<quota_item> global_quota;
    std::optional<quota_item> tenant_quota;
    std::optional<wall_time> date;  ///< Date: the server's clock
};

/** What an answer says of the account that it was given to, where the rest of its word is not believed: a 429, whatever limit it
    names, keeps that account waiting, and nothing is learned of its site. */
rate_headers of_account_alone(rate_headers const& h, int status) noexcept;

/** X-RateLimit-NearLimit says that some quota is nearly used up, and not which. It is taken for that of the app at the site, unless the
    answer names another one and not this. */
bool tenant_quota_is_near(rate_headers const& h) noexcept;

rate_headers read_rate_headers(response const& r, wall_time now) noexcept;

/// RFC 9110 section 5.6.7: IMF-fixdate, and the two obsolete forms.
std::optional<wall_time> parse_http_date(std::string_view text) noexcept;
/// ISO 8601 as Jira writes it: `2026-01-01T01:01:01Z`, `2026-03-26T16:00Z`, with fraction or offset as well. Nothing
/// without a zone: that is no moment.
std::optional<wall_time> parse_iso_time(std::string_view text) noexcept;

}  // namespace jirapool
