#pragma once

#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/time.hpp>

#include <chrono>
#include <cstdint>

namespace jirapool::support {

// Of an hour of Jira's that is half over.
inline steady_time const t0{std::chrono::hours(1000)};
inline wall_time const half_past{std::chrono::sys_days{std::chrono::year(2026) / 11 / 1} + std::chrono::minutes(30)};

/// What an answer says of a budget of points: so many are left.
inline quota_item left(std::int64_t points) {
    quota_item i;
    i.remaining = points;
    return i;
}

}  // namespace jirapool::support
