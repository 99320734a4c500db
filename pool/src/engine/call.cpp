#include "engine/call_entry.hpp"
#include "engine/call_spans.hpp"
#include "engine/call_trace.hpp"
#include "engine/engine.hpp"
#include "engine/hedge.hpp"
#include "engine/shard.hpp"
#include "exchange/sink_stream.hpp"
#include "exchange/source_stream.hpp"
#include "wait/spawn.hpp"

#include <jirapool/core/answer.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/settling.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <atomic>
#include <new>
#include <optional>

namespace jirapool::detail {

namespace {

class counted {
public:
    explicit counted(gauge& g) noexcept : gauge_(g) { g.add(1); }
    ~counted() { gauge_.add(-1); }
    counted(counted const&) = delete;
    counted& operator=(counted const&) = delete;

private:
    gauge& gauge_;
};

}  // namespace

/** One call on its road (pool/README.md): admit, token, lease, exchange, settle; a resend goes back to admit.
    Lives in the call's coroutine. */
class call_run final : slow_watch {
public:
    call_run(shard& s, shard_context& c, std::shared_ptr<connection_entry> e, request&& r, body_streams&& b,
             std::atomic<bool>* maybe_processed)
        : shard_(s),
          context_(c),
          stats_(*c.stats),
          entry_(std::move(e)),
          state_(entry_->state),
          request_(std::move(r)),
          match_(classify_route(request_.method(), request_.target())),
          trace_(c.clock, stats_, request_.explains()),
          settling_(changes_something()),
          deadline_(deadline_after(trace_.started(),
                                   request_.timeout().value_or(std::chrono::milliseconds(state_->timeout_ms)))),
          told_processed_(maybe_processed) {
        streams_ = b;
        if (b.sink)
            sink_ = std::make_unique<sink_stream>(std::move(b.sink), &has_what_was_asked, c.clock, c.executor,
                                                  params().wire.max_ratio);
        if (b.source) source_ = std::make_unique<source_stream>(std::move(b.source), c.clock, c.executor);
        stats_.calls_in_flight.add(1);
    }
    call_run(call_run const&) = delete;
    call_run& operator=(call_run const&) = delete;
    ~call_run() {
        if (spans_) spans_->abandon();
        end_hedge();
        hold_no_more();
        give_permit_back();
        stats_.calls_in_flight.add(-1);
        shard_.on_call_ended();
    }

    /// All but the counting: `outcome` does that, whatever this ends with.
    asio::awaitable<void> until_done() {
        if (params().spans) spans_ = call_spans::begin(params().spans, *entry_, request_, match_.route);
        errc code{};
        if (char const* const rule = why_not(code)) {
            failure_ = fail({code, rule}, stage::check);
            co_return;
        }
        if (!may_use_credential()) co_return;
        site().budget.on_call(params().retries);
        state_->origin->budget().on_call(params().retries);
        state_->origin->hedges().on_call(params().retries.hedge_percent / 100, most_hedges);
        for (auto step = next::again; step != next::end;) {
            if (site().left()) {
                co_await follow_the_site();
                co_return;
            }
            {
                // What ends at once needs no coroutine of its own: they are most of what a call costs in here.
                admit_waiter w(site().limiter, match_, request_.priority(), quotas(), may_wait_for(), *entry_,
                               entry_->in_flight, context_.clock, context_.executor);
                admission word;
                step = ask_for_permit(w, word);
                if (step == next::wait) step = co_await wait_for_permit(&w, word);
            }
            if (step != next::go_on) continue;
            step = lease_at_once();
            if (step == next::wait) {
                step = co_await take_lease();
                hold_no_more();
            }
            if (step != next::go_on) continue;
            auto const state = co_await asio::this_coro::cancellation_state;
            step = before_exchange(so_far(state));
            if (step != next::go_on) continue;
            // From here on total cancellation, which promises no effect, can no longer be kept.
            heeds_ = while_exchanging;
            exchange_input const in = begin_exchange();
            exchange_report report = co_await lease_.channel().exchange(&in, &response_);
            if (spans_) spans_->exchange.end(report.error.code(), response_);
            if (hedge_) co_await settle_hedge(&report);
            trace_.end_exchange(report, response_.status());
            step = settle(report);
            if (step == next::wait) step = co_await back_off();
        }
    }

