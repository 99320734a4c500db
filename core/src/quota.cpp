#include <jirapool/core/quota.hpp>

#include <algorithm>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// What quiet may save up while calls are spread: enough for one page's handful of calls.
constexpr steady_duration tolerance = 1s;

// A closed budget is tried so often, whatever its 429 said. A second more than Jira's hour, whose end is everybody's moment.
constexpr steady_duration probe_every = 1h + 1s;

// Of the quota, when only NearLimit told.
constexpr float near_limit_share = 0.2f;

}  // namespace

steady_time top_of_hour(steady_time now, wall_time server) noexcept {
    auto const end = std::chrono::floor<std::chrono::hours>(server) + 1h;
    return now + std::chrono::duration_cast<steady_duration>(end - server);
}

void points_quota::on_answer(quota_item const* said, bool near_limit, steady_time now, wall_time server) noexcept {
    if (now >= end_) left_ = -1;
    if (said && said->quota) quota_ = static_cast<float>(*said->quota);
    float left = -1;
    if (said && said->remaining) {
        left = static_cast<float>(*said->remaining);
        if (left_ >= 0 && taken_ > 0) {
            auto const used = std::max(0.0f, left_ + static_cast<float>(taken_) * cost_ - left);
            cost_ += (std::max(1.0f, used / static_cast<float>(taken_)) - cost_) / 8;
        }
    } else if (near_limit && left_ < 0) {
        left = near_limit_share * quota_;
    }
    if (left < 0) return;
    left_ = left;
    taken_ = 0;
    // Its own figure was seen 700 s too high: the hour ends at its top.
    end_ = top_of_hour(now, server);
    if (said && said->reset_in) end_ = std::min(end_, now + *said->reset_in);
}

void points_quota::close(steady_time until, steady_time now) noexcept {
    bool const running = pause_.paused();
    next_ = running ? std::max(next_, until) : until;
    if (!running) pause_.begin(now + probe_every);
}

steady_duration points_quota::interval(steady_time now) const noexcept {
    auto const calls = std::max(1.0f, left_ / cost_);
    return std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(end_ - now) /
                                                       static_cast<double>(calls));
}

steady_time points_quota::earliest(steady_time now) const noexcept {
    if (!pause_.open()) return std::min(next_, pause_.earliest());
    if (!pacing(now)) return steady_time::min();
    if (left_ < cost_) return end_;
    return next_ == steady_time::min() ? next_ : std::min(next_ - tolerance, end_);
}

steady_time points_quota::turn(std::size_t ahead, steady_time now) const noexcept {
    auto const first = earliest(now);
    if (ahead == 0 || !pause_.open() || !pacing(now)) return first;
    if (left_ < cost_ * static_cast<float>(ahead + 1)) return end_;
    return std::max(first, now) + interval(now) * static_cast<std::int64_t>(ahead);
}

void points_quota::take(steady_time now) noexcept {
    if (!pause_.open() && now < next_) return pause_.probe(now + probe_every);
    pause_.lift();
    if (!pacing(now)) return;
    next_ = std::max(next_, now) + interval(now);
    left_ = std::max(0.0f, left_ - cost_);
    ++taken_;
}

void quota_scopes::delay(limit_turn& t, steady_time now) const noexcept {
    if (at_site) t.not_before(at_site->earliest(now), limit_scope::site_quota);
    if (over_sites) t.not_before(over_sites->earliest(now), limit_scope::app_quota);
    if (of_account) t.not_before(of_account->earliest(now), limit_scope::account);
}

void quota_scopes::delay_behind(limit_turn& t, std::size_t ahead, steady_time now) const noexcept {
    if (at_site) t.not_before(at_site->turn(ahead, now), limit_scope::site_quota);
    if (over_sites) t.not_before(over_sites->turn(ahead, now), limit_scope::app_quota);
    if (of_account) t.not_before(of_account->turn(ahead, now), limit_scope::account);
}

void quota_scopes::take(steady_time now) const noexcept {
    for (auto* const quota : {at_site, over_sites, of_account})
        if (quota) quota->take(now);
}

void quota_scopes::on_answer(rate_headers const& said, steady_time now, wall_time server) const noexcept {
    if (at_site) at_site->on_answer(said.tenant_quota ? &*said.tenant_quota : nullptr, said.near_limit, now, server);
    if (over_sites) over_sites->on_answer(said.global_quota ? &*said.global_quota : nullptr, false, now, server);
}

void quota_scopes::on_permitted() const noexcept {
    for (auto* const quota : {at_site, over_sites, of_account})
        if (quota) quota->on_permitted();
}

bool quota_scopes::open(steady_time now) const noexcept {
    for (auto const* const quota : {at_site, over_sites, of_account})
        if (quota && quota->closed(now)) return false;
    return true;
}

points_quota* quota_scopes::named_by(limit_reason r) const noexcept {
    switch (r) {
    case limit_reason::tenant_quota: return at_site;
    case limit_reason::global_quota: return over_sites;
    case limit_reason::account_cost:
    case limit_reason::account_calls: return of_account;
    default: return nullptr;
    }
}

}  // namespace jirapool
