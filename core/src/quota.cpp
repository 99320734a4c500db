#include <jirapool/core/quota.hpp>

#include <jirapool/core/account_scope.hpp>

#include <algorithm>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// What quiet may save up while calls are spread: enough for one page's handful of calls.
constexpr steady_duration tolerance = 1s;

// Turns that are given ahead are of so long a time: nobody else waits for longer because of them.
constexpr steady_duration granted_ahead = 250ms;

// A closed budget is tried so often, whatever its 429 said. A second more than Jira's hour, whose end is everybody's moment.
constexpr steady_duration probe_every = 1h + 1s;

// Of the quota, when only NearLimit told.
constexpr float near_limit_share = 0.2f;

}  // namespace

steady_time top_of_hour(steady_time now, wall_time server) noexcept {
    auto const end = std::chrono::floor<std::chrono::hours>(server) + 1h;
    return now + std::chrono::duration_cast<steady_duration>(end - server);
}

bool points_quota::on_answer(quota_item const* said, bool near_limit, steady_time now, wall_time server,
                             std::uint32_t in_hand) noexcept {
    if (now >= end_) left_ = -1;
    if (said && said->quota) quota_ = static_cast<float>(*said->quota);
    float left = -1;
    if (said && said->remaining) {
        left = static_cast<float>(*said->remaining);
        if (left_ >= 0 && taken_ > in_hand) {
            auto const used = std::max(0.0f, left_ + static_cast<float>(taken_) * cost_ - left);
            cost_ += (std::max(1.0f, used / static_cast<float>(taken_ - in_hand)) - cost_) / 8;
        }
    } else if (near_limit && left_ < 0) {
        left = near_limit_share * quota_;
    }
    if (left < 0) return true;
    auto const promised = static_cast<float>(in_hand) * cost_;
    bool const enough = left >= promised;
    left_ = enough ? left - promised : left;
    taken_ = enough ? in_hand : 0;
    // Its own figure was seen 700 s too high: the hour ends at its top.
    end_ = top_of_hour(now, server);
    if (said && said->reset_in) end_ = std::min(end_, now + *said->reset_in);
    return enough;
}

bool points_quota::close(steady_time until, steady_time now) noexcept {
    bool const running = pause_.paused();
    next_ = running ? std::max(next_, until) : until;
    if (!running) pause_.begin(now + probe_every);
    return !running && pause_.in_a_row() == 1;
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

budget_grant points_quota::grant(std::uint32_t demand, steady_time now) noexcept {
    budget_grant g;
    g.closed = closed(now);
    if (!limits(now)) {
        g.permits = budget_grant::unlimited;
        return g;
    }
    g.from = earliest(now);
    if (!pause_.open() || left_ < cost_) return g;
    g.every = interval(now);
    auto const permits = std::min({static_cast<float>(demand), left_ / cost_,
                                   static_cast<float>(granted_ahead.count()) / static_cast<float>(g.every.count())});
    g.permits = std::max(static_cast<std::uint32_t>(permits), 1u);
    for (std::uint32_t i = 0; i < g.permits; ++i) take(now);
    g.until = std::min(next_, end_);
    return g;
}

void points_quota::take_back(budget_grant const& g) noexcept {
    if (!pause_.open() || left_ < 0) return;
    left_ += static_cast<float>(g.permits) * cost_;
    taken_ -= std::min(taken_, g.permits);
    next_ -= g.every * static_cast<std::int64_t>(g.permits);
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
    if (at_site) at_site->take(now);
    if (over_sites) over_sites->take(now);
    if (of_account) of_account->take(now);
}

void quota_scopes::on_answer(rate_headers const& said, steady_time now, wall_time server) const noexcept {
    if (at_site)
        at_site->on_answer(said.tenant_quota ? &*said.tenant_quota : nullptr, tenant_quota_is_near(said), now, server);
    if (over_sites && said.global_quota) over_sites->on_answer(*said.global_quota, now, server);
}

void quota_scopes::on_permitted(route_id r, steady_time now, wall_time server) const noexcept {
    if (at_site) at_site->on_permitted();
    if (over_sites) over_sites->on_permitted();
    if (of_account) of_account->on_answer(r, now, server);
}

bool quota_scopes::open(steady_time now) const noexcept {
    return !(at_site && at_site->closed(now)) && !(over_sites && over_sites->closed(now)) &&
           !(of_account && of_account->closed(now));
}

bool quota_scopes::keep(limit_reason r) const noexcept {
    switch (r) {
    case limit_reason::global_quota: return over_sites != nullptr;
    case limit_reason::tenant_quota: return at_site != nullptr;
    case limit_reason::account_cost:
    case limit_reason::account_calls: return of_account != nullptr;
    default: return false;
    }
}

bool quota_scopes::close(limit_reason r, steady_time until, steady_time now) const noexcept {
    if (r == limit_reason::global_quota) return over_sites->close(until, now);
    if (r == limit_reason::tenant_quota) return at_site->close(until, now);
    return of_account->close(r, until, now);
}

void quota_scopes::reset() const noexcept {
    if (at_site) at_site->reset();
    if (over_sites) over_sites->reset();
    if (of_account) of_account->reset();
}

}  // namespace jirapool