    /// When until_done threw bad_alloc.
    void without_memory() noexcept {
        // The channel goes with it, if there is one: nobody knows how far it came.
        lease_.close(close_reason::abandoned);
        have_answer_ = false;
        failure_ = fail(lack_of_memory(), trace_.last_stage());
        if (spans_) spans_->exchange.end(failure_.code(), response_);
    }

    /// What the call ends with. Once, behind until_done.
    result<response> outcome() noexcept {
        if (have_answer_ && !followed_) tell_of_exchanges();
        auto const how = have_answer_ ? outcome_of(response_.status()) : outcome_of(failure_.code());
        auto const where = failure_.stage();  // now: the error of a result is a copy, which takes memory
        if (spans_) spans_->end(have_answer_ ? error_code() : failure_.code(), response_, settling_.exchanges());
        if (!followed_) {
            trace_.end();
            // A check may be nobody's call: it has a counter of its own.
            if (request_.purpose() == call_purpose::check) stats_.checks[static_cast<std::size_t>(how)].add();
            else count(how, where);
        }
        auto outcome = have_answer_ ? result<response>(std::move(response_)) : result<response>(std::move(failure_));
        if (followed_) trace_.add_what_followed(outcome);
        trace_.explain(outcome);
        return outcome;
    }

private:
    void count(jirapool::outcome how, stage where) noexcept {
        std::string_view trace_id;
        if (trace_.last() - trace_.started() >= always_exemplary || context_.take_exemplar_turn(trace_.last()))
            trace_id = have_answer_ ? response_.trace_id() : std::string_view(failure_.trace_id());
        trace_.count({entry_->kind, class_of(match_.route), request_.priority()}, how, where, trace_id);
        site().count(fault_of(how, where));
    }

    // A call that takes so long is one that somebody will ask for. Of the others some a second are enough.
    static constexpr auto always_exemplary = std::chrono::seconds(1);

    // What an origin's calls may have saved up.
    static constexpr double most_hedges = 10;

    /// What a step of the road leads to.
    enum class next : std::uint8_t {
        go_on,
        wait,   ///< what the step asked for is not there yet: its other half waits for that
        again,  ///< from the permit on
        end,    ///< with the answer, if there is one; else failure_ says why
    };

    /// An answer that is at hand (429, 503) tells the caller more than that there was no time to ask again.
    next end_with(failure f) noexcept {
        failure_ = std::move(f);
        return next::end;
    }

    /// Behind each wait: the one place where a call sees that it is cancelled, or its connection removed.
    next woken(wake why, stage where) {
        if (why != wake::cancelled && !entry_->removed) return next::go_on;
        return end_with(entry_->removed ? fail(errc::connection_removed, where) : interrupted(why, where));
    }

    /// What `woken` is told where nothing was waited for.
    wake so_far(asio::cancellation_state const& s) const noexcept {
        return (s.cancelled() & heeds_) != asio::cancellation_type::none ? wake::cancelled : wake::notified;
    }

    // 1. Check

    char const* why_not(errc& code) const noexcept {
        if (request_.priority() != priority::interactive && request_.priority() != priority::background) {
            code = errc::invalid_argument;
            return "request::priority must be one of its enumerators";
        }
        if (request_.timeout() && request_.timeout()->count() <= 0) {
            code = errc::invalid_argument;
            return "request::timeout must be greater than 0";
        }
        if (source_ && !request_.body().empty()) {
            code = errc::invalid_argument;
            return "a call must not have both a body and a source of one";
        }
        if (source_ && (request_.method() == method::get || request_.method() == method::head)) {
            code = errc::body_not_allowed;
            return "a source must not be given for GET and HEAD: Jira's edge refuses their bodies";
        }
        return why_invalid(request_, code);
    }

    /// False: it is refused and rests. A check goes out all the same.
    bool may_use_credential() {
        tries_credential_ = request_.purpose() == call_purpose::check;
        if (tries_credential_) return true;
        auto const may = shard_.health().use(*entry_, trace_.last());
        tries_credential_ = may == credential_use::tries;
        if (may == credential_use::rests)
            failure_ = fail(shard_.health().why_not(*entry_, trace_.last()), stage::check);
        return may != credential_use::rests;
    }

    // 2. Admit

