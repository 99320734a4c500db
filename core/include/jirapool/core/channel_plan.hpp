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
    std::size_t with_room = 0;  ///< of the active ones: they may have another exchange
    std::size_t sharing = 0;    ///< of all that are open: several exchanges share one, and more may when some end
    std::size_t dialing = 0;
    std::size_t promised = 0;    ///< of those that are dialled: they are not for who waits
    std::size_t ready = 0;       ///< who waits and may have a channel
    std::size_t background = 0;  ///< of all who wait: no call waits for them
    /// How many exchanges at once the next channel is likely to carry, which is what the last one did. 0: nobody knows.
    std::size_t per_channel = 1;
    bool succession = false;  ///< a channel ended for new exchanges while it was in use
    bool used = false;        ///< somebody wanted a channel before: spare ones are kept
    bool failing = false;     ///< the last dial failed: one alone tries
    bool held_back = false;   ///< no dial may begin
};

/// See pool_params, which has the same names.
struct channel_limits {
    std::size_t max_channels = 0;
    std::size_t max_dialing = 0;
    std::size_t min_idle = 0;
    bool dial_at_stream_limit = true;
};

/// How many more dials may begin. Where nobody knows what a channel will carry, one alone: it may carry all that wait.
std::size_t dial_room(channel_census const& c, channel_limits const& l) noexcept;

/// Dials that shall begin, within dial_room.
struct missing_dials {
    std::size_t at_once = 0;
    std::size_t in_background = 0;  ///< behind those, each in its turn
    std::size_t for_waiting = 0;    ///< of all of them the first: the others are for min_idle
};

/** Who waits gets a dial each, or as many share one as a channel is likely to carry; and min_idle channels stay ready. A channel
    that takes no more exchanges is replaced while some still run on it, unless another one has room. What no call waits for is
    what comes behind all that do, as whichever channel is ready first serves whoever's turn it is. As dial_room pure, on any
    thread. */
missing_dials dials_missing(channel_census const& c, channel_limits const& l) noexcept;

}  // namespace jirapool
