#include <jirapool/core/overview.hpp>

namespace jirapool {

int badness(connection_condition c) noexcept {
    switch (c) {
    case connection_condition::credential_rejected: return 5;
    case connection_condition::site_gone: return 4;
    case connection_condition::misconfigured: return 3;
    case connection_condition::scope_missing: return 2;
    case connection_condition::limited: return 1;  // nobody's move
    case connection_condition::unknown:
    case connection_condition::healthy: break;
    }
    return 0;
}

char const* to_string(ending e) noexcept {
    switch (e) {
    case ending::within_30_days: return "30d";
    case ending::within_7_days: return "7d";
    case ending::within_a_day: return "1d";
    case ending::over: return "over";
    }
    return "unknown";
}

}  // namespace jirapool