    /// What the limiter says at once. Go on: a permit is held; wait: `w` does, as `word` says.
    next ask_for_permit(admit_waiter& w, admission& word) {
        if (woken(wake::notified, stage::admit) == next::end) return next::end;
        auto const now = trace_.last();
        ahead_ = site().limiter.waiting();
        word = site().limiter.admit(w, now, last_useful_permit());
        if (word.shadow == admission::kind::wait) stats_.shadow_waits.observe(word.at - now);
        if (word.shadow == admission::kind::refused) stats_.shadow_refusals.add();
        switch (word.what) {
        case admission::kind::now:
            permit_ = true;
            entry_->in_flight.fetch_add(1, std::memory_order_relaxed);
            return next::go_on;
        case admission::kind::wait: return next::wait;
        case admission::kind::refused: return end_too_late(word, w, now);
        case admission::kind::full: break;
        }
        stats_.limit_queue_full.add();
        return end_with(fail({errc::queue_full, "limit_params::max_waiting calls of the site wait for permits"},
                             stage::admit)
                            .with_retry_after(std::chrono::ceil<std::chrono::milliseconds>(word.at - now)));
    }

    /// Behind an ask_for_permit that said so.
    asio::awaitable<next> wait_for_permit(admit_waiter* w, admission word) {
        stats_.limit_waits.add();
        // Before the wait: it says what the call began to wait for.
        auto note = trace_.explains() ? site().limiter.describe(word.scope, w->needs(), trace_.last()) : std::string();
        site().pump();
        wake why = wake::notified;
        if (!w->permitted) {
            counted const here(stats_.limit_waiting);
            why = co_await w->point.wait(last_useful_permit(), heeds_);
        }
        permit_ = w->permitted;
        trace_.lap(stage::admit, {word.scope, static_cast<std::uint32_t>(ahead_), std::move(note)});
        if (!permit_ && w->moved) co_return next::again;
        if (!permit_) {
            site().limiter.remove(*w);
            site().pump();
        }
        auto const step = woken(why, stage::admit);
        if (step == next::end || permit_) co_return step;
        auto const now = context_.clock.now();
        co_return end_too_late(word, *w, now);
    }

    next end_too_late(admission const& word, admit_waiter const& w, steady_time now) {
        // Its failed dials took the permits: they say more.
        if (lost_dials_ > 0) return next::end;
        return end_with(limited_past_deadline(word.at - now, word.scope,
                                              site().limiter.describe(word.scope, w.needs(), now)));
    }

    /// A permit, token or channel later than this would be spent on an exchange that ends behind the deadline.
    steady_time last_useful_permit() const noexcept {
        // A site whose exchanges take long must not refuse all that waits: at most a quarter of the call's time is kept.
        return deadline_ - std::min(site().exchange_time.likely(), (deadline_ - trace_.started()) / 4);
    }

    failure limited_past_deadline(steady_duration come_back, limit_scope scope, std::string const& note) {
        stats_.limited_past_deadline.add();
        auto rule = std::string("its turn comes too late at the limit of its ") + to_string(scope);
        if (!note.empty()) rule.append(": ").append(note);
        auto f = fail({errc::limited_past_deadline, std::move(rule)}, stage::admit);
        // A turn that should have come by now says nothing of when it will.
        if (come_back <= steady_duration::zero()) return f;
        return std::move(f).with_retry_after(std::chrono::ceil<std::chrono::milliseconds>(come_back));
    }

    held_set may_wait_for() const noexcept {
        auto const channel = entry_->channel_to();
        return lacks_token() ? held_set{held_for::token, channel} : held_set{channel};
    }
    /// The permit waits for a token or a channel.
    void hold(held_for what) noexcept {
        if (held_) site().limiter.on_sent(match_.route, *held_);
        site().limiter.on_held(match_.route, what);
        held_ = what;
    }
    void hold_no_more() noexcept {
        if (!held_) return;
        site().limiter.on_sent(match_.route, *std::exchange(held_, std::nullopt));
        if (site().limiter.waiting() > 0) site().pump();
    }

