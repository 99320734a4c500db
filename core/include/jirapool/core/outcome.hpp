#pragma once

#include <jirapool/core/error.hpp>
#include <jirapool/core/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace jirapool {

/// How a call ended, as a metric's label: the answer's class, or the kind of error.
enum class outcome : std::uint8_t {
    success,         ///< 2xx
    redirect,        ///< 3xx
    client_error,    ///< 4xx but 429
    limited,         ///< 429 delivered, or limited_past_deadline
    server_error,    ///< 5xx
    timeout,         ///< errc::timeout
    cancelled,       ///< errc::cancelled
    refused,         ///< before anything was sent: bad request, queue full, stopping, connection removed
    credential,      ///< it is refused, or Jira ignores it: its owner must act
    token_endpoint,  ///< it gave no access token in time
    wire,            ///< no channel, or one that was cut off or brought no valid answer
    failed,          ///< the caller's own sink or source, or lack of memory
};
inline constexpr std::size_t outcome_count = 12;
/// The enumerator's name, as a metric's label has it.
char const* to_string(outcome o) noexcept;
/// What a call's answer of that status is.
outcome outcome_of(int status) noexcept;
/// What a call that ended with that error is.
outcome outcome_of(error_code const& ec) noexcept;

/// Whose fault it is that a call did not bring what was asked.
enum class call_fault : std::uint8_t {
    none,            ///< nobody's: Jira answered, be it 404
    caller,          ///< a bad request, a cancellation, a sink or source that failed, or a full queue
    limit,           ///< Jira's limits: its own load, or a neighbour's
    credential,      ///< its owner's: it is refused, or Jira ignores it
    network,         ///< no channel, or one that was cut off
    jira,            ///< Jira failed, or was too slow
    token_endpoint,  ///< it gave no access token in time
    pool,            ///< no channel was free in time: ours
};
inline constexpr std::size_t fault_count = 8;
/// The enumerator's name, as a metric's label has it.
char const* to_string(call_fault f) noexcept;
/// Of a call that ended so. `at`: where it was.
call_fault fault_of(outcome o, stage at) noexcept;

/// How many calls ended, by whose fault it was.
using calls_by_fault = std::array<std::uint64_t, fault_count>;

}  // namespace jirapool
