#include "engine/app_budgets.hpp"

#include <new>

namespace jirapool::detail {

budget_grant app_budget::ask(std::uint32_t demand, steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    return shared_quota::ask(demand, now);
}

void app_budget::give_back(budget_grant const& g) noexcept {
    std::lock_guard const lock(mutex_);
    shared_quota::give_back(g);
}

void app_budget::spend(budget_grant& g, steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    shared_quota::spend(g, now);
}

steady_time app_budget::turn(std::size_t ahead, steady_time now) const noexcept {
    std::lock_guard const lock(mutex_);
    return shared_quota::turn(ahead, now);
}

void app_budget::on_answer(quota_item const& said, steady_time now, wall_time server) noexcept {
    std::lock_guard const lock(mutex_);
    shared_quota::on_answer(said, now, server);
}

bool app_budget::close(steady_time until, steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    return shared_quota::close(until, now);
}

void app_budget::on_permitted() noexcept {
    std::lock_guard const lock(mutex_);
    shared_quota::on_permitted();
}

void app_budget::reset() noexcept {
    std::lock_guard const lock(mutex_);
    shared_quota::reset();
}

std::optional<budget_left> app_budget::left(steady_time now) const noexcept {
    std::lock_guard const lock(mutex_);
    return shared_quota::left(now);
}

std::optional<budget_left> shared_budgets::least_left(steady_time now) const noexcept {
    std::lock_guard const lock(mutex_);
    std::optional<budget_left> least;
    for (auto const& [app, weak] : by_app_) {
        auto const source = weak.lock();
        auto const left = source ? source->left(now) : std::nullopt;
        if (left && (!least || left->left < least->left)) least = left;
    }
    return least;
}

std::shared_ptr<budget_source> shared_budgets::find(std::uint64_t app) const noexcept {
    std::lock_guard const lock(mutex_);
    auto const found = by_app_.find(app);
    return found == by_app_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<budget_source> shared_budgets::at(std::uint64_t app) {
    std::lock_guard const lock(mutex_);
    if (by_app_.size() >= forget_at_) {
        std::erase_if(by_app_, [&](auto const& b) { return b.first != app && b.second.expired(); });
        forget_at_ = 2 * by_app_.size() + 16;
    }
    auto& known = by_app_[app];
    if (auto b = known.lock()) return b;
    std::shared_ptr<budget_source> b = std::make_shared<app_budget>();
    known = b;
    made_.fetch_add(1, std::memory_order_acq_rel);
    return b;
}

std::size_t shared_budgets::size() const noexcept {
    std::lock_guard const lock(mutex_);
    return by_app_.size();
}

std::shared_ptr<budget_share> app_budgets::find(std::uint64_t app, std::uint32_t& looked) noexcept {
    auto const made = all_->made();
    if (made == 0) return nullptr;  // as nearly always
    auto const found = by_app_.find(app);
    if (found != by_app_.end()) return found->second;
    if (looked == made) return nullptr;
    try {
        auto b = all_->find(app);
        if (b) return share(app, std::move(b));
        looked = made;
    } catch (std::bad_alloc const&) {
        return nullptr;  // the next call looks again
    }
    return nullptr;
}

std::shared_ptr<budget_share> const& app_budgets::share(std::uint64_t app, std::shared_ptr<budget_source> of) {
    auto const found = by_app_.find(app);
    if (found != by_app_.end()) return found->second;
    auto mine = std::make_shared<budget_share>(std::move(of));
    return by_app_.emplace(app, std::move(mine)).first->second;
}

void app_budgets::forget_unused(std::unordered_set<std::uint64_t> const& used, steady_time now) noexcept {
    std::erase_if(by_app_, [&](auto const& b) { return !used.contains(b.first) && !b.second->closed(now); });
}

}  // namespace jirapool::detail