    /// It is another shard's now, and so is this call, with what is left of its time.
    asio::awaitable<void> follow_the_site() {
        auto const left = std::chrono::floor<std::chrono::milliseconds>(deadline_ - context_.clock.now());
        if (left <= left.zero()) {
            if (!have_answer_) failure_ = interrupted(wake::timeout, stage::admit);
            co_return;
        }
        followed_ = true;
        if (told_processed_ && changes_something()) *told_processed_ = true;  // whoever has it there says more
        sink_.reset();
        source_.reset();
        request_ = std::move(request_).timeout(left);
        if (spans_ && !spans_->traceparent().empty())
            request_ = std::move(request_).traceparent(std::string(spans_->traceparent()));
        auto const state = co_await asio::this_coro::cancellation_state;
        auto entry = call_entry::prepare(entry_, std::move(request_), std::move(streams_), context_.executor,
                                         state.slot());
        if (!entry) throw std::bad_alloc();  // the call says so
        auto there = co_await call_entry::awaited(std::move(entry));
        bool const maybe_done = settling_.maybe_processed();
        if (there) {
            there->set_exchanges(settling_.exchanges() + there->exchanges(),
                                 maybe_done || there->maybe_processed_before());
            response_ = std::move(*there);
            have_answer_ = true;
        } else if (have_answer_ && there.error().stage() < stage::write) {
            tell_of_exchanges();
        } else {
            failure_ = there.error();
            if (maybe_done) failure_ = std::move(failure_).with_maybe_processed(true);
            have_answer_ = false;
        }
    }

    void give_permit_back() noexcept {
        if (!std::exchange(permit_, false)) return;
        site().limiter.on_done(match_.route);
        entry_->in_flight.fetch_sub(1, std::memory_order_relaxed);
    }

    // 3. Token

    bool lacks_token() const noexcept { return entry_->token && !entry_->token->fsm.usable(context_.clock.now()); }

    /// Of an OAuth connection. Go on: a usable one is held now.
    asio::awaitable<next> have_token() {
        auto& source = *entry_->token;
        auto const state = co_await asio::this_coro::cancellation_state;
        wake why = so_far(state);
        for (bool waited = false;;) {
            auto const step = woken(why, stage::token);
            if (step != next::go_on) co_return step;
            if (why == wake::timeout) co_return end_with(no_token());
            auto const now = context_.clock.now();
            auto const need = source.fsm.on_need(now);
            if (need == token_need::use_and_refresh || need == token_need::refresh_then_wait)
                shard_.tokens().spawn(entry_, state_);
            if (need == token_need::use || need == token_need::use_and_refresh) co_return next::go_on;
            if (need == token_need::refused)
                co_return end_with(fail({errc::credential_refused, source.why_failed()}, stage::token));
            // The certificate of an own host that is refused ends a call as soon.
            if (source.fsm.out_of_reach()) {
                auto text = source.why_failed();
                if (text.empty()) text = "the certificate of " + std::string(auth_host) + " is refused";
                co_return end_with(fail({errc::token_unavailable, std::move(text)}, stage::token));
            }
            auto const useful = last_useful_permit();
            auto const next_try = source.fsm.refreshing() ? now : source.fsm.next_refresh(true);
            if (next_try != steady_time::max() && next_try >= useful)
                co_return end_with(
                    no_token().with_retry_after(std::chrono::ceil<std::chrono::milliseconds>(next_try - now)));
            if (!std::exchange(waited, true) && !std::exchange(waited_for_token_, true)) {
                stats_.token_waits.add();
                if (source.fsm.generation() == 0) stats_.token_waits_at_start.add();
            }
            why = co_await source.wait(useful, heeds_);
            trace_.lap(stage::token);
        }
    }

    failure no_token() const {
        failure f(errc::token_unavailable, entry_->token->why_failed());
        if (f.rule().empty()) f = std::move(f).with_peer(std::string(auth_host));
        return fail(std::move(f), stage::token);
    }

    // 4. Lease

    /// As nearly always: the token is good, and a channel idle.
    next lease_at_once() {
        auto const* const token = entry_->token.get();
        if (token != nullptr && !token->fsm.at_rest(trace_.last())) return next::wait;
        lease_ = state_->origin->try_acquire(state_->flow(), trace_.last());
        if (!lease_) return next::wait;
        if (token != nullptr) bearer_ = token->current;
        return next::go_on;
    }

    /// The token comes before the lease, and is looked at once more behind it: it may have run out in the queue.
    asio::awaitable<next> take_lease() {
        for (;;) {
            if (entry_->token) {
                if (lacks_token()) hold(held_for::token);
                auto const step = co_await have_token();
                if (step != next::go_on) co_return step;
            }
            hold(entry_->channel_to());
            lease_result got = co_await state_->origin->acquire(&state_->flow(), last_useful_permit(), heeds_,
                                                                entry_.get());
            trace_.lap(stage::lease);
            // Whatever kept the channel away. Who is cancelled is told so by the pool as well.
            if (!got.lease && entry_->removed) co_return woken(wake::notified, stage::lease);
            if (!got.lease) co_return without_channel(std::move(got.error));
            lease_ = std::move(got.lease);
            if (!entry_->token) co_return next::go_on;
            if (entry_->token->fsm.usable(context_.clock.now())) {
                bearer_ = entry_->token->current;
                co_return next::go_on;
            }
            lease_.give_back();
        }
    }

