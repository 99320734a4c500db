#pragma once

#include <jirapool/core/shared_quota.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

namespace jirapool::detail {

/** The points that an app may use over all its sites in an hour, for all shards of an engine. The lock is taken when an answer tells
    of them, and by calls while they are spread or closed: some tens of times a second, as Jira's quotas allow no more. No call
    takes it as long as nothing is held back.

    @par Threads   Any. */
class app_budget final : public shared_quota {
public:
    budget_grant ask(std::uint32_t demand, steady_time now) noexcept override;
    void give_back(budget_grant const& g) noexcept override;
    void spend(budget_grant& g, steady_time now) noexcept override;
    steady_time turn(std::size_t ahead, steady_time now) const noexcept override;
    void on_answer(quota_item const& said, steady_time now, wall_time server) noexcept override;
    bool close(steady_time until, steady_time now) noexcept override;
    void on_permitted() noexcept override;
    void reset() noexcept override;
    std::optional<budget_left> left(steady_time now) const noexcept override;

private:
    std::mutex mutable mutex_;
};

/** The budgets of points that apps have over all their sites, as answers told of them: one for all shards of an engine. An app
    is a hash of its client id. Most have none.

    @par Threads   Any. */
class shared_budgets {
public:
    /// How many were ever made: whoever found none need not look again before this changes.
    std::uint32_t made() const noexcept { return made_.load(std::memory_order_acquire); }
    std::shared_ptr<budget_source> find(std::uint64_t app) const noexcept;
    /// Makes an `app_budget` when there is none: a budget that processes share would be made in its place. May throw bad_alloc.
    std::shared_ptr<budget_source> at(std::uint64_t app);
    /// Of the app that has the least left; nothing where none is known.
    std::optional<budget_left> least_left(steady_time now) const noexcept;
    std::size_t size() const noexcept;  ///< with some that no shard has any more

private:
    std::mutex mutable mutex_;
    std::unordered_map<std::uint64_t, std::weak_ptr<budget_source>> by_app_;
    std::size_t forget_at_ = 16;  // so many, when next to look for those that no shard has any more
    std::atomic<std::uint32_t> made_{0};
};

/// A shard's shares of those.
class app_budgets {
public:
    explicit app_budgets(std::shared_ptr<shared_budgets> all) noexcept : all_(std::move(all)) {}

    /// Null: no answer has told of one, or there is no memory to share it now. `looked`: the caller's own, of this app: it saves
    /// the next look.
    std::shared_ptr<budget_share> find(std::uint64_t app, std::uint32_t& looked) noexcept;
    /// May throw bad_alloc.
    void learn(std::uint64_t app) {
        if (!by_app_.contains(app)) share(app, all_->at(app));
    }
    /// One that is closed counts also for connections that are added again.
    void forget_unused(std::unordered_set<std::uint64_t> const& used, steady_time now) noexcept;

private:
    std::shared_ptr<budget_share> const& share(std::uint64_t app, std::shared_ptr<budget_source> of);

    std::shared_ptr<shared_budgets> const all_;
    std::unordered_map<std::uint64_t, std::shared_ptr<budget_share>> by_app_;
};

}  // namespace jirapool::detail
