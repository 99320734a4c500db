#include <jirapool/core/token_fsm.hpp>

#include <algorithm>
#include <utility>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// Tokens that are refused right after they were made: renewing once more at once would be a loop at wire speed. Each
// further one that is refused doubles the wait.
constexpr auto young = 10'000ms;
constexpr auto young_max = 600'000ms;

// So many failures in a row, of more than one credential, are the endpoint's.
constexpr unsigned outage = 3;

// So many failures of one credential in a row are its own, as far as one can tell, though the endpoint answered nobody meanwhile.
constexpr unsigned doubtful = 6;

// Of so many credentials in so long a time it is told that one fails by itself.
constexpr unsigned most_told = 3;
constexpr auto told_within = 600s;

// A token that lives for a second is not renewed each second for who makes no call.
constexpr auto least_ahead = 5s;

// Whatever the params, lifetimes and answers say: one credential asks no more often, save for a call that a 401 sent back.
// Three of them in a second are no storm.
constexpr auto least_pause = 350ms;

// A timer that rings this late rang for more than a busy thread.
constexpr auto slept = 30s;

steady_duration part_of(double part, steady_duration d) noexcept {
    return steady_duration(static_cast<steady_duration::rep>(part * static_cast<double>(d.count())));
}

steady_duration full_jitter(std::chrono::milliseconds base, std::chrono::milliseconds cap, unsigned failures,
                            random_engine& random) noexcept {
    auto const half = saturated(doubled(base, failures, cap)) / 2;
    return half + part_of(uniform(random), half);
}

}  // namespace

char const* why_invalid(token_params const& p) noexcept {
    if (!(p.refresh_from > 0)) return "token_params::refresh_from must be greater than 0";
    if (!(p.refresh_to >= p.refresh_from)) return "token_params::refresh_to must be at least refresh_from";
    if (!(p.refresh_to < 1)) return "token_params::refresh_to must be less than 1";
    if (p.use_slack < 0s) return "token_params::use_slack must not be negative";
    if (p.backoff <= 0ms) return "token_params::backoff must be greater than 0";
    if (p.backoff_max < p.backoff) return "token_params::backoff_max must be at least backoff";
    if (p.backoff_waited <= 0ms) return "token_params::backoff_waited must be greater than 0";
    if (p.exchange_timeout <= 0ms) return "token_params::exchange_timeout must be greater than 0";
    if (p.overtake_after <= 0ms) return "token_params::overtake_after must be greater than 0";
    if (p.probe_interval <= 0ms) return "token_params::probe_interval must be greater than 0";
    if (p.recovery_spread < 0ms) return "token_params::recovery_spread must not be negative";
    if (!(p.exchanges_per_second > 0)) return "token_params::exchanges_per_second must be greater than 0";
    if (p.wake_spread < 0s) return "token_params::wake_spread must not be negative";
    if (p.refused_memory <= 0s) return "token_params::refused_memory must be greater than 0";
    if (p.refused_memory_max < p.refused_memory)
        return "token_params::refused_memory_max must be at least refused_memory";
    return nullptr;
}

steady_time token_endpoint::next_turn() noexcept {
    // Steps of the golden ratio: however many ask, their turns lie evenly.
    turn_ += 0.6180339887498949;
    if (turn_ >= 1) turn_ -= 1;
    return later(opens_, part_of(turn_, saturated(params_->recovery_spread)));
}

void token_endpoint::on_begun(steady_time now) noexcept {
    if (opens_ != steady_time::min()) opens_ = later(now, params_->probe_interval);
}

void token_endpoint::on_failed(std::uint32_t credential, refresh_failure f, steady_time now) noexcept {
    out_of_reach_ = f == refresh_failure::lasting;
    if (failed_ == 0) first_failed_ = credential;
    else if (credential != first_failed_) several_ = true;
    if (failed_ < outage) ++failed_;
    if (several_ && failed_ == outage && opens_ == steady_time::min()) opens_ = later(now, params_->probe_interval);
}

void token_endpoint::on_answered() noexcept {
    // One credential's own trouble says nothing of the others'.
    recovered_ = recovered_ || several_;
    several_ = out_of_reach_ = false;
    failed_ = 0;
    opens_ = steady_time::min();
}

bool token_endpoint::take_recovered() noexcept { return std::exchange(recovered_, false); }

bool token_endpoint::fails() const noexcept { return failed_ >= outage; }

bool token_endpoint::may_tell(steady_time now) noexcept {
    if (now >= told_until_) {
        told_until_ = later(now, told_within);
        told_ = 0;
    }
    if (told_ >= most_told) return false;
    ++told_;
    return true;
}

token_need token_fsm::on_need(steady_time now) noexcept {
    if (running_ == 0 && !usable(now)) next_refresh_ = std::min(next_refresh_, urgent_);
    bool const begins = refresh_due(now, !usable(now)) || overtake_due(now);
    if (usable(now)) return begins ? token_need::use_and_refresh : token_need::use;
    if (begins) return token_need::refresh_then_wait;
    return refused(now) ? token_need::refused : token_need::wait;
}

