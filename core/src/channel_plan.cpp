#include <jirapool/core/channel_plan.hpp>

#include <algorithm>

namespace jirapool {

namespace {

constexpr std::size_t less(std::size_t a, std::size_t b) noexcept { return a > b ? a - b : 0; }

}  // namespace

char const* to_string(channel_state s) noexcept {
    switch (s) {
    case channel_state::idle: return "idle";
    case channel_state::active: return "active";
    case channel_state::dialing: return "dialing";
    case channel_state::closed: return "closed";
    }
    return "unknown";
}

std::size_t dial_room(channel_census const& c, channel_limits const& l) noexcept {
    if (c.held_back) return 0;
    std::size_t const at_once = c.failing ? 1 : l.max_dialing;
    return std::min(less(at_once, c.dialing), less(l.max_channels, c.idle + c.active + c.dialing));
}

missing_dials dials_missing(channel_census const& c, channel_limits const& l) noexcept {
    auto const dialing = c.dialing - c.promised;
    auto const wanted = c.ready + (c.used ? less(l.min_idle, c.idle) : 0);
    auto const room = dial_room(c, l);
    missing_dials missing;
    missing.at_once = std::min(room, less(wanted - std::min(c.ready, c.background), dialing));
    missing.in_background = std::min(room, less(wanted, dialing)) - missing.at_once;
    missing.for_waiting = std::min(missing.at_once + missing.in_background, less(c.ready, dialing));
    return missing;
}

}  // namespace jirapool
