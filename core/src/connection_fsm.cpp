#include <jirapool/core/connection_fsm.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// Neither a route that lacks a scope, nor one that led to a check.
constexpr route_id no_route = 0xffff;

// Behind a check that showed nothing wrong no other begins for as long because of the same route: an endpoint that answers 401 to
// each call must not double all calls. Longer while it is known what the credential lacks; and for all other routes together:
constexpr std::chrono::seconds check_pause_of_another = 1min;
constexpr std::chrono::seconds check_pause_of(connection_condition c) noexcept {
    return c == connection_condition::scope_missing ? 1h : 5min;
}

// A refused credential is tried again after an hour, then after twice as long each time.
constexpr auto longest_rest = 24h;

// So many times in a row, behind the first, of a connection that never succeeded.
constexpr unsigned nothing_allowed_after = 2;

// A pause that is shorter is part of ordinary life.
constexpr auto long_pause = 1min;

constexpr std::array warnings = {30, 7, 1, 0};  // days before the end

}  // namespace

bool connection_fsm::refused() const noexcept {
    // While the token endpoint refuses the secret, the token that is held may be good for an hour yet, and whether to ask again is
    // token_fsm's to know.
    return (condition() == connection_condition::credential_rejected && cause() != condition_cause::token_endpoint) ||
           cause() == condition_cause::wrong_host;
}

bool connection_fsm::bad() const noexcept {
    switch (condition()) {
    case connection_condition::unknown:
    case connection_condition::healthy:
    case connection_condition::limited: return false;
    case connection_condition::credential_rejected:
    case connection_condition::scope_missing:
    case connection_condition::misconfigured:
    case connection_condition::site_gone: break;
    }
    return true;
}

std::optional<steady_time> connection_fsm::until() const noexcept {
    if (condition() == connection_condition::limited || condition() == connection_condition::credential_rejected ||
        refused())
        return moment(until_);
    return std::nullopt;
}

std::optional<route_id> connection_fsm::scope_missing_at() const noexcept {
    if (condition() != connection_condition::scope_missing || route_ == no_route) return std::nullopt;
    return route_;
}

std::optional<int> connection_fsm::ends_within_days() const noexcept {
    if (warned_ == 0) return std::nullopt;
    return warnings[warned_ - 1u];
}

credential_use connection_fsm::use(steady_time now) noexcept {
    if (!refused()) return credential_use::goes;
    if (rests(now)) return credential_use::rests;
    rest(now);
    return credential_use::tries;
}

void connection_fsm::rest(steady_time now) noexcept {
    until_ = seconds_of(later(now, std::min<std::chrono::hours>(1h * (1 << tries_), longest_rest)));
    if (tries_ < 7) ++tries_;
}

condition_change connection_fsm::become(connection_condition c, condition_cause why, steady_time now) noexcept {
    if (condition() == c && cause() == why) return {};
    condition_ = static_cast<std::uint8_t>(c) & 7;
    cause_ = static_cast<std::uint8_t>(why) & 0xf;
    since_ = seconds_of(now);
    until_ = 0;
    tries_ = 0;
    told_ = 1;
    return {condition_change::kind::fell};
}

condition_change connection_fsm::refuse(connection_condition c, condition_cause why, connection_kind k,
                                        steady_time now) noexcept {
    // Whichever way it says so: one credential that is refused is one event.
    if (refused() || condition() == connection_condition::credential_rejected) return {};
    auto const change = become(c, why, now);
    // With OAuth each try may take an exchange for a token as well.
    if (k == connection_kind::service_oauth) tries_ = 1;
    rest(now);
    return change;
}

condition_change connection_fsm::heal(steady_time now) noexcept {
    bool const told = told_ != 0;
    become(connection_condition::healthy, condition_cause::none, now);
    route_ = no_route;
    told_ = 0;
    return {told ? condition_change::kind::healed : condition_change::kind::none};
}

condition_change connection_fsm::on_success(route_id r, steady_time now) noexcept {
    last_success_ = seconds_of(now);
    switch (condition()) {
    case connection_condition::healthy: return {};
    case connection_condition::scope_missing: return route_ == no_route || route_ == r ? heal(now) : condition_change();
    case connection_condition::credential_rejected:
        if (cause() == condition_cause::token_endpoint) return {};
        break;
    case connection_condition::unknown:
    case connection_condition::limited:
    case connection_condition::misconfigured:
    case connection_condition::site_gone: break;
    }
    return heal(now);
}

condition_change connection_fsm::suspect(route_id r, steady_time now) noexcept {
    if (checking_ != 0) return {};
    // Another route may speak of something new.
    auto const sooner = r == route_ ? 0s : check_pause_of(condition()) - check_pause_of_another;
    if (until_ != 0 && now < moment(until_) - sooner) return {};
    if (condition() != connection_condition::scope_missing) {
        route_ = r;
        doubt_ = 1;
    }
    return {condition_change::kind::none, true};
}

condition_change connection_fsm::on_answer(answer_sign says, route_id r, connection_kind k, call_purpose p, bool pause,
                                           steady_time now) noexcept {
    if (p == call_purpose::check) {
        checking_ = 0;
        return on_checked(says, r, k, pause, now);
    }
    switch (says) {
    case answer_sign::works: return on_success(r, now);
    case answer_sign::ignored_credential:
        if (pause) break;
        return refuse(connection_condition::credential_rejected, condition_cause::anonymous, k, now);
    case answer_sign::wrong_host:
        return refuse(connection_condition::misconfigured, condition_cause::wrong_host, k, now);
    case answer_sign::refused_credential:
        if (pause || refused()) break;
        return suspect(r, now);
    case answer_sign::lacks_scope:
        if (condition() == connection_condition::scope_missing) return on_another_scope(now);
        if (bad() && !refused()) break;
        route_ = r;
        return become(connection_condition::scope_missing, condition_cause::lacks_scope, now);
    case answer_sign::not_installed:
        if (bad() && condition() != connection_condition::scope_missing) break;
        return suspect(r, now);
    case answer_sign::unknown_site:
        if (bad() && condition() != connection_condition::scope_missing) break;
        return suspect(no_route, now);
    case answer_sign::none:
    case answer_sign::edge_refused:
    case answer_sign::endpoint_removed:
    case answer_sign::xsrf_refused: break;
    }
    return {};
}