bool token_fsm::refresh_due(steady_time now, bool calls_wait) noexcept {
    if (running_ > 0 || late_ > 1 || now < next_refresh_) return false;
    return start(now, calls_wait);
}

bool token_fsm::overtake_due(steady_time now) noexcept {
    if (running_ != 1 || late_ > 0 || usable(now) || now < next_refresh_) return false;
    if (endpoint_->opens() != steady_time::min()) {
        // In an outage it would be as silent, and both would still be when the endpoint is back.
        next_refresh_ = later(now,
                              std::max<std::chrono::milliseconds>(endpoint_->params().probe_interval, least_pause));
        return false;
    }
    return start(now, true);
}

bool token_fsm::start(steady_time now, bool calls_wait) noexcept {
    bool const has_turn = has_turn_;
    has_turn_ = false;
    if (now < endpoint_->opens()) {
        held_back_ = true;
        next_refresh_ = urgent_ = endpoint_->next_turn();
        return false;
    }
    auto& exchanges = endpoint_->exchanges();
    if (!has_turn && calls_wait) {
        auto const at = exchanges.reserve(now);
        if (at > now) {
            has_turn_ = true;
            next_refresh_ = urgent_ = at;
            return false;
        }
    } else if (!has_turn && !exchanges.begin(now)) {
        next_refresh_ = exchanges.next_turn();
        urgent_ = std::min(urgent_, now);  // a call that comes meanwhile need not wait for that
        return false;
    }
    endpoint_->on_begun(now);
    ++running_;
    put_off_ = held_back_ = false;
    next_refresh_ = later(now, std::max<std::chrono::milliseconds>(endpoint_->params().overtake_after, least_pause));
    return true;
}

void token_fsm::on_timer(steady_time now, random_engine& random) noexcept {
    if (running_ > 0 || put_off_ || now < next_refresh_ || next_refresh_ == steady_time::min() ||
        now - next_refresh_ < slept)
        return;
    put_off_ = true;
    next_refresh_ = later(now, part_of(uniform(random), saturated(endpoint_->params().wake_spread)));
}

void token_fsm::on_endpoint_recovered(steady_time now, bool waited, random_engine& random) noexcept {
    if (has_turn_ || (running_ == 0 && ((failures_ == 0 && !held_back_) || told_when_ || refused_))) return;
    auto const& p = endpoint_->params();
    if (running_ > 0) {
        // It began in the outage: calls need not wait for its end. Another one beside it may have failed a moment ago.
        next_refresh_ = later(now, std::max<steady_duration>(least_pause,
                                                             part_of(uniform(random), saturated(p.recovery_spread))));
        return;
    }
    auto const first = later(now, least_pause);
    auto const at = later(first,
                          part_of(uniform(random), waited ? saturated(p.recovery_spread) : saturated(p.wake_spread)));
    // In place of the turn that it had, however soon: those would all be in one second.
    next_refresh_ = usable(now) ? std::min(at, std::max(first, use_until_)) : at;
    // Who comes now finds the endpoint well. Those who waited through the outage are many, and have their turns.
    urgent_ = waited ? at : first;
}

steady_time token_fsm::next_refresh(bool calls_wait) const noexcept {
    bool const another = running_ == 0 ? late_ < 2 : calls_wait && running_ + late_ < 2;
    if (!another) return steady_time::max();
    return calls_wait || issued_ == steady_time::min() ? next_refresh_
                                                       : std::max(next_refresh_, later(issued_, least_ahead));
}

bool token_fsm::may_send(token_generation begun, std::uint16_t failures, steady_time now) noexcept {
    if (ended_late(begun)) return false;
    auto const silence = std::max<std::chrono::milliseconds>(endpoint_->params().overtake_after, least_pause);
    bool const too_soon = sent_ != steady_time::min() && now < later(sent_, silence);
    if (failures != failures_ || too_soon) {
        --running_;
        if (too_soon) next_refresh_ = later(sent_, silence);
        if (running_ == 0) end_refresh(now);
        return false;
    }
    sent_ = now;
    if (running_ == 1) next_refresh_ = later(now, silence);
    return true;
}

bool token_fsm::ended_late(token_generation begun) noexcept {
    if (begun == generation_) return false;
    --late_;
    return true;
}

