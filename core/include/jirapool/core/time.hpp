#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <ratio>

namespace jirapool {

/** When to wait until. Core never reads a clock: every function that decides over time takes `now` as an argument.

    The engine's clock never jumps and goes on while the machine is suspended (CLOCK_BOOTTIME), so a token's age is
    right after a night in standby and no step of the wall clock can make it look expired. */
using steady_time = std::chrono::steady_clock::time_point;

/// What a date on the wire means. It is only read and compared, never waited on: the wall clock may jump.
using wall_time = std::chrono::sys_time<std::chrono::milliseconds>;

/// A stretch of such time.
using steady_duration = std::chrono::steady_clock::duration;

/// `d` in the clock's unit. What that cannot hold is held at its end: a caller's "never" (`seconds::max()`) stays never.
template <std::integral Rep, class Period>
    requires std::ratio_greater_equal_v<Period, steady_duration::period>
constexpr steady_duration saturated(std::chrono::duration<Rep, Period> d) noexcept {
    using wide = std::chrono::duration<std::int64_t, Period>;
    wide const given(d);
    if (given > std::chrono::duration_cast<wide>(steady_duration::max())) return steady_duration::max();
    if (given < std::chrono::duration_cast<wide>(steady_duration::min())) return steady_duration::min();
    return std::chrono::duration_cast<steady_duration>(given);
}

/// a + b, held at the ends.
constexpr steady_duration saturated_sum(steady_duration a, steady_duration b) noexcept {
    if (b > steady_duration::zero() && a > steady_duration::max() - b) return steady_duration::max();
    if (b < steady_duration::zero() && a < steady_duration::min() - b) return steady_duration::min();
    return a + b;
}

/// now + d, held at the ends of time: a deadline that is never reached is steady_time::max(), not one in the past.
template <std::integral Rep, class Period>
constexpr steady_time later(steady_time now, std::chrono::duration<Rep, Period> d) noexcept {
    return steady_time(saturated_sum(now.time_since_epoch(), saturated(d)));
}

/// `first` doubled `times` times, `most` at the most. Precondition: neither is negative.
template <std::integral Rep, class Period>
constexpr std::chrono::duration<Rep, Period> doubled(std::chrono::duration<Rep, Period> first, unsigned times,
                                                     std::chrono::duration<Rep, Period> most) noexcept {
    for (; times > 0 && first < most && first.count() > 0; --times) first = first > most / 2 ? most : first * 2;
    return first < most ? first : most;
}

}  // namespace jirapool
