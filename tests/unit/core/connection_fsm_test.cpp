#include "support/catch.hpp"

#include <jirapool/core/connection_fsm.hpp>
#include <jirapool/core/random.hpp>

#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

using kind = condition_change::kind;

steady_time const t0{100h};
wall_time const w0{std::chrono::sys_days{std::chrono::year{2026} / 11 / 28}};
constexpr route_id a_route = 3;
constexpr route_id other_route = 4;
constexpr auto personal = connection_kind::personal_api_token;
constexpr auto service = connection_kind::service_api_token;
constexpr auto oauth = connection_kind::service_oauth;

/// A connection that is asked things, of one kind.
struct machine {
    connection_fsm fsm;
    connection_kind kind = service;

    condition_change answer(answer_sign s, steady_time now, route_id r = a_route, bool pause = false) {
        return fsm.on_answer(s, r, kind, call_purpose::answer, pause, now);
    }
    condition_change checked(answer_sign s, steady_time now, bool pause = false) {
        fsm.on_check_begun();
        return fsm.on_answer(s, other_route, kind, call_purpose::check, pause, now);
    }
    /// A doubtful answer and what the check behind it says.
    condition_change both(answer_sign s, answer_sign check, steady_time now) {
        REQUIRE(answer(s, now).check);
        return checked(check, now);
    }
};

}  // namespace

TEST_CASE("connection_fsm: nothing is known at first, and the first success is no news to anybody") {
    machine m;
    CHECK(m.fsm.condition() == connection_condition::unknown);
    CHECK(m.fsm.last_success() == steady_time::min());
    CHECK(m.answer(answer_sign::none, t0).what == kind::none);
    CHECK(m.fsm.condition() == connection_condition::unknown);
    CHECK(m.answer(answer_sign::works, t0 + 1s).what == kind::none);
    CHECK(m.fsm.condition() == connection_condition::healthy);
    CHECK(m.fsm.last_success() == t0 + 1s);
    CHECK(m.fsm.since() == t0 + 1s);
    CHECK(m.fsm.knows_success(t0 + 1s));
    CHECK_FALSE(m.fsm.knows_success(t0 + 2s));
}

TEST_CASE("connection_fsm: what a check behind a doubtful answer leads to") {
    using c = connection_condition;
    struct {
        connection_kind of;
        answer_sign doubtful;
        answer_sign check;
        c becomes;
        condition_cause cause;
    } const rows[] = {
        {service, answer_sign::refused_credential, answer_sign::refused_credential, c::credential_rejected,
         condition_cause::unauthorized},
        {personal, answer_sign::refused_credential, answer_sign::refused_credential, c::credential_rejected,
         condition_cause::unauthorized},
        {personal, answer_sign::refused_credential, answer_sign::ignored_credential, c::credential_rejected,
         condition_cause::anonymous},
        {service, answer_sign::refused_credential, answer_sign::works, c::scope_missing, condition_cause::lacks_scope},
        {personal, answer_sign::refused_credential, answer_sign::works, c::healthy, condition_cause::none},
        {oauth, answer_sign::refused_credential, answer_sign::lacks_scope, c::scope_missing,
         condition_cause::lacks_scope},
        {personal, answer_sign::refused_credential, answer_sign::wrong_host, c::misconfigured,
         condition_cause::wrong_host},
        {service, answer_sign::not_installed, answer_sign::not_installed, c::misconfigured,
         condition_cause::not_installed},
        {service, answer_sign::not_installed, answer_sign::works, c::scope_missing, condition_cause::lacks_scope},
        {personal, answer_sign::unknown_site, answer_sign::unknown_site, c::site_gone, condition_cause::unknown_site},
        {oauth, answer_sign::unknown_site, answer_sign::unknown_site, c::misconfigured, condition_cause::unknown_site},
        {oauth, answer_sign::unknown_site, answer_sign::works, c::healthy, condition_cause::none},
        {oauth, answer_sign::unknown_site, answer_sign::none, c::healthy, condition_cause::none},
        {service, answer_sign::refused_credential, answer_sign::none, c::healthy, condition_cause::none},
    };
    for (auto const& r : rows) {
        INFO(to_string(r.doubtful) << ", then " << to_string(r.check) << " of " << to_string(r.of));
        machine m{{}, r.of};
        m.answer(answer_sign::works, t0);
        auto const change = m.both(r.doubtful, r.check, t0 + 10s);
        CHECK(m.fsm.condition() == r.becomes);
        CHECK(m.fsm.cause() == r.cause);
        CHECK(change.what == (r.becomes == c::healthy ? kind::none : kind::fell));
        CHECK_FALSE(change.check);
        CHECK(m.fsm.since() == (r.becomes == c::healthy ? t0 : t0 + 10s));
        // Whatever it was: it is told once, and once that it is over.
        CHECK(m.checked(r.check, t0 + 20s).what == kind::none);
        auto const healed = m.checked(answer_sign::works, t0 + 30s).what;
        bool const of_route = r.becomes == c::scope_missing;
        CHECK(healed == (r.becomes == c::healthy || of_route ? kind::none : kind::healed));
        if (of_route) CHECK(m.answer(answer_sign::works, t0 + 40s).what == kind::healed);
        CHECK(m.fsm.condition() == c::healthy);
    }
}

