#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/budget.hpp>
#include <jirapool/core/limit_turn.hpp>
#include <jirapool/core/pause.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace jirapool {

/// When Jira's hour ends, by its own clock: its points quotas begin anew at the top of each UTC hour (core/doc/jira-cloud.md, 3.1).
steady_time top_of_hour(steady_time now, wall_time server) noexcept;

/** One of Jira's hourly points budgets of an app: over all of its sites (tier 1), or at one site (tier 2). Pure.

    Nothing is held back until an answer shows that the budget is enforced, by RateLimit, RateLimit-Policy or a 429:
    whether a service account's calls count is written nowhere (core/doc/jira-cloud.md, 3.1). Jira tells what is left only past
    80 % of use; from then on what is left is spread over the rest of the hour, at the cost that the last calls were seen
    to have, so that the last ten minutes of an hour are slow instead of closed.

    @par Threads   One at a time: it belongs to its shard, or to a `shared_quota`. */
class points_quota {
public:
    /// `near_limit`: X-RateLimit-NearLimit, less than 20 % left. `server` is Jira's clock: its Date, else ours. `in_hand`: calls
    /// that were taken (`grant`) and are not sent yet, so that Jira has not counted them. False: not so many are left, and they
    /// are counted as not taken.
    bool on_answer(quota_item const* said, bool near_limit, steady_time now, wall_time server,
                   std::uint32_t in_hand = 0) noexcept;
    /// A 429 named it: nothing before `until`, but one call each hour to see whether that is still so. @return it was not closed since
    /// it last let a call through.
    bool close(steady_time until, steady_time now) noexcept;
    /// An answer that is no 429: when it is that of such a call, the budget is open again.
    void on_permitted() noexcept { pause_.on_permitted(); }
    /// Forgets what closed it.
    void reset() noexcept { pause_.lift(); }

    /// When the next call may go; steady_time::min() when nothing holds it.
    steady_time earliest(steady_time now) const noexcept;
    /// When a call may go that has so many before it.
    steady_time turn(std::size_t ahead, steady_time now) const noexcept;
    /// A call goes.
    void take(steady_time now) noexcept;

    /// Takes the next turns ahead: for at most `demand` calls, of a moment's at most.
    budget_grant grant(std::uint32_t demand, steady_time now) noexcept;
    /// What is left of a grant is not used.
    void take_back(budget_grant const& g) noexcept;

    /// Something holds calls back: it is closed, or what is left is spread.
    bool limits(steady_time now) const noexcept { return !pause_.open() || pacing(now); }
    bool closed(steady_time now) const noexcept { return pause_.paused() && now < next_; }
    /// What Jira told for this hour, less the calls since.
    std::optional<budget_left> left(steady_time now) const noexcept {
        if (!pacing(now)) return std::nullopt;
        return budget_left{static_cast<double>(left_), static_cast<double>(quota_)};
    }
    /// What is left is known, and spread.
    bool pacing(steady_time now) const noexcept { return left_ >= 0 && now < end_; }

private:
    steady_duration interval(steady_time now) const noexcept;

    steady_time next_ = steady_time::min();  // of the paced calls; while closed, the end of that
    steady_time end_ = steady_time::min();   // of the hour in which left_ counts
    float left_ = -1;                        // points, less the calls since they were told; -1: not known
    float cost_ = 2;                         // points of a call: one and its object, until it was seen
    float quota_ = 65'000;                   // the smallest that is documented
    std::uint32_t taken_ = 0;                // calls since left_ was told
    pause pause_;                            // its time: when one call may go though it is not the end
};

class account_scope;

/// The budgets that one connection's calls count against.
struct quota_scopes {
    points_quota* at_site = nullptr;      ///< its app at its site
    budget_share* over_sites = nullptr;   ///< its app at all its sites
    account_scope* of_account = nullptr;  ///< its account at its site: limits that an app's other accounts do not share

    void delay(limit_turn& t, steady_time now) const noexcept;
    /// The same for a call that has so many before it.
    void delay_behind(limit_turn& t, std::size_t ahead, steady_time now) const noexcept;
    void take(steady_time now) const noexcept;
    void on_answer(rate_headers const& said, steady_time now, wall_time server) const noexcept;
    /// An answer that is no 429.
    void on_permitted(route_id r, steady_time now, wall_time server) const noexcept;
    bool open(steady_time now) const noexcept;
    /// One of these is the budget that a 429 with this reason names.
    bool keep(limit_reason r) const noexcept;
    /// Closes that. @return see points_quota::close.
    bool close(limit_reason r, steady_time until, steady_time now) const noexcept;
    /// Forgets what closed them.
    void reset() const noexcept;

    bool operator==(quota_scopes const&) const = default;
};

}  // namespace jirapool