condition_change connection_fsm::on_another_scope(steady_time now) noexcept {
    // An unknown cloud ID was seen to be answered so.
    if (last_success_ != 0 || ++tries_ < nothing_allowed_after) return {};
    return become(connection_condition::misconfigured, condition_cause::nothing_allowed, now);
}

condition_change connection_fsm::on_checked(answer_sign says, route_id r, connection_kind k, bool pause,
                                            steady_time now) noexcept {
    // Of the answer that led to the check, if one did.
    bool const led = doubt_ != 0;
    doubt_ = 0;
    auto const doubtful = led ? route_ : no_route;
    condition_change change;
    switch (says) {
    case answer_sign::works:
        change = on_success(r, now);
        // The credential is good, but not there. A token without scopes has none to lack.
        if (doubtful != no_route && k != connection_kind::personal_api_token) {
            route_ = doubtful;
            change = become(connection_condition::scope_missing, condition_cause::lacks_scope, now);
        }
        break;
    case answer_sign::ignored_credential:
        if (pause) break;
        return refuse(connection_condition::credential_rejected, condition_cause::anonymous, k, now);
    case answer_sign::refused_credential:
        if (pause) break;
        return refuse(connection_condition::credential_rejected, condition_cause::unauthorized, k, now);
    case answer_sign::wrong_host:
        return refuse(connection_condition::misconfigured, condition_cause::wrong_host, k, now);
    case answer_sign::lacks_scope:
        // Who has no right to ask who it is may have all others, so this alone is no fault of one that is in use.
        if (condition() == connection_condition::unknown || refused() || doubtful != no_route) {
            route_ = doubtful;
            change = become(connection_condition::scope_missing, condition_cause::lacks_scope, now);
        }
        break;
    case answer_sign::not_installed:
        return become(connection_condition::misconfigured, condition_cause::not_installed, now);
    case answer_sign::unknown_site:
        return become(k == connection_kind::personal_api_token ? connection_condition::site_gone
                                                               : connection_condition::misconfigured,
                      condition_cause::unknown_site, now);
    case answer_sign::none:
    case answer_sign::edge_refused:
    case answer_sign::endpoint_removed:
    case answer_sign::xsrf_refused: break;
    }
    if (condition() == connection_condition::healthy && led) route_ = doubtful;
    if (condition() == connection_condition::scope_missing || led)
        until_ = seconds_of(later(now, check_pause_of(condition())));
    return change;
}

condition_change connection_fsm::on_limited(steady_time until, steady_time now) noexcept {
    if (bad() || until < later(now, long_pause)) return {};
    auto const change = become(connection_condition::limited, condition_cause::limit, now);
    until_ = std::max(until_, seconds_of(until));
    return change;
}

condition_change connection_fsm::on_token_refused(steady_time again, steady_time now) noexcept {
    condition_change change;
    if (condition() == connection_condition::credential_rejected)
        cause_ = static_cast<std::uint8_t>(condition_cause::token_endpoint) & 0xf;
    else change = become(connection_condition::credential_rejected, condition_cause::token_endpoint, now);
    until_ = seconds_of(again);
    return change;
}

condition_change connection_fsm::on_token_given(steady_time now) noexcept {
    return cause() == condition_cause::token_endpoint ? heal(now) : condition_change();
}

condition_change connection_fsm::on_replaced(steady_time now) noexcept {
    warned_ = 0;
    checking_ = doubt_ = 0;
    if (!bad()) return {};
    bool const told = told_ != 0;
    become(connection_condition::unknown, condition_cause::none, now);
    route_ = no_route;
    told_ = told ? 1 : 0;
    return {condition_change::kind::none, true};
}

std::optional<int> connection_fsm::warn(wall_time expires, wall_time now) noexcept {
    auto const come = static_cast<std::uint8_t>(std::count_if(warnings.begin(), warnings.end(), [&](int days) {
        return expires - now <= std::chrono::hours(24 * days);
    }));
    if (come <= warned_) return std::nullopt;
    warned_ = come & 7;
    return warnings[come - 1u];
}

connection_status status_of(connection_fsm const& f, steady_time now, wall_time wall) noexcept {
    auto const as_wall = [&](steady_time t) { return wall + std::chrono::floor<std::chrono::milliseconds>(t - now); };
    connection_status s;
    s.condition = f.condition();
    s.cause = f.cause();
    s.since = f.since() == steady_time::min() ? wall_time() : as_wall(f.since());
    if (auto const until = f.until()) s.until = as_wall(*until);
    if (f.last_success() != steady_time::min()) s.last_success = as_wall(f.last_success());
    s.ends_within_days = f.ends_within_days();
    // Nobody has asked since the pause ended; who asks finds it open.
    if (s.condition == connection_condition::limited && *s.until <= wall) {
        s.condition = connection_condition::healthy;
        s.cause = condition_cause::none;
        s.since = *std::exchange(s.until, std::nullopt);
    }
    return s;
}

}  // namespace jirapool
