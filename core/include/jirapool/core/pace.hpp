#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/time.hpp>

#include <algorithm>
#include <cstddef>

namespace jirapool {

/** At most so many beginnings per second, evenly in time; those first that somebody waits for. Pure: no clock, no timer.

    @par Threads   One at a time. */
class pace {
public:
    /// `per_second` > 0, shared by `sharers` that do not ask one another.
    pace(double per_second, std::size_t sharers) noexcept
        : interval_(std::max(steady_duration(1),
                             steady_duration(static_cast<steady_duration::rep>(
                                 std::min(1e9 * static_cast<double>(sharers) / per_second, longest_interval))))) {}

    /// For what nobody waits for. True: it may begin now, and is counted.
    bool begin(steady_time now) noexcept {
        // A timer rings a little late, and the turn behind its own would be a little early then.
        if (later(now, interval_ / 2) < next_) return false;
        count(now);
        return true;
    }
    /// When one that may not begin now asks again: behind all that were told a turn before.
    steady_time next_turn() noexcept {
        auto const turn = std::max(turn_, next_);
        turn_ = later(turn, interval_);
        return turn;
    }
    /// For what somebody waits for: when it is to begin, counted already. Before all that nobody waits for.
    steady_time reserve(steady_time now) noexcept {
        auto const at = std::max(now, next_);
        next_ = later(at, interval_);
        return at;
    }
    /// One begins without asking.
    void count(steady_time now) noexcept { next_ = later(std::max(now, next_), interval_); }

private:
    static constexpr double longest_interval = 1e9 * 86'400;  // a day, in ns
    steady_duration interval_;
    steady_time next_ = steady_time::min();  // nothing begins before
    steady_time turn_ = steady_time::min();  // the next one to be told
};

}  // namespace jirapool