    /** No channel could be opened: nothing was sent, so any request may try again, and it is no resend. The origin's own
        backoff holds the next dial back, and with it whoever waits for one. */
    next without_channel(failure why) {
        give_permit_back();
        auto const ec = why.code();
        bool const dial_failed = ec == errc::connect_failed || ec == errc::resolve_failed || ec == errc::tls_failed ||
                                 ec == boost::system::errc::not_enough_memory;
        // Why there is no channel says more than that none came in time.
        if (ec != errc::timeout || lost_dials_ == 0) failure_ = fail(std::move(why), stage::lease);
        if (!dial_failed) return next::end;
        ++lost_dials_;
        // A refused connection may end any moment. A name or a certificate that is wrong is likely to stay so.
        bool const again = ec == errc::connect_failed || lost_dials_ < params().retries.max_exchanges;
        if (again) stats_.resends[static_cast<std::size_t>(resend_reason::dial_failed)].add();
        return again ? next::again : next::end;
    }

    // 5. Exchange

    /// A permit and a channel are there, and nothing came between.
    next before_exchange(wake so_far) {
        auto step = woken(so_far, stage::lease);
        if (step == next::go_on) {
            // Paused or gone since the permit, in the wait for a token or a channel: nothing enters a paused scope.
            if (site().left() || !site().limiter.open(match_, quotas(), trace_.last())) step = next::again;
            // In time for the deadline when it was permitted, and perhaps no more.
            else if (trace_.last() >= deadline_) step = end_with(interrupted(wake::timeout, stage::lease));
            // So long did it wait that Jira has refused the credential meanwhile.
            else if (!tries_credential_ && entry_->health.load().rests(trace_.last()))
                step = end_with(fail(shard_.health().why_not(*entry_, trace_.last()), stage::lease));
        }
        if (step != next::go_on) lease_.give_back();
        if (step == next::again) give_permit_back();
        return step;
    }

    exchange_input begin_exchange() {
        lost_dials_ = 0;
        have_answer_ = false;
        auto in = input_of(request_, *entry_, *state_, bearer_.get(), deadline_);
        in.source = source_.get();
        in.sink = sink_.get();
        watch_for_slowness(in);
        reused_ = lease_.channel().exchanges > 0;
        had_served_ = lease_.channel().served;
        // What for is counted now, not when it was planned: a limit or the deadline may have come between.
        auto const reason = std::exchange(resends_for_, std::nullopt);
        trace_.begin_exchange(reused_, token_sent(), reason);
        if (spans_)
            in.traceparent = spans_->exchange.begin(*spans_, request_, lease_.channel().version(),
                                                    settling_.exchanges(), reason);
        settling_.on_begun();
        tell_processed();
        return in;
    }

    /// Whoever ends the call when this is destroyed in the middle of it.
    void tell_processed() noexcept {
        if (told_processed_) told_processed_->store(settling_.maybe_processed(), std::memory_order_relaxed);
    }

    token_generation token_sent() const noexcept { return bearer_ ? bearer_->generation : 0; }

    void watch_for_slowness(exchange_input& in) noexcept {
        if (sink_ || source_ || hedged_ || changes_something() || !may_resend()) return;
        auto const after = hedge_after(params().retries, site().exchange_time.likely());
        if (!after) return;
        in.slow = this;
        in.slow_after = *after;
    }

    void on_slow() noexcept override {
        auto& origin = *state_->origin;
        if (entry_->removed || hedged_ || site().left() || !origin.hedges().can_take()) return;
        try {
            auto const now = context_.clock.now();
            if (now >= last_useful_permit() || !site().limiter.open(match_, quotas(), now)) return;
            hedge_ = std::make_shared<hedge>(shard_.weak_from_this(), shard_.context(), entry_, state_, request_,
                                             deadline_, lease_.channel(), response_, spans_, settling_.exchanges());
            hedge_->begin();
        } catch (std::bad_alloc const&) {
            hedge_.reset();
            return;
        }
        hedged_ = true;
        origin.hedges().take();
    }

