#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connection_status.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>

namespace jirapool {

/// What news of a connection lead to.
struct condition_change {
    enum class kind : std::uint8_t {
        none,    ///< nothing that anybody must hear of
        fell,    ///< it does not work any more, or for another reason than before: an event
        healed,  ///< it works again after a fall: an event
    };
    kind what = kind::none;
    /// The answer may mean that the credential or site is bad: `on_check_begun`, and a request with call_purpose::check, is to show it.
    bool check = false;
};

/// Whether a call may use a connection's credential.
enum class credential_use : std::uint8_t {
    goes,   ///< yes
    tries,  ///< it is refused, and this call is the one that finds out whether it still is
    rests,  ///< no: it is refused, and its next try has not come
};

/** What is known of one connection, from the answers that came on it: pure, as token_fsm. Its states are drawn in
    core/doc/0004-connection-states.md.

    One answer that may have another meaning (a 401 may be a missing scope, a 404 of the edge a hiccup) proves nothing: `myself`
    is asked, and its answer decides. A credential that is refused rests: `use` lets one call through after an hour, then two, four,
    up to a day, until one succeeds or the secret is replaced.

    It is 16 bytes that may be copied as such, since there may be a million, and since handles read them from other threads.

    @par Threads   One at a time: it belongs to its shard. */
class connection_fsm {
public:
    connection_condition condition() const noexcept { return static_cast<connection_condition>(condition_); }
    condition_cause cause() const noexcept { return static_cast<condition_cause>(cause_); }
    steady_time since() const noexcept { return moment(since_); }
    /// steady_time::min(): never.
    steady_time last_success() const noexcept { return moment(last_success_); }
    /// Nothing is new about a success at `now`.
    bool knows_success(steady_time now) const noexcept {
        return condition() == connection_condition::healthy && last_success_ == seconds_of(now);
    }
    bool checking() const noexcept { return checking_ != 0; }
    /// The route that lacks one, of scope_missing; nothing: no route in particular.
    std::optional<route_id> scope_missing_at() const noexcept;
    /// See connection_status::ends_within_days.
    std::optional<int> ends_within_days() const noexcept;
    /// See connection_status::until.
    std::optional<steady_time> until() const noexcept;

    /// A call arrives that would use the credential. There is one try at a time: the next comes after a rest that is longer.
    credential_use use(steady_time now) noexcept;
    /// It is refused, and its next try has not come.
    bool rests(steady_time now) const noexcept { return refused() && now < moment(until_); }

    /// An answer came. `pause`: a limit of the site's holds, behind which Jira may take anybody for anonymous.
    condition_change on_answer(answer_sign says, route_id r, connection_kind k, call_purpose p, bool pause,
                               steady_time now) noexcept;
    /// A limit holds up all calls of the connection until then.
    condition_change on_limited(steady_time until, steady_time now) noexcept;
    /// The token endpoint refused the credential for good; it is asked again at `again`.
    condition_change on_token_refused(steady_time again, steady_time now) noexcept;
    condition_change on_token_given(steady_time now) noexcept;
    /// The secret was replaced, or what it depends on: whatever was wrong may be right now. `check` says that it was.
    condition_change on_replaced(steady_time now) noexcept;

    /// A check goes out. It ends with an answer of that purpose, or with on_check_lost.
    void on_check_begun() noexcept { checking_ = 1; }
    void on_check_lost() noexcept { checking_ = doubt_ = 0; }

    /// The days before a credential's end of which nobody was warned yet: 30, 7, 1, or 0 once it is over; each once, the last one
    /// that has come.
    std::optional<int> warn(wall_time expires, wall_time now) noexcept;

private:
    static constexpr std::uint32_t seconds_of(steady_time t) noexcept {
        // Behind the start of the clock, so that 0 is never; what is further off than 136 years is that far.
        constexpr std::int64_t last = std::numeric_limits<std::uint32_t>::max();
        std::int64_t const seconds = std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count();
        return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds + 1, 1, last));
    }
    static constexpr steady_time moment(std::uint32_t seconds) noexcept {
        return seconds == 0 ? steady_time::min() : steady_time(std::chrono::seconds(std::int64_t{seconds} - 1));
    }
    bool refused() const noexcept;
    bool bad() const noexcept;
    condition_change become(connection_condition c, condition_cause why, steady_time now) noexcept;
    condition_change refuse(connection_condition c, condition_cause why, connection_kind k, steady_time now) noexcept;
    condition_change heal(steady_time now) noexcept;
    condition_change on_success(route_id r, steady_time now) noexcept;
    condition_change on_another_scope(steady_time now) noexcept;
    condition_change suspect(route_id r, steady_time now) noexcept;
    condition_change on_checked(answer_sign says, route_id r, connection_kind k, bool pause, steady_time now) noexcept;
    void rest(steady_time now) noexcept;

    std::uint32_t since_ = 0;
    std::uint8_t condition_ : 3 = 0;
    std::uint8_t doubt_ : 1 = 0;  // the check that is under way, or the next one, is because of route_
    std::uint8_t cause_ : 4 = 0;
    std::uint8_t warned_ : 3 = 0;    // of 30, 7, 1 days and the end: how many
    std::uint8_t checking_ : 1 = 0;  // a check is under way
    std::uint8_t told_ : 1 = 0;      // a fall of which no recovery was told
    std::uint8_t tries_ : 3 = 0;     // of a refused credential, or missing scopes in a row
    route_id route_ = 0xffff;        // that lacks a scope; else the last one that led to a check; or none
    // The end of a pause, the next try of a refused credential, or when route_ may lead to a check again.
    std::uint32_t until_ = 0;
    std::uint32_t last_success_ = 0;
};
static_assert(sizeof(connection_fsm) == 16 && std::is_trivially_copyable_v<connection_fsm>);

/// As a handle tells it, but for what the connection's options and its token say.
connection_status status_of(connection_fsm const& f, steady_time now, wall_time wall) noexcept;

}  // namespace jirapool
