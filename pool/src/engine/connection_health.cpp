#include "engine/connection_health.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

namespace jirapool::detail {

using namespace std::chrono_literals;

namespace {

// Between two looks is no less.
constexpr auto step = 1s;

// Whose credential has an end is looked at so often at least: warnings are by the day.
constexpr auto look = std::chrono::seconds(1h);

/// So long nothing may be heard of a connection before it is checked. Half of what was asked for: one that changes its place in the
/// list as another leaves may be passed over once.
steady_duration unheard_for(health_params const& p) noexcept { return saturated(p.verify_every) / 2; }

event::kind kind_of(connection_fsm const& f) noexcept {
    switch (f.condition()) {
    case connection_condition::limited: return event::kind::limited_for_long;
    case connection_condition::credential_rejected:
        return f.cause() == condition_cause::anonymous ? event::kind::credential_anonymous
                                                       : event::kind::credential_refused;
    case connection_condition::scope_missing: return event::kind::scope_missing;
    case connection_condition::misconfigured: return event::kind::misconfigured;
    case connection_condition::site_gone: return event::kind::site_gone;
    case connection_condition::unknown:
    case connection_condition::healthy: break;
    }
    return event::kind::healed;
}

/// What its calls end with meanwhile, where that is no answer.
error_code code_of(connection_fsm const& f) noexcept {
    if (f.condition() == connection_condition::limited) return errc::limited_past_deadline;
    if (f.cause() == condition_cause::anonymous) return errc::anonymous_answer;
    bool const refused = f.condition() == connection_condition::credential_rejected ||
                         f.cause() == condition_cause::wrong_host;
    return refused ? error_code(errc::credential_refused) : error_code();
}

}  // namespace

credential_use connection_health::use(connection_entry& e, steady_time now) noexcept {
    auto f = e.health.load();
    auto const may = f.use(now);
    if (may == credential_use::tries) e.health.store(f);
    return may;
}

failure connection_health::why_not(connection_entry const& e, steady_time now) const {
    auto const f = e.health.load();
    failure why(errc::credential_refused, describe(f.condition(), f.cause()));
    if (auto const until = f.until(); until && *until > now)
        why = std::move(why).with_retry_after(std::chrono::ceil<std::chrono::milliseconds>(*until - now));
    return why;
}

template <class News>
void connection_health::move(connection_entry& e, News news, std::string_view reason) noexcept {
    if (e.removed) return;
    auto f = e.health.load();
    auto const before = f.condition();
    auto const change = news(f);
    e.health.store(f);
    connections_.count_condition(e, before, f.condition());
    if (change.what != condition_change::kind::none) tell(e, f, change.what, reason);
    if (change.check) check(e);
}

void connection_health::hear(connection_entry& e, answer_sign says, route_id r, call_purpose p, bool pause,
                             steady_time now) noexcept {
    move(e, [&](connection_fsm& f) { return f.on_answer(says, r, e.kind, p, pause, now); });
}

void connection_health::on_limited(connection_entry& e, steady_time until) noexcept {
    move(e, [&](connection_fsm& f) { return f.on_limited(until, context_.clock.now()); });
}

void connection_health::on_token(connection_entry& e, refresh_result r, std::string_view reason) noexcept {
    if (r == refresh_result::transient) return;
    auto const now = context_.clock.now();
    move(
        e,
        [&](connection_fsm& f) {
            return r == refresh_result::ok ? f.on_token_given(now)
                                           : f.on_token_refused(e.token->fsm.next_refresh(), now);
        },
        reason);
}

void connection_health::on_replaced(connection_entry& e) noexcept {
    move(e, [&](connection_fsm& f) { return f.on_replaced(context_.clock.now()); });
}

void connection_health::on_check_ended(connection_entry& e) noexcept {
    auto f = e.health.load();
    f.on_check_lost();
    e.health.store(f);
}

void connection_health::tell(connection_entry const& e, connection_fsm const& f, condition_change::kind what,
                             std::string_view reason) noexcept {
    try {
        event ev{what == condition_change::kind::healed ? event::kind::healed : kind_of(f), e.id, {}};
        ev.detail = describe(f.condition(), f.cause());
        if (ev.what != event::kind::healed) ev.code = code_of(f);
        if (f.condition() == connection_condition::scope_missing && f.scope_missing_at())
            ev.detail.append(": ").append(route(*f.scope_missing_at()).name);
        if (!reason.empty()) ev.detail.append(" (").append(reason).append(")");
        context_.report(std::move(ev));
    } catch (std::bad_alloc const&) {
        return;  // the state and the gauges have it
    }
}

void connection_health::check(connection_entry& e) noexcept {
    if (context_.clock.stopped() || !e.state || !e.state->site) return;
    auto f = e.health.load();
    f.on_check_begun();
    e.health.store(f);
    try {
        checks_.begin_check(connections_.holder_of(e));
    } catch (std::bad_alloc const&) {
        on_check_ended(e);  // the next answer of that kind, or round, tries again
    }
}

// The rounds

steady_duration connection_health::round() const noexcept {
    auto const& p = context_.params->health;
    return p.verify ? std::min<steady_duration>(unheard_for(p), look) : steady_duration(look);
}

steady_duration connection_health::pace() const noexcept {
    auto const connections = std::max<std::size_t>(1, connections_.all().size());
    return std::max<steady_duration>(step, round() / static_cast<steady_duration::rep>(connections));
}

void connection_health::on_entered(connection_entry& e) noexcept {
    warn_of_end(e);
    if (!context_.params->health.verify && e.expires.load(std::memory_order_relaxed) == 0) return;
    // The more there are, the sooner.
    if (!scheduled() || later(context_.clock.now(), pace()) < next_look_) look_again(pace());
}

void connection_health::look_again(steady_duration after) noexcept {
    next_look_ = later(context_.clock.now(), after);
    try {
        context_.clock.set(*this, next_look_);
    } catch (std::bad_alloc const&) {
        return;  // the next connection that enters begins anew
    }
}

void connection_health::on_time() {
    auto const& all = connections_.all();
    auto const now = context_.clock.now();
    if (all.empty()) return;  // the next that enters begins anew
    auto const steps = static_cast<std::size_t>(std::max<steady_duration::rep>(1, round() / pace()));
    auto const share = (all.size() + steps - 1) / steps;
    for (std::size_t i = 0; i < share && !all.empty(); ++i) {
        if (next_ >= all.size()) next_ = 0;
        auto const e = all[next_++];  // held: a user who is told of it may remove it
        look_at(*e, now);
    }
    look_again(pace());
}

void connection_health::look_at(connection_entry& e, steady_time now) noexcept {
    warn_of_end(e);
    auto const f = e.health.load();
    if (!context_.params->health.verify || f.checking()) return;
    // Traffic says it as well.
    auto const unheard = unheard_for(context_.params->health);
    if (f.condition() == connection_condition::healthy && f.last_success() > now - unheard) return;
    if (f.condition() == connection_condition::limited && *f.until() > now) return;
    // Only the token endpoint can take that back, and is asked by itself.
    if (f.cause() == condition_cause::token_endpoint) return;
    if (use(e, now) != credential_use::rests) check(e);
}

void connection_health::warn_of_end(connection_entry& e) noexcept {
    auto const expires = e.expires.load(std::memory_order_relaxed);
    if (expires == 0) return;
    std::chrono::sys_seconds const at(std::chrono::seconds{expires});
    auto f = e.health.load();
    auto const days = f.warn(at, context_.clock.wall());
    e.health.store(f);
    if (!days) return;
    try {
        event ev{*days == 0 ? event::kind::credential_expired : event::kind::credential_expiring, e.id, {}};
        ev.detail = *days == 0   ? "the credential is past the end that connection_options::expires_at says"
                    : *days == 1 ? "the credential ends within a day"
                                 : "the credential ends within " + std::to_string(*days) + " days";
        context_.report(std::move(ev));
    } catch (std::bad_alloc const&) {
        return;
    }
}

}  // namespace jirapool::detail
