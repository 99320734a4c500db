#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>

#include <cstddef>
#include <cstdint>

namespace jirapool {

/// What an origin's channels are at, and who wants some.
struct channel_census {
    std::size_t idle = 0;
    std::size_t active = 0;
    std::size_t dialing = 0;
    std::size_t promised = 0;    ///< of those that are dialled: they are not for who waits
    std::size_t ready = 0;       ///< who waits and may have a channel
    std::size_t background = 0;  ///< of all who wait: no call waits for them
    bool used = false;           ///< somebody wanted a channel before: spare ones are kept
    bool failing = false;        ///< the last dial failed: one alone tries
    bool held_back = false;      ///< no dial may begin
};

/// See pool_params, which has the same names.
struct channel_limits {
    std::size_t max_channels = 0;
    std::size_t max_dialing = 0;
    std::size_t min_idle = 0;
};

/// How many more dials may begin.
std::size_t dial_room(channel_census const& c, channel_limits const& l) noexcept;

/// Dials that shall begin, within dial_room.
struct missing_dials {
    std::size_t at_once = 0;
    std::size_t in_background = 0;  ///< behind those, each in its turn
    std::size_t for_waiting = 0;    ///< of all of them the first: the others are for min_idle
};

/** Who waits gets a dial each, and min_idle channels stay ready. What no call waits for is what comes behind all that do, as
    whichever channel is ready first serves whoever's turn it is. As dial_room pure, on any thread. */
missing_dials dials_missing(channel_census const& c, channel_limits const& l) noexcept;

}  // namespace jirapool
