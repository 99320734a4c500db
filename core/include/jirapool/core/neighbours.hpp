#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/time.hpp>

#include <cstdint>

namespace jirapool {

/** What part of a route's rate others take: other accounts, apps and programs, whose calls empty the same bucket
    (core/doc/0005-accounts-and-neighbours.md). It is what the bucket's Remaining fell by and what was refilled meanwhile, less our own calls. For
    buckets that are refilled all the time.

    Measured over stretches of some sixty tokens, between the first and the last answer of each: what came out of order between those
    does not matter, and our calls are counted by their answers, so that those in flight do not either. What a full bucket has no room
    for is not refilled, and looks as if somebody had taken it: then what others take lies between two bounds, and the estimate is moved
    between them and no further. Pure. */
class neighbour_estimate {
public:
    /// What is known of a bucket.
    struct bucket {
        double rate = 0;      ///< calls per second
        double size = 0;      ///< calls
        bool steady = false;  ///< it is refilled all the time
    };
    /// What the end of a stretch tells.
    struct told {
        bool ended = false;       ///< there is something
        std::uint32_t calls = 0;  ///< of others, in that stretch
        std::uint32_t ours = 0;   ///< our own
        bool smaller =
            false;  ///< the bucket holds no more than what is left now, rather than that others take all of it
    };
    /// An answer says that so much is left.
    told on_answer(bucket const& b, std::uint32_t remaining, steady_time now) noexcept;

    /// An answer says nothing of what is left, or not to be believed, and its call took from the bucket all the same.
    void on_silent_answer() noexcept;

    /// The part of the rate that others take, 0 to 1.
    double share() const noexcept { return static_cast<double>(share_); }
    /// An answer came in the last ten minutes.
    bool used(steady_time now) const noexcept;

private:
    void begin(std::uint32_t remaining, std::uint32_t ms) noexcept;
    void learn(double lowest, double highest) noexcept;

    std::uint32_t begun_ = 0;  // milliseconds, modulo 2^32
    std::uint32_t last_ = 0;   // … of the last answer
    float overflow_ = 0;       // the most that a full bucket may not have taken
    float share_ = 0;
    std::uint16_t first_ = 0;      // Remaining of the first answer
    std::uint16_t remaining_ = 0;  // … of the last one
    std::uint16_t calls_ = 0;      // of ours since the first
    std::uint8_t learned_ = 0;     // stretches, up to some
    bool measures_ = false;
};
static_assert(sizeof(neighbour_estimate) <= 24);  // each busy route has one

}  // namespace jirapool
