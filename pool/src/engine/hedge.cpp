#include "engine/hedge.hpp"

#include "engine/shard.hpp"
#include "wait/spawn.hpp"

#include <new>

namespace jirapool::detail {

hedge::hedge(std::weak_ptr<shard> home, std::shared_ptr<shard_context> c, std::shared_ptr<connection_entry> e,
             std::shared_ptr<connection_state> s, request const& r, steady_time deadline, channel& first,
             response const& first_answer, std::shared_ptr<call_spans const> spans, unsigned resends)
    : home_(std::move(home)),
      context_(std::move(c)),
      entry_(std::move(e)),
      state_(std::move(s)),
      request_(r),
      match_(classify_route(request_.method(), request_.target())),
      deadline_(deadline),
      spans_(std::move(spans)),
      resends_(resends),
      first_(&first),
      first_answer_(&first_answer) {}

void hedge::begin() { spawn(context_, context_->clock, context_->executor, run(shared_from_this())); }

void hedge::abandon() noexcept {
    first_ = nullptr;
    waiter_ = nullptr;  // it may be gone: who waits is destroyed with the coroutine that does
    if (exchanging_) lease_.channel().interrupt(answer_);
    else if (ended_) lease_.end(report_);  // nobody took its answer
}

asio::awaitable<wake> hedge::wait(steady_time deadline, asio::cancellation_type heeds) {
    wait_point point(context_->clock, context_->executor);
    waiter_ = &point;
    wake why = wake::notified;
    if (!ended_) why = co_await point.wait(deadline, heeds);
    waiter_ = nullptr;
    co_return why;
}

asio::awaitable<void> hedge::run(std::shared_ptr<hedge> self) {
    try {
        co_await self->ask();
    } catch (std::bad_alloc const&) {
        self->lease_.close(close_reason::abandoned);
        self->span_.end(lack_of_memory().code(), self->answer_);
    }
    self->exchanging_ = false;
    self->ended_ = true;
    if (self->waiter_ != nullptr) self->waiter_->notify();
    if (self->answered_ && self->first_ != nullptr) self->first_->interrupt(*self->first_answer_);
    if (self->first_ == nullptr) self->lease_.end(self->report_);
}

asio::awaitable<void> hedge::ask() {
    lease_ = co_await state_->origin->dial_for(&state_->flow());
    auto const* const tokens = entry_->token.get();
    bool const wanted = first_ != nullptr && !entry_->removed &&
                        (tokens == nullptr || tokens->fsm.usable(context_->clock.now()));
    if (!lease_ || !wanted || !permitted()) {
        lease_.give_back();
        co_return;
    }
    if (tokens != nullptr) token_ = tokens->current;
    auto in = input_of(request_, *entry_, *state_, token_.get(), deadline_);
    context_->stats->resends[static_cast<std::size_t>(resend_reason::hedge)].add();
    sent_ = exchanging_ = true;
    if (spans_)
        in.traceparent = span_.begin(*spans_, request_, lease_.channel().version(), resends_, resend_reason::hedge);
    report_ = co_await lease_.channel().exchange(&in, &answer_);
    span_.end(report_.error.code(), answer_);
    // What asks for another exchange is nothing to end the first one for.
    answered_ = !report_.error.code() && answer_.status() < 500 && answer_.status() != 429 && answer_.status() != 401;
    state_->site->current().limiter.on_done(match_.route);
    entry_->in_flight.fetch_sub(1, std::memory_order_relaxed);
    // What the call takes over it learns from itself.
    if (!report_.error.code() && !answered_)
        if (auto const home = home_.lock()) home->learn(entry_, *state_, match_, answer_, context_->clock.now());
    if (!answered_) lease_.end(report_);
}

bool hedge::permitted() {
    auto const home = home_.lock();
    if (!home || state_->site->current().left()) return false;
    auto& limiter = state_->site->current().limiter;
    auto const now = context_->clock.now();
    std::shared_ptr<budget_share> over_sites;
    admit_waiter w(limiter, match_, request_.priority(), home->quotas_of(*entry_, *state_, over_sites),
                   {entry_->channel_to()}, *entry_, entry_->in_flight, context_->clock, context_->executor);
    if (limiter.admit(w, now, now).what != admission::kind::now) return false;
    entry_->in_flight.fetch_add(1, std::memory_order_relaxed);
    return true;
}

}  // namespace jirapool::detail
