#pragma once

#include <chrono>

namespace jirapool {

/** When to wait until. Core never reads a clock: every function that decides over time takes `now` as an argument.

    The engine's clock never jumps and goes on while the machine is suspended (CLOCK_BOOTTIME), so a token's age is
    right after a night in standby and no step of the wall clock can make it look expired. */
using steady_time = std::chrono::steady_clock::time_point;

/// What a date on the wire means. Only read and compared, never waited on: the wall clock may jump.
using wall_time = std::chrono::sys_time<std::chrono::milliseconds>;

using steady_duration = std::chrono::steady_clock::duration;

}  // namespace jirapool
