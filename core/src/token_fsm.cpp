#include <jirapool/core/token_fsm.hpp>

#include <algorithm>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// Tokens that are refused right after they were made: renewing once more at once would be a loop at wire speed.
constexpr auto young = 10s;

// Whatever the params, lifetimes and answers say: one credential asks no more often, save for a call that a 401 sent back.
// Three of them in a second are no storm.
constexpr auto least_pause = 350ms;

// A timer that rings this late rang for more than a busy thread.
constexpr auto slept = 30s;

steady_duration full_jitter(std::chrono::milliseconds base, std::chrono::milliseconds cap, unsigned failures,
                            random_engine& random) noexcept {
    auto const half = saturated(doubled(base, failures, cap)) / 2;
    return half +
           steady_duration(static_cast<steady_duration::rep>(uniform(random) * static_cast<double>(half.count())));
}

}  // namespace

char const* why_invalid(token_params const& p) noexcept {
    if (!(p.refresh_from > 0)) return "token_params::refresh_from must be greater than 0";
    if (!(p.refresh_to >= p.refresh_from)) return "token_params::refresh_to must be at least refresh_from";
    if (!(p.refresh_to < 1)) return "token_params::refresh_to must be less than 1";
    if (p.use_slack < 0s) return "token_params::use_slack must not be negative";
    if (p.backoff <= 0ms) return "token_params::backoff must be greater than 0";
    if (p.backoff_max < p.backoff) return "token_params::backoff_max must be at least backoff";
    if (p.wake_spread < 0s) return "token_params::wake_spread must not be negative";
    if (p.refused_memory <= 0s) return "token_params::refused_memory must be greater than 0";
    return nullptr;
}

token_need token_fsm::on_need(steady_time now) noexcept {
    if (put_off_ && !usable(now)) next_refresh_ = std::min(next_refresh_, now);
    bool const start = refresh_due(now);
    if (usable(now)) return start ? token_need::use_and_refresh : token_need::use;
    if (start) return token_need::refresh_then_wait;
    if (refused(now) && !refreshing_) return token_need::refused;
    return token_need::wait;
}

bool token_fsm::refresh_due(steady_time now) noexcept {
    if (refreshing_ || now < next_refresh_) return false;
    refreshing_ = true;
    put_off_ = false;
    return true;
}

void token_fsm::on_timer(steady_time now, random_engine& random) noexcept {
    if (refreshing_ || put_off_ || now < next_refresh_ || next_refresh_ == steady_time::min() ||
        now - next_refresh_ < slept)
        return;
    put_off_ = true;
    auto const spread = saturated(params_->wake_spread);
    next_refresh_ = later(
        now, steady_duration(static_cast<steady_duration::rep>(uniform(random) * static_cast<double>(spread.count()))));
}

steady_time token_fsm::next_refresh() const noexcept { return refreshing_ ? steady_time::max() : next_refresh_; }

bool token_fsm::on_refreshed(steady_time asked, steady_time now, std::chrono::seconds lifetime,
                             random_engine& random) noexcept {
    auto const life = std::chrono::duration_cast<steady_duration>(std::clamp(lifetime, 0s, std::chrono::seconds(24h)));
    auto const slack = std::min(saturated(params_->use_slack), life / 10);
    if (now >= asked + life - slack) {
        on_refresh_failed(refresh_failure::transient, now, std::nullopt, random);
        return false;
    }
    refused_ = false;
    failures_ = 0;
    ++generation_;
    issued_ = now;
    expires_ = asked + life;
    use_until_ = expires_ - slack;
    double const point = uniform(random, params_->refresh_from, params_->refresh_to);
    next_refresh_ = std::min(
        asked + steady_duration(static_cast<steady_duration::rep>(point * static_cast<double>(life.count()))),
        use_until_);
    next_refresh_ = std::max(next_refresh_, later(now, least_pause));
    end_refresh(now);
    return true;
}

void token_fsm::on_refresh_failed(refresh_failure f, steady_time now, std::optional<std::chrono::seconds> retry_after,
                                  random_engine& random) noexcept {
    auto wait = full_jitter(params_->backoff, params_->backoff_max, failures_, random);
    if (failures_ < 100) ++failures_;
    if (f == refresh_failure::permanent) {
        refused_ = true;
        wait = saturated(params_->refused_memory);
    }
    if (retry_after) wait = std::max<steady_duration>(wait, std::min(*retry_after, std::chrono::seconds(1h)));
    next_refresh_ = later(now, std::max<steady_duration>(wait, least_pause));
    end_refresh(now);
}

void token_fsm::end_refresh(steady_time now) noexcept {
    refreshing_ = false;
    // What the old secret brought says nothing about the new one.
    if (secret_replaced_) on_secret_replaced(now);
}

token_rejection token_fsm::on_rejected(token_generation used, steady_time now) noexcept {
    if (used != generation_) return usable(now) ? token_rejection::resend : token_rejection::need_newer;
    if (use_until_ == steady_time::min()) return token_rejection::need_newer;  // dropped by an earlier answer
    if (now - issued_ < young) {
        // The fresh token is refused as the one before was: the credential lost its rights, and the caller must know.
        if (rejections_ > 0) return token_rejection::deliver;
        ++rejections_;
    } else {
        rejections_ = 0;
    }
    use_until_ = steady_time::min();
    if (!refreshing_) next_refresh_ = std::min(next_refresh_, now);
    return token_rejection::need_newer;
}

void token_fsm::on_secret_replaced(steady_time now) noexcept {
    secret_replaced_ = refreshing_;
    refused_ = false;
    failures_ = 0;
    rejections_ = 0;
    next_refresh_ = now;
}

}  // namespace jirapool
