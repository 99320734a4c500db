#include <jirapool/core/limiter.hpp>

namespace jirapool {

using namespace std::chrono_literals;

char const* why_invalid(limit_params const& p) noexcept {
    if (p.mode != limiting::off && p.mode != limiting::shadow && p.mode != limiting::enforce)
        return "limit_params::mode must be one of its enumerators";
    if (!(p.use_of_rate > 0 && p.use_of_rate <= 1)) return "limit_params::use_of_rate must be in (0, 1]";
    if (!(p.burst_of_bucket > 0 && p.burst_of_bucket <= 1)) return "limit_params::burst_of_bucket must be in (0, 1]";
    if (p.burst_unlearned < 1) return "limit_params::burst_unlearned must be at least 1";
    if (p.pause <= 0ms) return "limit_params::pause must be greater than 0";
    if (p.pause_max < p.pause) return "limit_params::pause_max must be at least pause";
    // No limit of Jira's holds for longer than to the end of the hour; and beyond it the arithmetic would overflow.
    if (p.pause_max > 24h) return "limit_params::pause_max must be at most 24 h";
    if (p.max_bulk < 1) return "limit_params::max_bulk must be at least 1";
    return nullptr;
}

admission site_limiter::admit(limiter_waiter& w, steady_time now, steady_time deadline) {
    using kind = admission::kind;
    admission said;
    said.at = now;
    if (scopes_.params().mode == limiting::off) {
        scopes_.take_unasked(w.route());
        return said;
    }
    auto const first = scopes_.earliest(w.needs(), now);
    if (first.at <= now && (!queue_ || queue_->ahead(w, scopes_) == 0)) {
        scopes_.take(w.needs(), now);
        return said;
    }
    if (!queue_) queue_ = std::make_unique<limiter_queue>();
    auto const expected = queue_->expected_turn(w, scopes_, now);
    bool const too_late = expected.at > deadline;
    said.at = std::max(now, expected.at);
    said.scope = expected.at > now ? expected.scope : first.scope;
    if (scopes_.params().mode == limiting::shadow) {
        said.shadow = too_late ? kind::refused : kind::wait;
        if (too_late) scopes_.take_unasked(w.route());
        else scopes_.take(w.needs(), said.at);
        return said;
    }
    said.what = too_late ? kind::refused : queue_->size() >= scopes_.params().max_waiting ? kind::full : kind::wait;
    if (said.what == kind::wait) queue_->add(w, scopes_, now);
    return said;
}

void site_limiter::remove(limiter_waiter& w) noexcept {
    if (queue_) queue_->remove(w, scopes_);
}

limiter_waiter* site_limiter::release(steady_time now) {
    auto* const next = queue_ ? queue_->take_next(scopes_, now) : nullptr;
    try {
        if (next) scopes_.take(next->needs(), now);
    } catch (std::bad_alloc const&) {
        return next;  // nobody else would wake it: a permit that is not booked may cost a 429, and no more
    }
    return next;
}

steady_time site_limiter::next_release(steady_time now) const noexcept {
    return queue_ ? queue_->next_turn(scopes_, now) : steady_time::max();
}

std::vector<limiter_waiter*> site_limiter::waiting_calls() const {
    return queue_ ? queue_->all() : std::vector<limiter_waiter*>();
}

site_limiter::lesson site_limiter::on_answer(route_match m, quota_scopes q, int status, rate_headers const& h,
                                             steady_time now, wall_time wall, random_engine& random) {
    if (scopes_.params().mode == limiting::off) return {};
    return scopes_.on_answer(m, q, {status, h, now, h.date.value_or(wall)}, random);
}

bool site_limiter::open(route_match m, quota_scopes q, steady_time now) const noexcept {
    return scopes_.params().mode != limiting::enforce || scopes_.open({m, q}, now);
}

void site_limiter::on_held(route_id route, held_for what) noexcept {
    if (scopes_.params().mode == limiting::enforce) scopes_.on_held(route, what);
}

void site_limiter::merge(site_limiter const& other, word w) { scopes_.merge(other.scopes_, w == word::told); }

void site_limiter::absorb(site_limiter& other, word w) {
    merge(other, w);
    scopes_.absorb_in_flight(other.scopes_);
}

}  // namespace jirapool
