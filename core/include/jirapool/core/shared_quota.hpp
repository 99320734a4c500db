#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/budget.hpp>
#include <jirapool/core/quota.hpp>

namespace jirapool {

/** A `points_quota` that several holders share: its turns are handed out ahead. Pure.

    @par Threads   Here one at a time, but for `version`. Who has holders on several threads derives from this and puts a lock around
                   each function (`pool/src/engine/app_budgets.hpp`). */
class shared_quota : public budget_source {
public:
    budget_grant ask(std::uint32_t demand, steady_time now) noexcept override;
    void give_back(budget_grant const& g) noexcept override;
    void spend(budget_grant& g, steady_time now) noexcept override;
    steady_time turn(std::size_t ahead, steady_time now) const noexcept override { return quota_.turn(ahead, now); }
    void on_answer(quota_item const& said, steady_time now, wall_time server) noexcept override;
    bool close(steady_time until, steady_time now) noexcept override;
    void on_permitted() noexcept override { quota_.on_permitted(); }
    void reset() noexcept override { quota_.reset(); }
    std::optional<budget_left> left(steady_time now) const noexcept override { return quota_.left(now); }

private:
    void void_grants() noexcept;

    points_quota quota_;
    std::uint32_t in_hand_ = 0;  // permits that holders have not used
};

}  // namespace jirapool