TEST_CASE("connection_fsm: an answer as to anybody proves itself, and rests the credential") {
    machine m{{}, personal};
    auto const fell = m.answer(answer_sign::ignored_credential, t0);
    CHECK(fell.what == kind::fell);
    CHECK_FALSE(fell.check);
    CHECK(m.fsm.cause() == condition_cause::anonymous);
    CHECK(m.fsm.rests(t0 + 59min));
    // Calls that were under way bring nothing new.
    for (auto const s : {answer_sign::ignored_credential, answer_sign::refused_credential, answer_sign::wrong_host}) {
        auto const again = m.answer(s, t0 + 1s);
        CHECK(again.what == kind::none);
        CHECK_FALSE(again.check);
    }
    CHECK(m.fsm.cause() == condition_cause::anonymous);
}

TEST_CASE("connection_fsm: behind a 429 a refusal says nothing of the credential") {
    for (auto const s : {answer_sign::ignored_credential, answer_sign::refused_credential}) {
        machine m{{}, personal};
        auto const change = m.answer(s, t0, a_route, true);
        CHECK(change.what == kind::none);
        CHECK_FALSE(change.check);
        CHECK(m.checked(s, t0, true).what == kind::none);
        CHECK(m.fsm.condition() == connection_condition::unknown);
    }
}

TEST_CASE("connection_fsm: a refused credential is tried once at a time, more and more seldom") {
    for (auto const k : {service, oauth}) {
        machine m{{}, k};
        m.both(answer_sign::refused_credential, answer_sign::refused_credential, t0);
        std::vector<steady_time> tries;
        for (auto now = t0; now < t0 + 30 * 24h; now += 5min)
            if (m.fsm.use(now) == credential_use::tries) {
                tries.push_back(now);
                CHECK(m.fsm.use(now + 1s) == credential_use::rests);
                CHECK(m.answer(answer_sign::refused_credential, now).what == kind::none);
            }
        REQUIRE(tries.size() > 20);
        CHECK(tries.size() < 40);
        CHECK(tries.front() - t0 >= (k == oauth ? 2h : 1h));
        for (std::size_t i = 1; i < tries.size(); ++i) {
            CHECK(tries[i] - tries[i - 1] >= 2h);
            CHECK(tries[i] - tries[i - 1] <= 24h + 5min);
        }
        // The try that succeeds is news, and from then on all calls go.
        CHECK(m.answer(answer_sign::works, t0 + 31 * 24h).what == kind::healed);
        CHECK(m.fsm.use(t0 + 31 * 24h) == credential_use::goes);
    }
}

TEST_CASE("connection_fsm: a replaced secret is tried at once, and told of whatever it is worth") {
    for (bool const good : {true, false}) {
        machine m;
        m.both(answer_sign::refused_credential, answer_sign::refused_credential, t0);
        CHECK(m.fsm.on_replaced(t0 + 1min).check);
        CHECK(m.fsm.condition() == connection_condition::unknown);
        CHECK(m.fsm.use(t0 + 1min) == credential_use::goes);
        CHECK(m.checked(good ? answer_sign::works : answer_sign::refused_credential, t0 + 2min).what ==
              (good ? kind::healed : kind::fell));
        CHECK(m.fsm.rests(t0 + 3min) == !good);
    }
    machine well;
    well.answer(answer_sign::works, t0);
    CHECK_FALSE(well.fsm.on_replaced(t0 + 1s).check);
    CHECK(well.fsm.condition() == connection_condition::healthy);
}

