#include "engine/call_trace.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace jirapool::detail {

call_trace::call_trace(timers& clock, shard_stats& stats, bool explains)
    : clock_(clock),
      stats_(stats),
      explanation_(explains ? std::make_shared<explanation>() : nullptr),
      started_(clock.now()),
      last_(started_) {}

steady_duration call_trace::end_lap(stage s) noexcept {
    auto const now = clock_.now();
    auto const took = now - last_;
    last_ = now;
    last_stage_ = s;
    spent_[static_cast<std::size_t>(s)] += took;
    return took;
}

void call_trace::lap(stage s) {
    auto const took = end_lap(s);
    if (explanation_) explain_step(s, took, {});
}

void call_trace::lap(stage s, limit_wait what) {
    auto const took = end_lap(s);
    if (explanation_) explain_step(s, took, std::move(what));
}

void call_trace::end() noexcept {
    // An exchange's end is the call's, but for the microsecond in which it was settled.
    if (last_stage_ == stage::body) return;
    try {
        lap(last_stage_);
    } catch (std::bad_alloc const&) {
        return;  // a step less in the explanation: what the call ended with matters more
    }
}

void call_trace::spend(stage s, steady_duration d) {
    spent_[static_cast<std::size_t>(s)] += d;
    if (explanation_) explain_step(s, d, {});
}

void call_trace::explain_step(stage s, steady_duration d, limit_wait what) {
    explanation::step step;
    step.stage = s;
    step.took = d;
    step.scope = what.scope;
    step.ahead = what.ahead;
    step.note = std::move(what.note);
    explanation_->add(step);
}

void call_trace::begin_exchange(bool reused, token_generation token, std::optional<resend_reason> resend) {
    exchange_begun_ = last_;
    if (resend) stats_.resends[static_cast<std::size_t>(*resend)].add();
    if (!explanation_) return;
    if (resend) explanation_->will_resend(*resend);
    explanation_->begin_exchange(reused, token);
}

void call_trace::end_exchange(exchange_report const& report, int status) {
    last_ = clock_.now();
    auto const written = report.written == steady_time{} ? last_ : report.written;
    auto const first = report.first_byte == steady_time{} ? last_ : report.first_byte;
    spend(stage::write, written - exchange_begun_);
    spend(stage::first_byte, first - written);
    spend(stage::body, last_ - first);
    last_stage_ = stage::body;
    if (explanation_) explanation_->end_exchange(report.error.code() ? 0 : status, report.error.code());
    stats_.bytes_sent.add(report.sent);
    stats_.bytes_received.add(report.received);
}

void call_trace::take_hedge(exchange_report const& report, token_generation token) {
    // What the first one lost says nothing of how long the site takes.
    spend(stage::first_byte, report.written - exchange_begun_);
    exchange_begun_ = report.written;
    if (!explanation_) return;
    explanation_->end_exchange(0, make_error_code(errc::channel_lost));
    explanation_->will_resend(resend_reason::hedge);
    explanation_->begin_exchange(false, token);
}

namespace {

native_histogram& count_end(shard_stats& stats, call_trace::sort s, outcome o) noexcept {
    auto const end = static_cast<std::size_t>(o);
    // A request may have any number for a priority; it is refused for that.
    auto const priority = std::min<std::size_t>(static_cast<std::size_t>(s.priority), priority_count - 1);
    stats.calls[static_cast<std::size_t>(s.kind)][static_cast<std::size_t>(s.route)][end].add();
    stats.calls_by_priority[priority][end].add();
    return stats.call_duration[priority];
}

}  // namespace

void call_trace::count_unbegun(shard_stats& stats, sort s, outcome o) noexcept {
    count_end(stats, s, o).observe(steady_duration::zero());
}

void call_trace::count(sort s, outcome o, stage at, std::string_view trace_id) noexcept {
    count_end(stats_, s, o).observe(last_ - started_, trace_id, clock_.wall_at(last_));
    if (o == outcome::timeout) stats_.timeouts[static_cast<std::size_t>(at)].add();
    for (std::size_t i = 0; i < stage_count; ++i)
        if (spent_[i].count() > 0) stats_.stage_duration[i].observe(spent_[i]);
}

void call_trace::add_what_followed(result<response> const& outcome) noexcept {
    if (!explanation_) return;
    try {
        auto const there = outcome ? outcome->explanation() : outcome.error().explanation();
        auto const since = clock_.now() - last_;
        spend(stage::admit, there ? since - there->total() : since);
        if (there) explanation_->append(*there);
    } catch (std::bad_alloc const&) {
        return;  // what it ended with matters more than why it took so long
    }
}

void call_trace::give(result<response>& outcome) noexcept {
    if (outcome) return outcome->set_explanation(std::move(explanation_));
    try {
        outcome = std::move(outcome.error()).with_explanation(std::move(explanation_));
    } catch (std::bad_alloc const&) {
        return;  // what it ended with matters more than why it took so long
    }
}

}  // namespace jirapool::detail
