#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/neighbours.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/time.hpp>

#include <cstdint>

namespace jirapool {

struct limit_params;

/** How fast the calls of one route of a site may go: a bucket of tokens whose rate is learned from X-RateLimit-Limit, its size
    and how it is refilled from the course of X-RateLimit-Remaining (core/doc/jira-cloud.md, 3.1, 3.2). Pure; in some 30 bytes, as each
    site has one for each route. */
class pacing {
public:
    /// `documented`: calls per second, until an answer tells.
    explicit pacing(std::uint16_t documented) noexcept;

    /// When the next call may go; steady_time::min() before the first one and while quiet has saved up a burst.
    steady_time earliest(limit_params const& p) const noexcept;
    /** A call goes.

        A bucket that is refilled all the time takes a burst and the full rate behind it: GCRA. One that is refilled once a
        second, and any of which we do not know that it is not, holds no more than its size for a burst and the rest of the
        second together. So of such a route a call that goes before its time uses up a credit, and all that follow go that much
        later; quiet gives credit back, calls at more than half of the rate take it away. Then no second has more calls than the
        bucket holds. */
    void take(limit_params const& p, steady_time now) noexcept;
    /// An answer of the route, whatever its status. True: its Remaining is of the bucket.
    bool on_answer(limit_params const& p, int status, rate_headers const& h, steady_time now) noexcept;
    /// What part of the rate others take, 0 to 1.
    void make_way(double share) noexcept;
    double others() const noexcept;
    /// Its bucket is full with so much left, and smaller than it was seen to be.
    void shrink(std::uint32_t remaining) noexcept;
    /// So many answers came within less than a second that what others take can be told.
    bool busy() const noexcept;
    /// What is known of its bucket.
    neighbour_estimate::bucket bucket() const noexcept;
    /// A 429 said that it went too fast.
    void on_overrun() noexcept;
    /// The route was closed until now: it begins with one call.
    void restart(limit_params const& p, steady_time now) noexcept;
    /// What quiet saved up is gone: one call may go now.
    void keep_no_burst(limit_params const& p, steady_time now) noexcept;
    /// No call before that.
    void not_before(steady_time t) noexcept;
    /// Takes over what another object learned of the same route, the more careful of both: all but when its next call may go.
    void merge(pacing const& other) noexcept;
    /// What 429s and low Remainings taught is forgotten.
    void forget_overruns() noexcept;

    /// When the next call is due at its rate, whatever was saved up.
    steady_time next() const noexcept { return next_; }
    /// Between two calls.
    steady_duration interval(limit_params const& p) const noexcept;
    /// The same, of many calls to come.
    steady_duration usual_interval(limit_params const& p) const noexcept;
    /// How many calls may leave at once after quiet.
    double burst(limit_params const& p) const noexcept;

private:
    steady_duration tolerance(limit_params const& p) const noexcept;
    void look_at_course(limit_params const& p, std::uint32_t remaining, steady_time now) noexcept;
    void end_window() noexcept;
    void adapt_pace(std::uint32_t remaining) noexcept;
    void keep_reserve(std::uint32_t remaining) noexcept;
    bool shared() const noexcept;
    double left_by_others() const noexcept;
    void slow_down(double pace) noexcept;
    void speed_up() noexcept;

    steady_time next_ = steady_time::min();  // GCRA's theoretical arrival time
    std::uint32_t window_ = 0;               // since when the next three are counted: milliseconds, modulo 2^32
    std::uint16_t answers_ = 0;              // that told a Remaining
    std::uint16_t lowest_ = 0;               // of what they told
    std::uint16_t highest_ = 0;              // …
    std::uint16_t remaining_ = 0;            // of the last of them
    std::uint16_t bucket_ = 0;               // the tokens it was seen to hold; 0: not known
    std::uint16_t rate_;                     // requests per second, as advertised or documented
    std::uint16_t credit_ = 0;       // 1/16 calls that may go before their time; of a route that is not `steady_`
    std::uint8_t pace_;              // of 255: what part of the rate to use, lowered by 429 and a low Remaining
    std::uint8_t most_pace_;         // what `pace_` may come up to, lowered by 429 for longer
    std::uint8_t others_ = 0;        // of 255: what part of the rate others take
    std::uint8_t answered_ : 1 = 0;  // at least once
    std::uint8_t learned_ : 1 = 0;   // its rate
    std::uint8_t steady_ : 1 = 0;    // it was seen to be refilled all the time
    std::uint8_t stepped_ : 1 = 0;   // it was seen not to be
    std::uint8_t rose_ : 1 = 0;      // in the window, by more than answers out of order make it
    std::uint8_t repeats_ : 2 = 0;   // in the window, of the Remaining before
};

}  // namespace jirapool
