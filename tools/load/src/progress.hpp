#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace jirapool::load {

/// Where a run is, for the line that is printed once a second.
struct progress {
    std::chrono::nanoseconds elapsed{};
    /// Calls begun per second, over the last line's time.
    double rate = 0;
    std::uint64_t in_flight = 0;
    /// Of response times so far.
    std::chrono::nanoseconds p50{};
    std::chrono::nanoseconds p99{};
    std::uint64_t failed = 0;
    std::uint64_t unsent = 0;
    std::uint64_t answered_429 = 0;
    std::uint64_t token_refreshes = 0;
};

/// One line without its end.
std::string to_text(progress const& p);

/// "0.85 ms", "12.3 ms", "1234 ms", "31.2 s": three digits or more.
std::string to_text(std::chrono::nanoseconds duration);

}  // namespace jirapool::load
