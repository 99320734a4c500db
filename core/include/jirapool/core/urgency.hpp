#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/overview.hpp>

namespace jirapool {

/// How soon somebody should look at a site, in failed calls of late: who waits, a pause, neighbours and points that run out weigh as some.
inline double urgency_of(site_snapshot const& s) noexcept {
    double urgency = s.trouble + static_cast<double>(s.waiting) / 10;
    if (s.paused_until) urgency += 2;
    if (s.others > 0.5) urgency += 1;
    if (s.quota && s.quota->left < s.quota->of / 10) urgency += 1;
    return urgency;
}

/// For a list: equal ones by name.
inline bool more_urgent(site_snapshot const& a, site_snapshot const& b) noexcept {
    auto const left = urgency_of(a);
    auto const right = urgency_of(b);
    return left != right ? left > right : a.site < b.site;
}

/// From here on it is in trouble.
inline constexpr double urgent_from = 0.5;

}  // namespace jirapool
