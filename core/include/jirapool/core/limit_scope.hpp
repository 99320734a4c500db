#pragma once

#include <jirapool/core/time.hpp>

#include <cstddef>
#include <cstdint>

namespace jirapool {

/// What a call waits for at the limiter.
enum class limit_scope : std::uint8_t {
    none,
    route,       ///< the burst rate of the site's route, or its pause
    issue,       ///< writes to one issue
    bulk,        ///< bulk operations in flight
    site,        ///< the whole site is paused
    site_quota,  ///< the app's points at the site
    app_quota,   ///< the app's points over all sites
    account,     ///< the account's own limits at the site
};
inline constexpr std::size_t limit_scope_count = 8;
char const* to_string(limit_scope s) noexcept;

/// When a call may go, and which of its scopes says so: the one that says the latest time, and of equal ones the first.
struct limit_turn {
    steady_time at = steady_time::min();
    limit_scope scope = limit_scope::none;
    void not_before(steady_time t, limit_scope s) noexcept {
        if (t <= at) return;
        at = t;
        scope = s;
    }
};

}  // namespace jirapool