    /// The first exchange has ended: by itself, or because the other one was faster.
    asio::awaitable<void> settle_hedge(exchange_report* report) {
        auto const ec = report->error.code();
        // A limit of the first one's stage ends that alone.
        bool const alone = ec == errc::channel_lost || (ec == errc::timeout && context_.clock.now() < deadline_);
        if (alone && !hedge_->ended()) {
            wake const why = co_await hedge_->wait(deadline_, heeds_);
            if (why == wake::cancelled) report->error = interrupted(why, stage::first_byte);
        }
        if (hedge_->sent()) settling_.on_hedged();
        if (report->error.code() && hedge_->answered()) use_hedge(report);
        end_hedge();
    }

    void use_hedge(exchange_report* report) {
        auto const first = std::move(*report);
        lease_.distrust(trace_.exchange_begun());
        state_->origin->close_unheard_since(trace_.exchange_begun());
        lease_ = hedge_->take_lease();
        response_ = hedge_->take_answer();
        bearer_ = hedge_->token();
        *report = hedge_->report();
        report->sent += first.sent;
        report->received += first.received;
        reused_ = false;
        trace_.take_hedge(*report, token_sent());
    }

    void end_hedge() noexcept {
        if (!hedge_) return;
        hedge_->abandon();
        // What was taken for it before its dial; abandoned, it sends nothing more.
        if (!hedge_->sent()) state_->origin->hedges().on_call(1, most_hedges);
        hedge_.reset();
    }

    // 6. and 7. Classify, settle

    /// Wait: for the time of a resend.
    next settle(exchange_report& report) {
        have_answer_ = !report.error.code();
        if (have_answer_) report.unprocessed = not_processed(response_, reused_);
        lease_.end(report);
        give_permit_back();

        exchange_end end;
        end.error = report.error.code();
        end.caller_failed = report.caller_failed;
        end.unprocessed = report.unprocessed;
        end.reused = had_served_;
        end.silent = !report.read;
        end.announced = report.announced;
        end.channel_lives = report.reusable;
        end.refused = report.refused;
        end.turned_away = report.turned_away;
        if (have_answer_) take_in_answer(end);
        auto const verdict = settling_.settle(end, means_of_resend(end), params().retries, context_.random);
        tell_processed();
        if (verdict.over_budget) stats_.resends_over_budget.add();
        auto what = verdict.what;
        if (what == settlement::kind::deliver) return next::end;
        if (what == settlement::kind::resend && source_ && !source_->rewind()) what = verdict.otherwise;
        if (what == settlement::kind::fail) {
            failure_ = have_answer_ ? anonymous_answer() : failed_exchange(report);
            have_answer_ = false;
        }
        if (what != settlement::kind::resend) return next::end;
        if (verdict.costs_budget) {
            site().budget.take(verdict.site_overdraft);
            state_->origin->budget().take(verdict.origin_overdraft);
        }
        resends_for_ = verdict.reason;
        resend_at_ = verdict.at;
        return next::wait;
    }

    /// What an answer says beside what the caller gets: to the limiter, the token and the connection.
    void take_in_answer(exchange_end& end) {
        // How long a file takes says nothing of the next call.
        if (!sink_ && !source_) site().exchange_time.observe(trace_.last() - trace_.exchange_begun());
        end.retry_after = shard_.learn(entry_, *state_, match_, response_, trace_.last()).retry_after;
        auto const verdict = judge(response_, entry_->kind);
        end.answer = verdict.what;
        stats_.answers[static_cast<std::size_t>(end.answer)].add();
        if (response_.status() == 401) stats_.answered_401.add();
        auto* const token = entry_->token.get();
        switch (end.answer) {
        case answer_class::delivered:
            if (bearer_) token->fsm.on_accepted(bearer_->generation, trace_.last());
            if (response_.ok() && entry_->kind != connection_kind::personal_api_token) site().on_gateway_accepted();
            break;
        case answer_class::maybe_expired:
            end.new_token = token != nullptr && token->fsm.expires() <= context_.clock.now() && give_up_token();
            break;
        case answer_class::unauthorized:
            if (token != nullptr) end.new_token = give_up_token();
            break;
        case answer_class::anonymous:
        case answer_class::scope_mismatch:
        case answer_class::limited:
        case answer_class::transient: break;
        }
        if (!end.new_token && verdict.says != answer_sign::none)
            shard_.tell_health(entry_, *state_, verdict.says, match_.route, request_.purpose(), trace_.last());
    }

