#include <jirapool/core/retry.hpp>

#include <algorithm>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// Up to here a float still counts by ones: a larger budget would never be used up.
constexpr double most_budget = 1e6;

}  // namespace

char const* why_invalid(retry_params const& p) noexcept {
    if (p.max_exchanges < 1) return "retry_params::max_exchanges must be at least 1";
    if (p.backoff <= 0ms) return "retry_params::backoff must be greater than 0";
    if (p.backoff_max < p.backoff) return "retry_params::backoff_max must be at least backoff";
    if (!(p.budget_ratio >= 0 && p.budget_ratio <= most_budget))
        return "retry_params::budget_ratio must be 0 to 1000000";
    if (!(p.budget_max >= 0 && p.budget_max <= most_budget)) return "retry_params::budget_max must be 0 to 1000000";
    if (p.hedge_after < 0ms) return "retry_params::hedge_after must not be negative";
    if (!(p.hedge_percent >= 0 && p.hedge_percent <= 100)) return "retry_params::hedge_percent must be 0 to 100";
    return nullptr;
}

bool is_resendable(request const& r, route_id id) noexcept {
    if (r.resendable()) return *r.resendable();
    switch (r.method()) {
    case method::get:
    case method::head:
    case method::delete_: return true;
    case method::put: {
        if (!route(id).repeat_unsafe_put) return true;
        // `{"update":{"labels":[{"add":"x"}]}}` acts again each time; a body without the word cannot hold the verb.
        return r.body().find("\"update\"") == std::string::npos;
    }
    case method::post: return route(id).reads_only;
    case method::patch: return false;
    }
    return false;
}

void retry_budget::on_call(double ratio, double most) noexcept {
    saved_ = static_cast<float>(std::min(most, static_cast<double>(saved_) + ratio));
}

bool retry_budget::take(double overdraft) noexcept {
    if (!can_take(overdraft)) return false;
    saved_ -= 1;
    return true;
}

char const* to_string(resend_reason r) noexcept {
    switch (r) {
    case resend_reason::channel_lost: return "channel_lost";
    case resend_reason::transient_answer: return "transient_answer";
    case resend_reason::limited: return "limited";
    case resend_reason::token: return "token";
    case resend_reason::hedge: return "hedge";
    case resend_reason::dial_failed: return "dial_failed";
    }
    return "unknown";
}

std::optional<steady_duration> hedge_after(retry_params const& p, steady_duration likely) noexcept {
    if (p.hedge_after <= 0ms) return std::nullopt;
    constexpr auto longest = std::chrono::hours(24);
    return std::max(saturated(p.hedge_after), 4 * std::min<steady_duration>(likely, longest));
}

std::optional<steady_duration> resend_after(exchange_facts const& f, retry_params const& p,
                                            random_engine& random) noexcept {
    if (f.reason == resend_reason::token) return 0s;
    if (f.reason == resend_reason::limited) {
        // The limiter holds the pause; the call only goes back to it.
        if (f.limited > p.max_limited) return std::nullopt;
        return 0s;
    }
    if (!f.resendable && !f.unprocessed) return std::nullopt;
    // What a server refuses it says of itself, as when it restarts or allows fewer streams than it did, and not of the request.
    if (f.exchanges - f.limited - std::min(f.refusals, p.max_exchanges) >= p.max_exchanges) return std::nullopt;
    if (f.reason == resend_reason::channel_lost && (f.channel_ended || (f.refused && f.exchanges == 1))) return 0s;

    auto const range = saturated(doubled(p.backoff, f.exchanges - 1, p.backoff_max));
    auto const drawn = steady_duration(static_cast<steady_duration::rep>(uniform(random) *
                                                                         static_cast<double>(range.count())));
    return saturated_sum(saturated(f.retry_after.value_or(0s)), drawn);
}

}  // namespace jirapool