TEST_CASE("connection_fsm: an endpoint that answers 401 to each call costs no check for each") {
    for (auto const k : {personal, service}) {
        machine m{{}, k};
        m.answer(answer_sign::works, t0);
        int checks = 0;
        for (auto now = t0; now < t0 + 2h; now += 1s) {
            if (!m.answer(answer_sign::refused_credential, now).check) continue;
            ++checks;
            CHECK_FALSE(m.fsm.checking());
            m.checked(answer_sign::works, now);
        }
        CHECK(checks == (k == personal ? 24 : 2));
        CHECK(m.fsm.condition() ==
              (k == personal ? connection_condition::healthy : connection_condition::scope_missing));
    }
}

TEST_CASE("connection_fsm: another route's 401 behind a check is looked into within a minute, all of them together") {
    machine m;
    m.kind = personal;
    m.answer(answer_sign::works, t0);
    m.both(answer_sign::refused_credential, answer_sign::works, t0);
    CHECK_FALSE(m.answer(answer_sign::refused_credential, t0 + 59s, other_route).check);
    CHECK(m.both(answer_sign::refused_credential, answer_sign::works, t0 + 5min).what == kind::none);
    int checks = 0;
    for (auto now = t0 + 10min; now < t0 + 20min; now += 1s) {
        if (!m.answer(answer_sign::refused_credential, now,
                      now.time_since_epoch().count() % 2 == 0 ? a_route : other_route)
                 .check)
            continue;
        ++checks;
        m.checked(answer_sign::works, now);
    }
    CHECK(checks <= 11);
    // A check that somebody asked for says nothing against the next doubt.
    machine asked;
    asked.checked(answer_sign::works, t0);
    CHECK(asked.answer(answer_sign::refused_credential, t0 + 1s).check);
}

TEST_CASE("connection_fsm: a time that never comes is far off, and not in the past") {
    machine m{{}, oauth};
    m.fsm.on_token_refused(steady_time::max(), t0);
    CHECK(m.fsm.until() > t0 + 24h * 365 * 50);
    CHECK(*status_of(m.fsm, t0, w0).until > w0 + 24h * 365 * 50);
    machine limited;
    limited.answer(answer_sign::works, t0);
    limited.fsm.on_limited(steady_time::max(), t0);
    CHECK(status_of(limited.fsm, t0 + 24h * 365, w0).condition == connection_condition::limited);
    machine early;
    early.answer(answer_sign::works, steady_time());
    CHECK(early.fsm.last_success() == steady_time());
    CHECK(early.fsm.since() == steady_time());
}

TEST_CASE("connection_fsm: one check at a time, and one that is lost is not the last") {
    machine m;
    m.answer(answer_sign::works, t0);
    REQUIRE(m.answer(answer_sign::refused_credential, t0).check);
    m.fsm.on_check_begun();
    CHECK_FALSE(m.answer(answer_sign::refused_credential, t0 + 1s).check);
    m.fsm.on_check_lost();
    CHECK(m.answer(answer_sign::refused_credential, t0 + 2s).check);
}

TEST_CASE("connection_fsm: a missing scope is told of one route, and healed by that route alone") {
    machine m;
    m.answer(answer_sign::works, t0);
    CHECK(m.answer(answer_sign::lacks_scope, t0 + 1s, a_route).what == kind::fell);
    CHECK(m.fsm.scope_missing_at() == a_route);
    CHECK(m.answer(answer_sign::works, t0 + 2s, other_route).what == kind::none);
    CHECK(m.answer(answer_sign::lacks_scope, t0 + 3s, other_route).what == kind::none);
    CHECK(m.fsm.condition() == connection_condition::scope_missing);
    CHECK(m.fsm.last_success() == t0 + 2s);
    CHECK(m.fsm.use(t0 + 3s) == credential_use::goes);
    CHECK(m.answer(answer_sign::works, t0 + 4s, a_route).what == kind::healed);
    CHECK(m.fsm.condition() == connection_condition::healthy);
    CHECK_FALSE(m.fsm.scope_missing_at());
}

TEST_CASE("connection_fsm: a connection that was never let in, whatever it asked, has perhaps a wrong cloud ID") {
    machine m;
    CHECK(m.answer(answer_sign::lacks_scope, t0).what == kind::fell);
    CHECK(m.answer(answer_sign::lacks_scope, t0 + 1s).what == kind::none);
    CHECK(m.answer(answer_sign::lacks_scope, t0 + 2s, other_route).what == kind::fell);
    CHECK(m.fsm.condition() == connection_condition::misconfigured);
    CHECK(m.fsm.cause() == condition_cause::nothing_allowed);
    CHECK(m.fsm.use(t0 + 3s) == credential_use::goes);
    CHECK(m.answer(answer_sign::works, t0 + 3s).what == kind::healed);
    for (int i = 0; i < 9; ++i) m.answer(answer_sign::lacks_scope, t0 + 4s);
    CHECK(m.fsm.condition() == connection_condition::scope_missing);
}

