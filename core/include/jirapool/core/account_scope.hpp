#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>
#include <jirapool/core/quota.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/time.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace jirapool {

/** How many calls of an account may be in flight: no number until a 429 says that there were too many. Each such 429 halves it; it grows
    by one with each 300 answers that found it reached (AIMD, RFC 5681), so that trying for more costs some calls in a thousand.
    Pure. */
class flight_cap {
public:
    /// One more would be too many.
    bool reached(std::uint32_t in_flight) const noexcept { return cap_ != 0 && in_flight >= cap_; }
    /// A 429 found so many in flight, itself included.
    void on_refusal(std::uint32_t in_flight) noexcept;
    /// Another answer did.
    void on_answer(std::uint32_t in_flight) noexcept;

    /// 0: any number.
    std::uint32_t value() const noexcept { return cap_; }

private:
    std::uint32_t cap_ = 0;
    std::uint32_t good_ = 0;  // answers that found it reached, since it last changed
};

/** Which routes an account's calls of an hour were of: the eight that most were of, and the sum of all. Which of them cost how much Jira
    does not tell (core/doc/jira-cloud.md, 3.1), so they are counted by calls. Pure. */
class spent_calls {
public:
    /// Jira answered one. `server` is Jira's clock.
    void book(route_id r, steady_time now, wall_time server) noexcept;
    /// "POST /rest/api/{version}/issue 61 %, GET /rest/api/{version}/myself 30 % of its 1204 calls this hour, 2890 in all of it at that
    /// rate": the three that most were of; empty: none was counted. May throw bad_alloc.
    std::string describe(steady_time now) const;

    /// Of the hour that the last one was booked in.
    std::uint32_t calls() const noexcept { return calls_; }
    /// What they come to in an hour at the rate that they had from the first to the last.
    std::uint32_t forecast() const noexcept;

private:
    struct part {
        route_id route = 0;
        std::uint32_t calls = 0;
    };
    std::array<part, 8> parts_{};
    std::uint32_t calls_ = 0;
    steady_time since_{};  // when the counting began in this hour
    steady_time last_{};
    steady_time end_ = steady_time::min();  // of the hour
};

/** What Jira grants one account at one site, beside the limits that it shares with others (core/doc/jira-cloud.md, 3.1): an hourly
    budget (`jira-cost-based`) and calls at a time (`…-per-user`). There is one for each account that met such a limit, and none for
    all others. Pure. */
class account_scope {
public:
    /// `in_flight`: the account's permits in use, counted by whoever gives them. A reference to it is kept.
    explicit account_scope(std::atomic<std::uint32_t> const& in_flight) noexcept : in_flight_(in_flight) {}

    /// A 429 with that reason, or another one that keeps this account waiting: nothing before `until`, but one call each hour. Of calls
    /// at a time there may be fewer from then on. @return see points_quota::close.
    bool close(limit_reason r, steady_time until, steady_time now) noexcept;
    /// An answer that is no 429, of a call that is not in flight any more.
    void on_answer(route_id r, steady_time now, wall_time server) noexcept;
    /// Forgets what closed it, and how many calls were too many.
    void reset() noexcept;

    /// When the next call may go; steady_time::min() when nothing holds it.
    steady_time earliest(steady_time now) const noexcept;
    /// When a call may go that has so many before it. An estimate.
    steady_time turn(std::size_t ahead, steady_time now) const noexcept;
    /// A call goes.
    void take(steady_time now) noexcept { budget_.take(now); }
    bool closed(steady_time now) const noexcept { return budget_.closed(now); }

    /// Why a call waits for it, for people. May throw bad_alloc.
    std::string describe(steady_time now) const;

    flight_cap const& cap() const noexcept { return cap_; }
    spent_calls const& spent() const noexcept { return spent_; }

private:
    std::uint32_t in_flight() const noexcept { return in_flight_.load(std::memory_order_relaxed); }

    points_quota budget_;
    flight_cap cap_;
    bool counts_ = false;  // it has a budget that was used up once
    spent_calls spent_;
    std::atomic<std::uint32_t> const& in_flight_;
};

}  // namespace jirapool
