#include <jirapool/core/channel_plan.hpp>

#include <algorithm>

namespace jirapool {

namespace {

constexpr std::size_t less(std::size_t a, std::size_t b) noexcept { return a > b ? a - b : 0; }

/// Channels for so many that wait.
std::size_t channels_for(std::size_t waiting, channel_census const& c, channel_limits const& l) noexcept {
    if (c.per_channel <= 1 && c.sharing == 0) return waiting;
    auto const each = std::max<std::size_t>(c.per_channel, 1);
    auto const enough = waiting / each + (waiting % each != 0);
    if (l.dial_at_stream_limit) return enough;
    // They wait for one of those that are open, or for the first.
    return c.sharing != 0 ? 0 : std::min<std::size_t>(enough, 1);
}

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
    std::size_t const at_once = c.failing || c.per_channel == 0 ? 1 : l.max_dialing;
    return std::min(less(at_once, c.dialing), less(l.max_channels, c.idle + c.active + c.dialing));
}

missing_dials dials_missing(channel_census const& c, channel_limits const& l) noexcept {
    auto const dialing = c.dialing - c.promised;
    auto const at_hand = c.idle + c.with_room;
    auto const for_all = channels_for(c.ready, c, l);
    auto const for_calls = channels_for(less(c.ready, c.background), c, l);
    std::size_t const successors = c.succession && for_all == 0 && at_hand == 0 ? 1 : 0;
    auto const spare = std::max(c.used ? less(l.min_idle, at_hand) : 0, successors);
    auto const room = dial_room(c, l);
    missing_dials missing;
    missing.at_once = std::min(room, less(for_calls + spare, dialing));
    missing.in_background = std::min(room, less(for_all + spare, dialing)) - missing.at_once;
    missing.for_waiting = std::min(missing.at_once + missing.in_background, less(for_all, dialing));
    return missing;
}

}  // namespace jirapool
