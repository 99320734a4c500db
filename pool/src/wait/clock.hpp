#pragma once

#include <jirapool/core/time.hpp>

#include <algorithm>
#include <functional>
#include <memory>

namespace jirapool::detail {

/// The engine's clocks. One of the two files that read a real one is clock.cpp.
class engine_clock {
public:
    virtual ~engine_clock() = default;
    virtual steady_time now() const noexcept = 0;
    virtual wall_time wall() const noexcept = 0;
};

/// CLOCK_BOOTTIME, which counts suspended time as well, and the system's wall clock.
engine_clock const& system_clock() noexcept;

/// `d` from now, as a deadline: one that is never reached is still a moment, at which the timers keep who waits.
template <class Duration>
constexpr steady_time deadline_after(steady_time now, Duration d) noexcept {
    return std::min(later(now, d), steady_time::max() - steady_duration(1));
}

/// Wakes a shard at one moment: the only timer it has. The simulator has its own.
class alarm {
public:
    virtual ~alarm() = default;
    /// Replaces the moment set before. Needs no memory: whoever waits relies on it. From any thread.
    virtual void arm(steady_time at) noexcept = 0;
    virtual void disarm() noexcept = 0;

    std::function<void()> on_ring;
};

}  // namespace jirapool::detail