    /// Jira refused the token that was sent. True: there is another one, or will be.
    bool give_up_token() {
        if (!settling_.may_renew_token() || !bearer_) return false;
        auto& fsm = entry_->token->fsm;
        if (bearer_->generation != fsm.generation()) stats_.token_late_rejections.add();
        auto const word = fsm.on_rejected(bearer_->generation, context_.clock.now());
        bearer_.reset();
        return word != token_rejection::deliver;
    }

    resend_means means_of_resend(exchange_end const& end) const noexcept {
        // What may be lost at once.
        auto const leases = static_cast<double>(state_->origin->max_leases());
        // Read in the body of some: not for what is delivered.
        bool const matters = end.error || end.answer == answer_class::transient;
        return {matters && may_resend(),
                site().budget,
                state_->origin->budget(),
                params().pool.max_share_of_site * leases,
                leases,
                trace_.last(),
                deadline_};
    }

    failure failed_exchange(exchange_report& report) const {
        auto const ec = report.error.code();
        auto const where = report.error.stage();
        auto f = fail(std::move(report.error), where);
        if (!report.caller_failed && ec != errc::cancelled && ec != errc::stopped)
            f = std::move(f).with_peer(std::string(entry_->host()));
        if (ec == errc::timeout && f.rule().empty()) f = std::move(f).with_rule(time_over());
        return f;
    }

    failure anonymous_answer() const {
        return fail({errc::anonymous_answer, "Jira ignored the credential and answered as to anybody"}, stage::body)
            .with_status(response_.status())
            .with_trace_id(std::string(response_.trace_id()));
    }

    // Resending

    /// Though Jira may have acted on it.
    bool may_resend() const noexcept {
        if (sink_ && !sink_->may_restart()) return false;
        // Whether a PUT may is read in its body.
        if (source_ && request_.method() == method::put && route(match_.route).repeat_unsafe_put)
            return request_.resendable().value_or(false);
        return is_resendable(request_, match_.route);
    }

    asio::awaitable<next> back_off() {
        wake why = wake::timeout;
        if (resend_at_ > context_.clock.now()) {
            wait_point point(context_.clock, context_.executor);
            why = co_await point.wait(resend_at_, heeds_);
        }
        trace_.lap(stage::backoff);
        // Who cancels wants no answer.
        if (why == wake::cancelled) have_answer_ = false;
        co_return woken(why, stage::backoff);
    }

    // Ends

    void tell_of_exchanges() noexcept {
        response_.set_exchanges(settling_.exchanges(), settling_.maybe_processed_before());
    }

    /// An earlier exchange may have done something, whatever the call ends with.
    failure fail(failure f, stage where) const noexcept {
        return about(*entry_, std::move(f)).at(where).with_maybe_processed(settling_.maybe_processed());
    }

    bool changes_something() const noexcept {
        return request_.method() != method::get && request_.method() != method::head && !route(match_.route).reads_only;
    }

    failure interrupted(wake why, stage where) const {
        errc const code = why == wake::timeout       ? errc::timeout
                          : context_.clock.stopped() ? errc::stopped
                                                     : errc::cancelled;
        if (code == errc::timeout) return fail({code, time_over()}, where);
        return fail(code, where);
    }

    std::string time_over() const {
        auto const all = std::chrono::round<std::chrono::milliseconds>(deadline_ - trace_.started());
        return "the call's time, " + std::to_string(all.count()) + " ms, is over";
    }

    site_state& site() const noexcept { return state_->site->current(); }
    quota_scopes quotas() noexcept { return shard_.quotas_of(*entry_, *state_, over_sites_); }
    client_params const& params() const noexcept { return *context_.params; }

    shard& shard_;
    shard_context& context_;  // its site holds it
    shard_stats& stats_;
    std::shared_ptr<connection_entry> entry_;
    std::shared_ptr<connection_state> state_;
    request request_;
    body_streams streams_;
    route_match match_;
    call_trace trace_;
    settling settling_;
    steady_time deadline_;
    steady_time resend_at_{};
    std::atomic<bool>* const told_processed_;  // may be null
    std::optional<resend_reason> resends_for_;
    std::optional<held_for> held_;  // what its permit waits for

