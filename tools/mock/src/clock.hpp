#pragma once

#include <chrono>

namespace jirapool::mock {

using steady_time = std::chrono::steady_clock::time_point;
using wall_time = std::chrono::system_clock::time_point;

/// Now, twice: limits and lifetimes go by `steady`, dates in headers and the hour of the quota by `wall`.
struct instant {
    steady_time steady;
    wall_time wall;
};

/// The only place of the mock that reads a clock.
inline instant read_clock() noexcept {
    return instant{std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
}

}  // namespace jirapool::mock
