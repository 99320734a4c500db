#pragma once

#include "engine/connection_list.hpp"
#include "engine/shard_context.hpp"
#include "wait/timers.hpp"

#include <jirapool/core/connection_fsm.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/core/time.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace jirapool::detail {

/// What a connection_health asks of the shard that it is in.
class check_maker {
public:
    /// Sends `request::check` on the connection, behind all calls that wait; its answer comes to connection_health::on_answer as any
    /// other's, and behind its end on_check_ended. May throw bad_alloc.
    virtual void begin_check(std::shared_ptr<connection_entry> const& e) = 0;

protected:
    ~check_maker() = default;
};

/** The states of a shard's connections: moves them by what is heard of each (connection_fsm decides), tells whoever listens, and
    makes the checks that settle a doubt and those that somebody asked for (health_params).

    @par Threads   Its shard's. */
class connection_health final : private timed {
public:
    /// Keeps references: to what the owner has, of which nothing is used once its executor's context is gone.
    connection_health(shard_context& c, connection_list& l, check_maker& m)
        : context_(c), connections_(l), checks_(m) {}
    connection_health(connection_health const&) = delete;
    connection_health& operator=(connection_health const&) = delete;
    ~connection_health() override = default;

    /// See connection_fsm::use.
    credential_use use(connection_entry& e, steady_time now) noexcept;
    /// What a call ends with whose credential rests.
    failure why_not(connection_entry const& e, steady_time now) const;

    /// Jira answered. `pause`: a limit of its site's holds.
    void on_answer(connection_entry& e, answer_sign says, route_id r, call_purpose p, bool pause,
                   steady_time now) noexcept {
        if (says == answer_sign::works && p == call_purpose::answer && e.health.load().knows_success(now)) return;
        hear(e, says, r, p, pause, now);
    }
    /// No call of it gets through until then.
    void on_limited(connection_entry& e, steady_time until) noexcept;
    /// An exchange of its credential for a token ended. `reason`: why there is none.
    void on_token(connection_entry& e, refresh_result r, std::string_view reason) noexcept;
    void on_replaced(connection_entry& e) noexcept;
    void on_check_ended(connection_entry& e) noexcept;
    /// It has entered the list: it may be one that is looked at now and then.
    void on_entered(connection_entry& e) noexcept;

private:
    template <class News>
    void move(connection_entry& e, News news, std::string_view reason = {}) noexcept;
    void hear(connection_entry& e, answer_sign says, route_id r, call_purpose p, bool pause, steady_time now) noexcept;
    void tell(connection_entry const& e, connection_fsm const& f, condition_change::kind what,
              std::string_view reason) noexcept;
    void check(connection_entry& e) noexcept;

    /// In so long all connections are looked at.
    steady_duration round() const noexcept;
    /// From one look to the next.
    steady_duration pace() const noexcept;
    void look_at(connection_entry& e, steady_time now) noexcept;
    void warn_of_end(connection_entry& e) noexcept;
    void look_again(steady_duration after) noexcept;
    void on_time() override;
    void on_stop() override {}

    shard_context& context_;
    connection_list& connections_;
    check_maker& checks_;
    std::size_t next_ = 0;     // the slot that is looked at next
    steady_time next_look_{};  // when
};

}  // namespace jirapool::detail