    lease lease_;
    std::shared_ptr<bearer const> bearer_;
    std::shared_ptr<budget_share> over_sites_;  // what a wait for a permit refers to
    std::unique_ptr<sink_stream> sink_;
    std::unique_ptr<source_stream> source_;
    response response_;
    failure failure_;
    std::shared_ptr<hedge> hedge_;
    std::shared_ptr<call_spans> spans_;  // null where nobody listens
    std::size_t ahead_ = 0;              // who waited for permits before us
    unsigned lost_dials_ = 0;            // since the last exchange
    asio::cancellation_type heeds_ = asio::cancellation_type::all;
    bool permit_ = false;
    bool followed_ = false;     // the site to another shard
    bool reused_ = false;       // the channel, before this exchange
    bool had_served_ = false;   // likewise: it had answered one
    bool hedged_ = false;       // once is enough
    bool have_answer_ = false;  // response_ is one, of the last exchange
    bool waited_for_token_ = false;
    bool tries_credential_ = false;  // though it is refused
};

namespace {

/// What the call ends with before it began; with no code, `run` is there. It is not in the coroutine's frame, which with it is of over a
/// kilobyte: malloc serves smaller blocks from a thread's own store, and is slow with larger ones.
failure begin_run(std::unique_ptr<call_run>& run, shard& s, std::shared_ptr<connection_entry> const& e, request&& r,
                  body_streams&& b, std::atomic<bool>* maybe_processed = nullptr) {
    if (auto why = s.why_no_call(*e); why.code()) return why;
    // When it was added there was no memory for that.
    if (!e->state->site && !s.begin_with(e)) return about(*e, lack_of_memory());
    run = std::make_unique<call_run>(s, *s.context(), e, std::move(r), std::move(b), maybe_processed);
    return {};
}

}  // namespace

asio::awaitable<result<response>> shard::call(std::shared_ptr<shard> self, std::shared_ptr<connection_entry> e,
                                              request r, body_streams b, std::atomic<bool>* maybe_processed) {
    co_await asio::this_coro::throw_if_cancelled(false);
    // All types: which of them count is the call's own decision.
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    std::unique_ptr<call_run> run;
    failure why;
    bool without_memory = false;
    try {
        why = begin_run(run, *self, e, std::move(r), std::move(b), maybe_processed);
        if (run) co_await run->until_done();
    } catch (std::bad_alloc const&) {
        without_memory = true;
        if (run) run->without_memory();
        else why = about(*e, lack_of_memory());
    }
    if (without_memory) {
        std::optional<breath> pause;
        try {
            pause.emplace(self->context(), self->context()->clock, self->executor());
        } catch (std::bad_alloc const&) {
            pause.reset();  // co_spawn may find some
        }
        if (pause) co_await pause->take();
    }
    if (!run) co_return std::move(why);
    co_return run->outcome();
}

}  // namespace jirapool::detail

namespace jirapool {

// The road is driven in the caller's own coroutine where the call's shard is: a border between them is a microsecond or two.
asio::awaitable<result<response>> connection::await_call(connection self, request r, body_streams b) {
    auto const ex = co_await asio::this_coro::executor;
    auto const state = co_await asio::this_coro::cancellation_state;
    std::shared_ptr<detail::shard> home;
    if (auto const all = self.entry_->shards.lock(); all && !all->ended)
        home = all->shards[self.entry_->home.load(std::memory_order_acquire)];
    // A cancellation that came before is not this call's, and only an operation of its own does not see it.
    if (!home || !home->runs_on(ex) || state.cancelled() != asio::cancellation_type::none) {
        home.reset();
        auto there = detail::call_entry::prepare(self.entry_, std::move(r), std::move(b), ex, state.slot());
        if (!there) co_return detail::about(*self.entry_, detail::lack_of_memory());
        co_return co_await detail::call_entry::awaited(std::move(there));
    }

    bool const throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    std::unique_ptr<detail::call_run> run;
    failure why;
    try {
        why = detail::begin_run(run, *home, self.entry_, std::move(r), std::move(b));
        if (run) co_await run->until_done();
    } catch (std::bad_alloc const&) {
        if (run) run->without_memory();
        else why = detail::about(*self.entry_, detail::lack_of_memory());
    }
    co_await asio::this_coro::throw_if_cancelled(throws);
    if (!run) co_return std::move(why);
    co_return run->outcome();
}

}  // namespace jirapool
