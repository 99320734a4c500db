#pragma once

#include <jirapool/core/quota.hpp>
#include <jirapool/core/time.hpp>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>

namespace jirapool::detail {

/** What a shard knows of the points that an app may use over all its sites in an hour. An app is a hash of its client id. */
class app_budgets {
public:
    /// Null: no answer has told of one.
    std::shared_ptr<points_quota> find(std::uint64_t app) const noexcept {
        if (by_app_.empty()) return nullptr;  // as nearly always
        auto const found = by_app_.find(app);
        return found == by_app_.end() ? nullptr : found->second;
    }
    /// May throw bad_alloc.
    points_quota& at(std::uint64_t app) {
        auto& quota = by_app_[app];
        if (!quota) quota = std::make_shared<points_quota>();
        return *quota;
    }
    /// One that is closed counts also for connections that are added again.
    void forget_unused(std::unordered_set<std::uint64_t> const& used, steady_time now) noexcept {
        std::erase_if(by_app_, [&](auto const& q) { return !used.contains(q.first) && !q.second->closed(now); });
    }

private:
    std::unordered_map<std::uint64_t, std::shared_ptr<points_quota>> by_app_;
};

}  // namespace jirapool::detail
