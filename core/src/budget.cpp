#include <jirapool/core/budget.hpp>

#include <algorithm>
#include <utility>

namespace jirapool {

namespace {

// No holder needs more at a time: a source gives some turns of its own, and no hoard.
constexpr std::uint32_t greatest_demand = 64;

}  // namespace

void budget_share::give_back() noexcept {
    if (grant_.permits > 0 && grant_.permits != budget_grant::unlimited) source_->give_back(grant_);
    grant_.permits = 0;
}

void budget_share::renew(steady_time now) noexcept {
    if (grant_.permits > 0 && now < grant_.until && grant_.version == source_->version()) return;
    if (granted_ > 0)
        demand_ = grant_.permits == 0 ? std::min(2 * demand_, greatest_demand) : std::max(demand_ / 2, 1u);
    give_back();
    grant_ = source_->ask(demand_, now);
    granted_ = grant_.permits == budget_grant::unlimited ? 0 : grant_.permits;
}

steady_time budget_share::earliest(steady_time now) noexcept {
    renew(now);
    return grant_.from;
}

steady_time budget_share::turn(std::size_t ahead, steady_time now) noexcept {
    auto const first = earliest(now);
    if (ahead < std::max(grant_.permits, 1u)) return first + grant_.every * static_cast<std::int64_t>(ahead);
    return std::max(first, source_->turn(ahead - grant_.permits, now));
}

void budget_share::take(steady_time now) noexcept {
    renew(now);
    if (grant_.permits != budget_grant::unlimited) source_->spend(grant_, now);
}

bool budget_share::closed(steady_time now) noexcept {
    renew(now);
    return grant_.closed;
}

}  // namespace jirapool
