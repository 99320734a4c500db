#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>
#include <jirapool/core/time.hpp>

namespace jirapool {

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