TEST_CASE("connection_fsm: a credential that lacks a scope may be revoked yet") {
    machine m;
    m.answer(answer_sign::works, t0);
    m.answer(answer_sign::lacks_scope, t0 + 1s);
    CHECK(m.both(answer_sign::refused_credential, answer_sign::refused_credential, t0 + 1min).what == kind::fell);
    CHECK(m.fsm.condition() == connection_condition::credential_rejected);
}

TEST_CASE("connection_fsm: who may not ask who it is, but all else, is not ill") {
    machine m;
    m.answer(answer_sign::works, t0);
    for (auto now = t0; now < t0 + 10h; now += 1h) {
        CHECK(m.checked(answer_sign::lacks_scope, now).what == kind::none);
        CHECK(m.fsm.condition() == connection_condition::healthy);
    }
    machine fresh;
    CHECK(fresh.checked(answer_sign::lacks_scope, t0).what == kind::fell);
    CHECK(fresh.answer(answer_sign::works, t0 + 1s, other_route).what == kind::healed);
}

TEST_CASE("connection_fsm: a long pause is a state until its end or the next success, a short one is not") {
    machine m;
    m.answer(answer_sign::works, t0);
    CHECK(m.fsm.on_limited(t0 + 59s, t0).what == kind::none);
    CHECK(m.fsm.condition() == connection_condition::healthy);
    CHECK(m.fsm.on_limited(t0 + 30min, t0).what == kind::fell);
    CHECK(m.fsm.on_limited(t0 + 50min, t0 + 1min).what == kind::none);
    CHECK(m.fsm.on_limited(t0 + 40min, t0 + 2min).what == kind::none);
    CHECK(m.fsm.until() == t0 + 50min);
    CHECK(m.fsm.use(t0 + 3min) == credential_use::goes);
    auto s = status_of(m.fsm, t0 + 49min, w0);
    CHECK(s.condition == connection_condition::limited);
    CHECK(s.until == w0 + 1min);
    s = status_of(m.fsm, t0 + 51min, w0);
    CHECK(s.condition == connection_condition::healthy);
    CHECK(s.since == w0 - 1min);
    CHECK_FALSE(s.until.has_value());
    CHECK(m.answer(answer_sign::works, t0 + 51min).what == kind::healed);
    // No limit hides that a person must act.
    m.answer(answer_sign::ignored_credential, t0 + 52min);
    CHECK(m.fsm.on_limited(t0 + 2h, t0 + 53min).what == kind::none);
    CHECK(m.fsm.condition() == connection_condition::credential_rejected);
}

TEST_CASE("connection_fsm: what the token endpoint refuses only the token endpoint heals") {
    machine m{{}, oauth};
    m.answer(answer_sign::works, t0);
    CHECK(m.fsm.on_token_refused(t0 + 1h, t0 + 1s).what == kind::fell);
    CHECK(m.fsm.until() == t0 + 1h);
    // The token that is held is good yet.
    CHECK(m.fsm.use(t0 + 2s) == credential_use::goes);
    CHECK(m.answer(answer_sign::works, t0 + 2s).what == kind::none);
    CHECK(m.fsm.on_token_refused(t0 + 3h, t0 + 1h).what == kind::none);
    CHECK(m.fsm.condition() == connection_condition::credential_rejected);
    CHECK(m.fsm.on_token_given(t0 + 3h).what == kind::healed);
    CHECK(m.fsm.on_token_given(t0 + 4h).what == kind::none);
    // Refused by both: one event.
    m.answer(answer_sign::ignored_credential, t0 + 5h);
    CHECK(m.fsm.on_token_refused(t0 + 7h, t0 + 5h).what == kind::none);
    CHECK(m.fsm.on_token_given(t0 + 7h).what == kind::healed);
}

