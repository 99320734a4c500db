#include "limits.hpp"

#include <algorithm>
#include <cmath>

namespace jirapool::mock {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

struct window {
    std::size_t writes;
    seconds length;
};
constexpr window windows[] = {{20, seconds{2}}, {100, seconds{30}}};

unsigned documented_rate(params const& p, route r) noexcept {
    switch (r) {
    case route::get_issue: return p.burst_get_issue;
    case route::create_issue:
    case route::search_by_post:
    case route::create_webhook:
    case route::other_post: return p.burst_post;
    case route::edit_issue:
    case route::edit_webhook:
    case route::other_put: return p.burst_put;
    case route::delete_issue:
    case route::delete_webhook:
    case route::other_delete: return p.burst_delete;
    default: return p.burst_get;
    }
}

std::uint32_t at_least_one(double x) noexcept {
    return static_cast<std::uint32_t>(std::clamp(std::round(x), 1.0, 4e9));
}

}  // namespace

void bucket::open(std::uint32_t rate, std::uint32_t capacity, steady_time now) noexcept {
    if (rate_ != 0) return;
    rate_ = rate;
    capacity_ = capacity;
    level_ = capacity;
    filled_ = now;
}

void bucket::change(std::uint32_t rate, std::uint32_t capacity, steady_time now) noexcept {
    if (rate_ == 0) return;
    fill(now);
    if (is_touched()) last_ = std::max(last_, now);
    formerly_permitted_ = permitted();
    changed_ = is_touched() ? last_ : now;
    rate_ = rate;
    capacity_ = capacity;
    level_ = std::min<double>(level_, capacity);
}

void bucket::share(double foreign, steady_time now) noexcept {
    if (rate_ == 0) return;
    fill(now);
    foreign_ = foreign;
}

double bucket::permitted() const noexcept {
    if (!is_touched()) return 0;
    double const seconds_passed = std::chrono::duration<double>(last_ - std::max(first_, changed_)).count();
    return formerly_permitted_ + std::max(0.0, seconds_passed) * rate_;
}

void bucket::reset_counts() noexcept {
    admitted_ = refused_ = 0;
    formerly_permitted_ = 0;
}

void bucket::fill(steady_time now) noexcept {
    if (now <= filled_) return;
    double const seconds_passed = std::chrono::duration<double>(now - filled_).count();
    level_ = std::min<double>(capacity_, level_ + seconds_passed * rate_ * (1 - foreign_));
    filled_ = now;
}

bucket::verdict bucket::take(steady_time now) noexcept {
    fill(now);
    if (!is_touched()) first_ = last_ = now;
    first_ = std::min(first_, now);
    last_ = std::max(last_, now);

    // A whole request, less two ticks of a clock that counts nanoseconds: one that comes exactly in time must not be
    // refused for what rounding took. The level keeps the difference, so nothing is given away.
    double const one = 1 - 2e-9 * rate_;
    bool const admitted = level_ >= one;
    if (admitted) {
        level_ -= 1;
        ++admitted_;
    } else {
        ++refused_;
    }
    // As Jira would say, which does not foresee what others take.
    double const missing = level_ >= one ? 0 : (1 - level_) / rate_;
    return verdict{admitted, static_cast<std::uint32_t>(std::max(0.0, level_ + 2e-9 * rate_)),
                   nanoseconds{static_cast<std::int64_t>(std::ceil(missing * 1e9))}};
}

issue_writes::verdict issue_writes::check(steady_time now) const noexcept {
    verdict result{true, windows[0].writes, nanoseconds{0}};
    for (window const& w : windows) {
        if (times_.size() < w.writes) continue;
        // The write that must leave the window before another one fits.
        steady_time const oldest = times_[times_.size() - w.writes];
        nanoseconds const wait = oldest + w.length - now;
        if (wait > result.wait) result = verdict{false, static_cast<std::uint32_t>(w.writes), wait};
    }
    return result;
}

void issue_writes::record(steady_time now) {
    if (times_.size() == windows[1].writes) times_.erase(times_.begin());
    // Kept in order although threads may come here a little out of it.
    times_.insert(std::upper_bound(times_.begin(), times_.end(), now), now);
}

bool hourly_quota::take(std::uint64_t quota, std::uint64_t cost, wall_time now) noexcept {
    auto const hour = std::chrono::floor<std::chrono::hours>(now).time_since_epoch().count();
    if (hour != hour_) {
        hour_ = hour;
        used_ = 0;
    }
    if (used_ >= quota) return false;
    used_ += cost;
    return true;
}

seconds hourly_quota::until_next_hour(wall_time now) noexcept {
    auto const next = std::chrono::floor<std::chrono::hours>(now) + std::chrono::hours{1};
    return std::chrono::ceil<seconds>(next - now);
}

limit_table::limit_table(params const& p, site_limits const& own) noexcept
    : foreign(own.foreign_load.value_or(p.foreign_load)),
      issue_writes(p.limit_issue_writes),
      quota(own.quota_points.value_or(p.quota_points)) {
    double const scale = own.burst_scale.value_or(p.burst_scale);
    for (std::size_t i = 0; i < limited_route_count; ++i) {
        rate[i] = at_least_one(documented_rate(p, static_cast<route>(i)) * scale);
        capacity[i] = at_least_one(rate[i] * p.burst_capacity);
    }
}

}  // namespace jirapool::mock
