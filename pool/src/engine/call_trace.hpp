#pragma once

#include "exchange/channel.hpp"
#include "wait/timers.hpp"

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/explanation.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/core/token_fsm.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace jirapool::detail {

/** Where one call's time went: for the counters, and for the caller who asked (request::explain). */
class call_trace {
public:
    /// It begins now. `explains`: may throw bad_alloc, as whatever is noted then.
    call_trace(timers& clock, shard_stats& stats, bool explains);

    steady_time started() const noexcept { return started_; }
    /// The last time that was noted: a moment ago, and a look at the clock is 30 ns.
    steady_time last() const noexcept { return last_; }
    stage last_stage() const noexcept { return last_stage_; }
    /// Of the last exchange.
    steady_time exchange_begun() const noexcept { return exchange_begun_; }

    bool explains() const noexcept { return explanation_ != nullptr; }

    /// What a call waited for at the limiter.
    struct limit_wait {
        limit_scope scope = limit_scope::none;
        std::uint32_t ahead = 0;  ///< calls that waited for permits before this one
        std::string note;         ///< explanation::step::note
    };
    /// All time since the last lap was spent in this stage.
    void lap(stage s);
    void lap(stage s, limit_wait what);

    /// The last lap, before `count`.
    void end() noexcept;

    /// `resend`: why it is not the call's first.
    void begin_exchange(bool reused, token_generation token, std::optional<resend_reason> resend);
    void end_exchange(exchange_report const& report, int status);
    /// The exchange was lost, and the one beside it has the answer.
    void take_hedge(exchange_report const& report, token_generation token);

    /// What calls are told apart by.
    struct sort {
        connection_kind kind;
        route_class route;
        jirapool::priority priority;
    };
    /// The call has ended on this shard: counts it. `trace_id`: Jira's, of its answer; may be empty.
    void count(sort s, outcome o, stage at, std::string_view trace_id) noexcept;
    /// The same of one that never began.
    static void count_unbegun(shard_stats& stats, sort s, outcome o) noexcept;
    /// It went on elsewhere, where it was counted and explained since the last lap.
    void add_what_followed(result<response> const& outcome) noexcept;
    /// Gives the explanation, if one was asked for, with the outcome.
    void explain(result<response>& outcome) noexcept {
        if (explanation_) give(outcome);
    }

private:
    void give(result<response>& outcome) noexcept;
    steady_duration end_lap(stage s) noexcept;
    void spend(stage s, steady_duration d);
    void explain_step(stage s, steady_duration d, limit_wait what);

    timers& clock_;
    shard_stats& stats_;
    std::shared_ptr<explanation> explanation_;
    steady_time const started_;
    steady_time last_;
    steady_time exchange_begun_{};
    std::array<steady_duration, stage_count> spent_{};
    stage last_stage_ = stage::check;
};

}  // namespace jirapool::detail