TEST_CASE("connection_fsm: of a credential's end is warned 30, 7 and 1 days before and at the end, each once") {
    auto const end = w0 + 365 * 24h;
    std::vector<int> warned;
    machine m;
    for (auto now = w0; now < end + 48h; now += 1h)
        if (auto const days = m.fsm.warn(end, now)) {
            warned.push_back(*days);
            CHECK(end - now <= *days * 24h);
            CHECK(end - now > *days * 24h - 1h);
            CHECK(m.fsm.ends_within_days() == *days);
        }
    CHECK(warned == std::vector{30, 7, 1, 0});
    // A new secret has an end of its own; one that comes late is told what is true by then.
    m.fsm.on_replaced(t0);
    CHECK_FALSE(m.fsm.ends_within_days().has_value());
    CHECK(m.fsm.warn(end, end - 20h) == 1);
    CHECK_FALSE(m.fsm.warn(end, end - 19h).has_value());
    CHECK_FALSE(m.fsm.warn(end, end - 400 * 24h).has_value());  // the wall clock was set back
}

TEST_CASE("connection_fsm: whatever is heard, falls and recoveries take turns, and a refused credential rests") {
    constexpr answer_sign signs[] = {
        answer_sign::none,
        answer_sign::works,
        answer_sign::works,
        answer_sign::works,
        answer_sign::refused_credential,
        answer_sign::ignored_credential,
        answer_sign::wrong_host,
        answer_sign::lacks_scope,
        answer_sign::not_installed,
        answer_sign::unknown_site,
        answer_sign::edge_refused,
        answer_sign::endpoint_removed,
    };
    random_engine random{5};
    auto const below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (int run = 0; run < 300; ++run) {
        machine m{{}, static_cast<connection_kind>(below(3))};
        auto now = t0;
        bool ill = false;
        auto last_try = steady_time::min();
        for (int i = 0; i < 300; ++i) {
            now += std::chrono::seconds(below(4) == 0 ? below(7200) : below(10));
            auto const before = m.fsm.condition();
            condition_change change;
            switch (below(8)) {
            case 0: change = m.fsm.on_limited(now + std::chrono::seconds(below(4000)), now); break;
            case 1:
                if (m.kind == oauth) change = m.fsm.on_token_refused(now + 1h, now);
                break;
            case 2:
                if (m.kind == oauth) change = m.fsm.on_token_given(now);
                break;
            case 3:
                if (below(20) == 0) change = m.fsm.on_replaced(now);
                break;
            case 4:
                if (m.fsm.rests(now)) break;
                change = m.checked(signs[below(std::size(signs))], now, below(5) == 0);
                break;
            default: {
                auto const use = m.fsm.use(now);
                if (use == credential_use::rests) break;
                if (use == credential_use::tries) {
                    CHECK((last_try == steady_time::min() || now - last_try >= 1h));
                    last_try = now;
                }
                change = m.answer(signs[below(std::size(signs))], now, static_cast<route_id>(below(3)), below(5) == 0);
                if (m.fsm.condition() != before && m.fsm.condition() == connection_condition::credential_rejected)
                    last_try = now;
            }
            }
            if (change.what == kind::healed) {
                CHECK(ill);
                ill = false;
                CHECK(m.fsm.condition() == connection_condition::healthy);
                last_try = steady_time::min();
            }
            if (change.what == kind::fell) {
                ill = true;
                last_try = steady_time::min();
                CHECK(m.fsm.condition() != connection_condition::healthy);
                CHECK((m.fsm.condition() != before || before != connection_condition::healthy));
            }
            if (m.fsm.condition() == connection_condition::healthy) CHECK_FALSE(ill);
            if (m.fsm.condition() == connection_condition::unknown) last_try = steady_time::min();
            CHECK((m.fsm.condition() == connection_condition::healthy || m.fsm.condition() == before ||
                   change.what != kind::none || m.fsm.condition() == connection_condition::unknown));
            auto const s = status_of(m.fsm, now, w0);
            CHECK(s.since <= w0);
            CHECK_FALSE(s.describe().empty());
        }
    }
}

TEST_CASE("connection_fsm: every condition and cause has a name of its own") {
    std::set<std::string> names;
    for (std::size_t i = 0; i < connection_condition_count; ++i)
        names.insert(to_string(static_cast<connection_condition>(i)));
    CHECK(names.size() == connection_condition_count);
    names.clear();
    for (std::size_t i = 0; i < condition_cause_count; ++i) names.insert(to_string(static_cast<condition_cause>(i)));
    CHECK(names.size() == condition_cause_count);
    names.clear();
    for (std::size_t i = 0; i < answer_sign_count; ++i) names.insert(to_string(static_cast<answer_sign>(i)));
    CHECK(names.size() == answer_sign_count);
}