bool token_fsm::on_refreshed(steady_time asked, steady_time now, std::chrono::seconds lifetime,
                             random_engine& random) noexcept {
    auto const& p = endpoint_->params();
    auto const life = std::chrono::duration_cast<steady_duration>(std::clamp(lifetime, 0s, std::chrono::seconds(24h)));
    auto const slack = std::min(saturated(p.use_slack), life / 10);
    if (now >= asked + life - slack) {
        on_refresh_failed(refresh_failure::transient, now, std::nullopt, random);
        return false;
    }
    endpoint_->on_answered();
    recovered_ = recovered_ || told_;
    refused_ = told_when_ = held_back_ = has_turn_ = told_ = false;
    failures_ = refusals_ = 0;
    ++generation_;
    expires_ = asked + life;
    use_until_ = expires_ - slack;
    issued_ = now;
    chance_ = static_cast<std::uint8_t>(random());
    urgent_ = later(now, least_pause);
    auto const point = asked + part_of(uniform(random, p.refresh_from, p.refresh_to), life);
    next_refresh_ = std::max(std::min(point, use_until_), later(now, least_pause));
    late_ = static_cast<std::uint8_t>(late_ + running_ - 1);
    running_ = 0;
    end_refresh(now);
    return true;
}

void token_fsm::on_refresh_failed(refresh_failure f, steady_time now, std::optional<std::chrono::seconds> retry_after,
                                  random_engine& random) noexcept {
    auto const& p = endpoint_->params();
    auto wait = full_jitter(p.backoff, p.backoff_max, failures_, random);
    auto urgent = std::min(wait, full_jitter(p.backoff_waited, p.backoff_waited, 0, random));
    if (failures_ < 100) ++failures_;
    if (f == refresh_failure::permanent) {
        endpoint_->on_answered();
        refused_ = true;
        told_ = false;  // that it is refused is told in its place
        wait = urgent = saturated(doubled(p.refused_memory, refusals_, p.refused_memory_max));
        if (refusals_ < 100) ++refusals_;
    } else {
        endpoint_->on_failed(number_, f, now);
    }
    has_turn_ = false;
    told_when_ = retry_after.has_value();
    steady_duration const floor = std::max<steady_duration>(least_pause, std::min(retry_after.value_or(0s),
                                                                                  std::chrono::seconds(1h)));
    --running_;
    // Of two exchanges the one that ends first says nothing that makes the other one's successor come sooner.
    auto const no_sooner = running_ > 0 || refused_ ? next_refresh_ : steady_time::min();
    next_refresh_ = std::max(no_sooner, later(now, std::max(wait, floor)));
    urgent_ = std::max(no_sooner, later(now, std::max(urgent, floor)));
    if (running_ > 0) next_refresh_ = urgent_;  // only calls that wait look at it
    end_refresh(now);
}

token_trouble token_fsm::trouble(steady_time now) noexcept {
    if (endpoint_->opens() != steady_time::min()) return token_trouble::endpoint;
    if (told_ || failures_ < outage) return token_trouble::none;
    // Whose it is, the others' exchanges will show; but there may be none for long.
    if (endpoint_->fails() && failures_ < doubtful) return token_trouble::none;
    if (!endpoint_->may_tell(now)) return token_trouble::endpoint;
    told_ = true;
    return token_trouble::credential;
}

bool token_fsm::take_recovered() noexcept {
    bool const recovered = recovered_;
    recovered_ = false;
    return recovered;
}

void token_fsm::end_refresh(steady_time now) noexcept {
    if (running_ == 0) sent_ = steady_time::min();
    // What the old secret brought says nothing about the new one.
    if (secret_replaced_ && running_ == 0) on_secret_replaced(now);
}

steady_time token_fsm::proved_from() const noexcept {
    if (rejections_ < 2) return later(issued_, young);
    auto const half = saturated(doubled(young, rejections_ - 2u, young_max)) / 2;
    return later(issued_, half + part_of(chance_ / 255.0, half));
}

token_rejection token_fsm::on_rejected(token_generation used, steady_time now) noexcept {
    if (used != generation_) return usable(now) ? token_rejection::resend : token_rejection::need_newer;
    if (use_until_ == steady_time::min()) return token_rejection::need_newer;  // dropped by an earlier answer
    // The fresh tokens are refused as the one before was: the credential lost its rights, and the caller must know.
    if (rejections_ > 1 && now < proved_from()) return token_rejection::deliver;
    if (rejections_ < 100) ++rejections_;
    use_until_ = steady_time::min();
    // What the endpoint has refused for good it is not asked sooner because Jira refuses it too.
    if (running_ == 0 && !refused_) next_refresh_ = std::min(next_refresh_, now);
    return token_rejection::need_newer;
}

void token_fsm::on_accepted(token_generation used, steady_time now) noexcept {
    if (rejections_ == 0 || used != generation_ || now < proved_from()) return;
    rejections_ = 0;
}

void token_fsm::on_secret_replaced(steady_time now) noexcept {
    secret_replaced_ = running_ > 0;
    refused_ = told_when_ = false;
    failures_ = refusals_ = 0;
    rejections_ = 0;
    if (running_ == 0) next_refresh_ = urgent_ = now;
}

}  // namespace jirapool
