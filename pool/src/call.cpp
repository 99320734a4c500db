#include "engine.hpp"
#include "hedge.hpp"
#include "shard.hpp"
#include "sink_stream.hpp"
#include "source_stream.hpp"

#include <jirapool/core/answer.hpp>
#include <jirapool/core/explanation.hpp>
#include <jirapool/core/rate_headers.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
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

exchange_input input_of(request const& r, connection_entry const& e, connection_state const& s, bearer const* token,
                        steady_time deadline) {
    exchange_input in;
    in.method = r.method();
    in.base_path = e.base_path();
    in.target = r.target();
    in.fixed_headers = s.origin->fixed_headers();
    in.authorization = token != nullptr ? token->line.reveal() : s.authorization.reveal();
    in.headers = &r.headers();
    in.content_type = r.content_type();
    in.body = r.body();
    in.deadline = deadline;
    return in;
}

/** One call on its road (ARCHITECTURE.md, section 4): admit, token, lease, exchange, settle; a resend goes back to admit.
    Lives in the call's coroutine. */
class call_run final : slow_watch {
public:
    call_run(shard& s, std::shared_ptr<connection_entry> e, request r, body_streams b)
        : shard_(s),
          context_(*s.context_),
          stats_(*s.stats_),
          entry_(std::move(e)),
          state_(entry_->state),
          request_(std::move(r)),
          match_(classify_route(request_.method(), request_.target())),
          started_(s.context_->clock.now()),
          lap_(started_),
          deadline_(deadline_after(started_, request_.timeout().value_or(state_->options.timeout))) {
        streams_ = b;
        if (b.sink)
            sink_ = std::make_unique<sink_stream>(std::move(b.sink), s.context_->clock, s.executor(),
                                                  params().wire.max_ratio);
        if (b.source) source_ = std::make_unique<source_stream>(std::move(b.source), s.context_->clock, s.executor());
        if (request_.explains()) explanation_ = std::make_shared<explanation>();
        stats_.calls_in_flight.add(1);
    }
    call_run(call_run const&) = delete;
    call_run& operator=(call_run const&) = delete;
    ~call_run() {
        end_hedge();
        hold_no_more();
        give_permit_back();
        stats_.calls_in_flight.add(-1);
        shard_.on_call_ended();
    }

    /// All but the counting: `finish` does that, whatever this ends with.
    asio::awaitable<result<response>> until_done() {
        errc code{};
        if (char const* const rule = why_not(code)) co_return fail({code, rule}, stage::check);
        site().budget.on_call(params().retries);
        state_->origin->budget().on_call(params().retries);
        state_->origin->hedges().on_call(params().retries.hedge_percent / 100, most_hedges);
        for (;;) {
            if (site().left()) co_return co_await follow_the_site();
            bool admitted = false;
            {
                // What ends at once needs no coroutine of its own: they are most of what a call costs in here.
                admit_waiter w(site().limiter, match_, request_.priority(), quotas(), *entry_, context_.clock,
                               context_.executor);
                admission word;
                admitted = begin_admit(w, word);
                if (admitted && !permit_) admitted = co_await wait_for_permit(&w, word);
            }
            if (std::exchange(moved_, false)) continue;
            if (!admitted) co_return give_up();
            bool leased = lease_at_once();
            if (leased) {
                auto const state = co_await asio::this_coro::cancellation_state;
                if ((state.cancelled() & heeds_) != asio::cancellation_type::none) {
                    lease_.give_back();
                    failure_ = interrupted(wake::cancelled, stage::lease);
                    co_return give_up();
                }
            } else {
                hold();
                leased = co_await take_lease();
                hold_no_more();
            }
            if (!leased) {
                if (!after_lost_dial()) co_return give_up();
                continue;
            }
            // Paused or gone since the permit, in the wait for a token or a channel: nothing enters a paused scope.
            if (site().left() || !site().limiter.open(match_, quotas(), lap_)) {
                lease_.give_back();
                give_permit_back();
                continue;
            }
            // In time for the deadline when it was permitted, and perhaps no more.
            if (lap_ >= deadline_) {
                lease_.give_back();
                failure_ = interrupted(wake::timeout, stage::lease);
                co_return give_up();
            }
            lost_dials_ = 0;
            // From here on total cancellation, which promises no effect, can no longer be kept.
            heeds_ = while_exchanging;
            exchange_input const in = begin_exchange();
            exchange_report report = co_await lease_.channel().exchange(&in, &response_);
            if (hedge_) co_await settle_hedge(&report);
            end_exchange(report);
            auto const verdict = report.error.code() ? settle_failure(report) : settle_answer(report);
            if (verdict == next::deliver) co_return delivered();
            if (verdict == next::fail) co_return std::move(failure_);
            bool const waited = co_await back_off();
            if (!waited) co_return give_up();
        }
    }

    /// What until_done ends with when it throws bad_alloc.
    failure without_memory() {
        // The channel goes with it, if there is one: nobody knows how far it came.
        lease_.close(close_reason::abandoned);
        return fail(make_error_code(boost::system::errc::not_enough_memory), last_stage_);
    }

    void finish(result<response>& outcome) {
        if (followed_) {
            add_what_followed(outcome);
        } else {
            lap(last_stage_);
            count(outcome);
        }
        if (!explanation_) return;
        if (outcome) outcome->set_explanation(std::move(explanation_));
        else outcome = std::move(outcome.error()).with_explanation(std::move(explanation_));
    }

private:
    /// It was counted on the shard that it followed its site to.
    void add_what_followed(result<response> const& outcome) {
        if (!explanation_) return;
        auto const there = outcome ? outcome->explanation() : outcome.error().explanation();
        auto const since = context_.clock.now() - lap_;
        spend(stage::admit, there ? since - there->total() : since);
        if (there) explanation_->append(*there);
    }

    using answer = result<response>;

    // What an origin's calls may have saved up.
    static constexpr double most_hedges = 10;

    /// What the settling of an exchange leads to.
    enum class next : std::uint8_t { deliver, fail, resend };

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

    // 2. Admit

    /// What the limiter says at once. True: a permit is held, or `word` says that `w` is to wait; false: it ends here.
    bool begin_admit(admit_waiter& w, admission& word) {
        if (entry_->removed) {
            failure_ = fail(errc::connection_removed, stage::admit);
            return false;
        }
        auto const now = lap_;  // a moment ago, and a look at the clock is 30 ns
        ahead_ = site().limiter.waiting();
        word = site().limiter.admit(w, now, last_useful_permit());
        if (word.shadow == admission::kind::wait) stats_.shadow_waits.observe(word.at - now);
        if (word.shadow == admission::kind::refused) stats_.shadow_refusals.add();
        switch (word.what) {
        case admission::kind::now: permit_ = true; return true;
        case admission::kind::wait: return true;
        case admission::kind::refused: failure_ = limited_past_deadline(word.at - now, word.scope); return false;
        case admission::kind::full: break;
        }
        stats_.limit_queue_full.add();
        failure_ = fail({errc::queue_full, "limit_params::max_waiting calls of the site wait for permits"},
                        stage::admit)
                       .with_retry_after(std::chrono::ceil<std::chrono::milliseconds>(word.at - now));
        return false;
    }

    /// Behind a begin_admit that said so.
    asio::awaitable<bool> wait_for_permit(admit_waiter* w, admission word) {
        stats_.limit_waits.add();
        site().pump();
        wake why = wake::notified;
        if (!w->permitted) {
            counted const here(stats_.limit_waiting);
            why = co_await w->point.wait(last_useful_permit(), heeds_);
        }
        lap(stage::admit, word.scope, static_cast<std::uint32_t>(ahead_));
        permit_ = w->permitted;
        moved_ = w->moved && !permit_;
        if (moved_) co_return false;
        if (permit_ && !entry_->removed) co_return true;
        if (!permit_) {
            site().limiter.remove(*w);
            site().pump();
        }
        failure_ = entry_->removed        ? fail(errc::connection_removed, stage::admit)
                   : why == wake::timeout ? limited_past_deadline(word.at - context_.clock.now(), word.scope)
                                          : interrupted(why, stage::admit);
        co_return false;
    }

    /// A permit, token or channel later than this would be spent on an exchange that ends behind the deadline.
    steady_time last_useful_permit() const noexcept {
        // A site whose exchanges take long must not refuse all that waits: at most a quarter of the call's time is kept.
        return deadline_ - std::min(site().exchange_time.likely(), (deadline_ - started_) / 4);
    }

    failure limited_past_deadline(steady_duration come_back, limit_scope scope) {
        stats_.limited_past_deadline.add();
        auto f = fail({errc::limited_past_deadline,
                       std::string("its turn comes too late at the limit of its ") + to_string(scope)},
                      stage::admit);
        // A turn that should have come by now says nothing of when it will.
        if (come_back <= steady_duration::zero()) return f;
        return std::move(f).with_retry_after(std::chrono::ceil<std::chrono::milliseconds>(come_back));
    }

    /// The permit waits for a token or a channel.
    void hold() noexcept {
        site().limiter.on_held(match_.route);
        held_ = true;
    }
    void hold_no_more() noexcept {
        if (!std::exchange(held_, false)) return;
        site().limiter.on_sent(match_.route);
        if (site().limiter.waiting() > 0) site().pump();
    }

    /// It is another shard's now, and so is this call, with what is left of its time.
    asio::awaitable<answer> follow_the_site() {
        auto const left = std::chrono::floor<std::chrono::milliseconds>(deadline_ - context_.clock.now());
        if (left <= left.zero()) {
            failure_ = interrupted(wake::timeout, stage::admit);
            co_return give_up();
        }
        followed_ = true;
        sink_.reset();
        source_.reset();
        bool const maybe_done = maybe_processed_ && changes_something();
        request_ = std::move(request_).timeout(left);
        auto there = co_await engine::handle(entry_).async_call(std::move(request_), std::move(streams_),
                                                                asio::use_awaitable);
        if (there) there->set_exchanges(exchanges_ + there->exchanges(), maybe_done || there->maybe_processed_before());
        else if (have_response_ && there.error().stage() < stage::write) co_return delivered();
        else if (maybe_done) there = std::move(there.error()).with_maybe_processed(true);
        co_return there;
    }

    void give_permit_back() noexcept {
        if (std::exchange(permit_, false)) site().limiter.on_done(match_.route);
    }

    // 3. Token

    /// Of an OAuth connection. True: a usable one is held now.
    asio::awaitable<bool> have_token() {
        auto& source = *entry_->token;
        bool waited = false;
        for (;;) {
            auto const now = context_.clock.now();
            auto const need = source.fsm.on_need(now);
            if (need == token_need::use_and_refresh || need == token_need::refresh_then_wait)
                shard_.spawn_refresh(entry_, state_);
            if (need == token_need::use || need == token_need::use_and_refresh) co_return true;
            if (entry_->removed) {
                failure_ = fail(errc::connection_removed, stage::token);
                co_return false;
            }
            if (need == token_need::refused) {
                failure_ = fail({errc::credential_refused, source.why_failed()}, stage::token);
                co_return false;
            }
            // The certificate of an own host that is refused ends a call as soon.
            if (source.fsm.out_of_reach()) {
                auto why = source.why_failed();
                if (why.empty()) why = "the certificate of " + std::string(auth_host) + " is refused";
                failure_ = fail({errc::token_unavailable, std::move(why)}, stage::token);
                co_return false;
            }
            auto const useful = last_useful_permit();
            auto const next_try = source.fsm.refreshing() ? now : source.fsm.next_refresh(true);
            if (next_try != steady_time::max() && next_try >= useful) {
                failure_ = no_token().with_retry_after(std::chrono::ceil<std::chrono::milliseconds>(next_try - now));
                co_return false;
            }
            if (!std::exchange(waited, true) && !std::exchange(waited_for_token_, true)) {
                stats_.token_waits.add();
                if (source.fsm.generation() == 0) stats_.token_waits_at_start.add();
            }
            wake const why = co_await source.wait(useful, heeds_);
            lap(stage::token);
            if (why == wake::timeout) {
                failure_ = no_token();
                co_return false;
            }
            if (why == wake::cancelled) {
                failure_ = interrupted(why, stage::token);
                co_return false;
            }
        }
    }

    // 4. Lease

    /// As nearly always: the token is good, and a channel idle.
    bool lease_at_once() {
        if (entry_->removed) return false;
        auto const* const token = entry_->token.get();
        if (token != nullptr && !token->fsm.at_rest(lap_)) return false;
        lease_ = state_->origin->try_acquire(state_->flow());
        if (!lease_) return false;
        if (token != nullptr) bearer_ = token->current;
        return true;
    }

    /// The token comes before the lease, and is looked at once more behind it: it may have run out in the queue.
    asio::awaitable<bool> take_lease() {
        dial_failed_ = false;
        for (;;) {
            if (entry_->token) {
                bool const ready = co_await have_token();
                if (!ready) co_return false;
            }
            lease_result got = co_await state_->origin->acquire(&state_->flow(), last_useful_permit(), heeds_);
            lap(stage::lease);
            if (!got.lease) {
                auto const ec = got.error.code();
                dial_failed_ = ec == errc::connect_failed || ec == errc::resolve_failed || ec == errc::tls_failed ||
                               ec == boost::system::errc::not_enough_memory;
                // Why there is no channel says more than that none came in time.
                if (ec != errc::timeout || lost_dials_ == 0) failure_ = fail(std::move(got.error), stage::lease);
                stubborn_dial_ = ec != errc::connect_failed;
                co_return false;
            }
            lease_ = std::move(got.lease);
            auto const state = co_await asio::this_coro::cancellation_state;
            if ((state.cancelled() & heeds_) != asio::cancellation_type::none) {
                lease_.give_back();
                failure_ = interrupted(wake::cancelled, stage::lease);
                co_return false;
            }
            if (entry_->removed) {
                lease_.give_back();
                failure_ = fail(errc::connection_removed, stage::lease);
                co_return false;
            }
            if (!entry_->token) co_return true;
            if (entry_->token->fsm.usable(context_.clock.now())) {
                bearer_ = entry_->token->current;
                co_return true;
            }
            lease_.give_back();
        }
    }

    failure no_token() const {
        failure f(errc::token_unavailable, entry_->token->why_failed());
        if (f.rule().empty()) f = std::move(f).with_peer(std::string(auth_host));
        return fail(std::move(f), stage::token);
    }

    /** No channel could be opened: nothing was sent, so any request may try again, and it is no resend. The origin's own
        backoff holds the next dial back, and with it whoever waits for one. */
    bool after_lost_dial() noexcept {
        give_permit_back();
        if (!dial_failed_) return false;
        ++lost_dials_;
        // A refused connection may end any moment. A name or a certificate that is wrong is likely to stay so.
        return !stubborn_dial_ || lost_dials_ < params().retries.max_exchanges;
    }

    // 5. Exchange

    exchange_input begin_exchange() {
        auto in = input_of(request_, *entry_, *state_, bearer_.get(), deadline_);
        in.source = source_.get();
        in.sink = sink_.get();
        watch_for_slowness(in);
        ++exchanges_;
        reused_ = lease_.channel().exchanges > 0;
        // Not when it was planned: a limit or the deadline may have come between.
        if (resends_for_) {
            stats_.resends[static_cast<std::size_t>(*resends_for_)].add();
            if (explanation_) explanation_->will_resend(*resends_for_);
            resends_for_.reset();
        }
        if (explanation_) explanation_->begin_exchange(reused_, bearer_ ? bearer_->generation : 0);
        exchange_begun_ = lap_;
        processed_before_ = std::exchange(maybe_processed_, true);
        return in;
    }

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
            hedge_ = std::make_shared<hedge>(shard_.weak_from_this(), shard_.context_, entry_, state_, request_,
                                             deadline_, lease_.channel());
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
        if (hedge_->sent()) ++exchanges_;
        if (report->error.code() && hedge_->answered()) use_hedge(report);
        end_hedge();
    }

    void use_hedge(exchange_report* report) {
        auto const first = std::move(*report);
        lease_.close(close_reason::broken);
        state_->origin->close_unheard_since(exchange_begun_);
        lease_ = hedge_->take_lease();
        response_ = hedge_->take_answer();
        bearer_ = hedge_->token();
        *report = hedge_->report();
        report->sent += first.sent;
        report->received += first.received;
        reused_ = false;
        // What the first one lost says nothing of how long the site takes.
        spend(stage::first_byte, report->written - exchange_begun_);
        exchange_begun_ = report->written;
        if (!explanation_) return;
        explanation_->end_exchange(0, make_error_code(errc::channel_lost));
        explanation_->will_resend(resend_reason::hedge);
        explanation_->begin_exchange(false, bearer_ ? bearer_->generation : 0);
    }

    void end_hedge() noexcept {
        if (!hedge_) return;
        hedge_->abandon();
        // What was taken for it before its dial; abandoned, it sends nothing more.
        if (!hedge_->sent()) state_->origin->hedges().on_call(1, most_hedges);
        hedge_.reset();
    }

    void end_exchange(exchange_report const& report) {
        lap_ = context_.clock.now();
        auto const written = report.written == steady_time{} ? lap_ : report.written;
        auto const first = report.first_byte == steady_time{} ? lap_ : report.first_byte;
        spend(stage::write, written - exchange_begun_);
        spend(stage::first_byte, first - written);
        spend(stage::body, lap_ - first);
        last_stage_ = stage::body;
        if (explanation_) explanation_->end_exchange(report.error.code() ? 0 : response_.status(), report.error.code());
        stats_.bytes_sent.add(report.sent);
        stats_.bytes_received.add(report.received);
    }

    // 6. and 7. Classify, settle

    next settle_failure(exchange_report& report) {
        auto const ec = report.error.code();
        bool const interrupted = report.caller_failed || ec == errc::timeout || ec == errc::cancelled ||
                                 ec == errc::stopped;
        lease_.close(interrupted ? close_reason::abandoned : close_reason::broken);
        give_permit_back();
        if (!report.wrote) did_nothing();
        auto const where = report.error.stage();
        failure_ = fail(std::move(report.error), where);
        if (!report.caller_failed && ec != errc::cancelled && ec != errc::stopped)
            failure_ = std::move(failure_).with_peer(std::string(entry_->host()));
        if (ec == errc::timeout && failure_.rule().empty()) failure_ = std::move(failure_).with_rule(time_over());
        if (ec != errc::channel_lost || report.caller_failed) return next::fail;
        exchange_facts facts;
        facts.reason = resend_reason::channel_lost;
        facts.exchanges = exchanges_;
        facts.limited = limited_;
        facts.resendable = may_resend();
        facts.unprocessed = !report.wrote;
        facts.reused_silent = reused_ && !report.read;
        have_response_ = false;
        return plan_resend(facts) ? next::resend : next::fail;
    }

    next settle_answer(exchange_report const& report) {
        bool const unprocessed = not_processed(response_, reused_);
        if (report.reusable && !unprocessed) lease_.give_back();
        else lease_.close(report.announced || unprocessed ? close_reason::announced : close_reason::broken);
        give_permit_back();
        have_response_ = true;
        // How long a file takes says nothing of the next call.
        if (!sink_ && !source_) site().exchange_time.observe(lap_ - exchange_begun_);

        auto const limits = shard_.learn(entry_, *state_, match_, response_, lap_);
        auto const what = classify(response_, entry_->kind);
        stats_.answers[static_cast<std::size_t>(what)].add();
        if (response_.status() == 401) stats_.answered_401.add();
        switch (what) {
        case answer_class::delivered:
            if (bearer_ && entry_->token->fsm.on_accepted(bearer_->generation, lap_))
                shard_.tell_tokens_refused(*entry_, false);
            if (response_.ok()) {
                shard_.on_accepted(*entry_);
                if (entry_->kind != connection_kind::personal_api_token) site().on_gateway_accepted();
            }
            return next::deliver;
        case answer_class::scope_mismatch: return next::deliver;
        case answer_class::anonymous:
            shard_.on_refused(*entry_, event::kind::credential_anonymous, "Jira answered as to anybody");
            failure_ = fail({errc::anonymous_answer, "Jira ignored the credential and answered as to anybody"},
                            stage::body)
                           .with_status(response_.status())
                           .with_trace_id(std::string(response_.trace_id()));
            return next::fail;
        case answer_class::maybe_expired:
            if (!entry_->token || entry_->token->fsm.expires() > context_.clock.now()) return next::deliver;
            return renew_token();
        case answer_class::unauthorized:
            if (entry_->token) return renew_token();
            shard_.on_refused(*entry_, event::kind::credential_refused, "Jira answered 401 to the API token");
            return next::deliver;
        case answer_class::limited: return settle_limited();
        case answer_class::transient: break;
        }
        if (unprocessed) did_nothing();
        exchange_facts facts;
        facts.reason = resend_reason::transient_answer;
        facts.unprocessed = unprocessed;
        facts.exchanges = exchanges_;
        facts.limited = limited_;
        facts.resendable = may_resend();
        facts.retry_after = limits.retry_after;
        return plan_resend(facts) ? next::resend : next::deliver;
    }

    next renew_token() {
        if (renewed_ || !bearer_) return next::deliver;
        did_nothing();
        auto& fsm = entry_->token->fsm;
        if (bearer_->generation != fsm.generation()) stats_.token_late_rejections.add();
        auto const word = fsm.on_rejected(bearer_->generation, context_.clock.now());
        bearer_.reset();
        if (word == token_rejection::deliver_and_tell) shard_.tell_tokens_refused(*entry_, true);
        if (word == token_rejection::deliver || word == token_rejection::deliver_and_tell) return next::deliver;
        renewed_ = true;
        exchange_facts facts;
        facts.reason = resend_reason::token;
        return plan_resend(facts) ? next::resend : next::deliver;
    }

    next settle_limited() {
        did_nothing();
        ++limited_;
        exchange_facts facts;
        facts.reason = resend_reason::limited;
        facts.exchanges = exchanges_;
        facts.limited = limited_;
        facts.unprocessed = true;
        return plan_resend(facts) ? next::resend : next::deliver;
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

    bool plan_resend(exchange_facts const& facts) {
        auto const after = resend_after(facts, params().retries, context_.random);
        if (!after || later(context_.clock.now(), *after) >= deadline_) return false;
        if (source_ && !source_->rewind()) return false;
        if (needs_budget(facts.reason)) {
            auto& origin = state_->origin->budget();
            auto const channels = static_cast<double>(params().pool.max_channels);
            auto const of_site = overdraft(facts, params().pool.max_share_of_site * channels);
            auto const of_origin = overdraft(facts, channels);
            if (!site().budget.can_take(of_site) || !origin.can_take(of_origin)) {
                stats_.resends_over_budget.add();
                return false;
            }
            site().budget.take(of_site);
            origin.take(of_origin);
        }
        resends_for_ = facts.reason;
        resend_at_ = later(context_.clock.now(), *after);
        return true;
    }

    asio::awaitable<bool> back_off() {
        wake why = wake::timeout;
        if (resend_at_ > context_.clock.now()) {
            wait_point point(context_.clock, context_.executor);
            why = co_await point.wait(resend_at_, heeds_);
        }
        lap(stage::backoff);
        if (why != wake::cancelled) co_return true;
        failure_ = interrupted(why, stage::backoff);
        have_response_ = false;
        co_return false;
    }

    // Ends

    /// An answer that is at hand (429, 503) tells the caller more than that there was no time to ask again.
    answer give_up() {
        if (have_response_) return delivered();
        return std::move(failure_);
    }

    response delivered() noexcept {
        response_.set_exchanges(exchanges_, processed_before_ && changes_something());
        return std::move(response_);
    }

    /// An earlier exchange may have done something, whatever the call ends with.
    failure fail(failure f, stage where) const {
        return std::move(f)
            .with_connection(entry_->id)
            .at(where)
            .with_maybe_processed(maybe_processed_ && changes_something());
    }

    bool changes_something() const noexcept {
        return request_.method() != method::get && request_.method() != method::head && !route(match_.route).reads_only;
    }

    /// The last exchange, provably.
    void did_nothing() noexcept { maybe_processed_ = processed_before_; }

    failure interrupted(wake why, stage where) const {
        errc const code = why == wake::timeout       ? errc::timeout
                          : context_.clock.stopped() ? errc::stopped
                                                     : errc::cancelled;
        if (code == errc::timeout) return fail({code, time_over()}, where);
        return fail(code, where);
    }

    std::string time_over() const {
        auto const all = std::chrono::round<std::chrono::milliseconds>(deadline_ - started_);
        return "the call's time, " + std::to_string(all.count()) + " ms, is over";
    }

    // 8. Count

    /// All time since the last lap was spent in this stage.
    void lap(stage s, limit_scope scope = limit_scope::none, std::uint32_t ahead = 0) {
        auto const now = context_.clock.now();
        spend(s, now - lap_, scope, ahead);
        lap_ = now;
        last_stage_ = s;
    }
    void spend(stage s, steady_duration d, limit_scope scope = limit_scope::none, std::uint32_t ahead = 0) {
        spent_[static_cast<std::size_t>(s)] += d;
        if (!explanation_) return;
        explanation::step step;
        step.stage = s;
        step.took = d;
        step.scope = scope;
        step.ahead = ahead;
        explanation_->add(step);
    }

    void count(answer const& a) noexcept {
        auto const o = a ? outcome_of(a->status()) : outcome_of(a.error().code());
        stats_.calls[static_cast<std::size_t>(entry_->kind)][static_cast<std::size_t>(o)].add();
        if (o == outcome::timeout) stats_.timeouts[static_cast<std::size_t>(a.error().stage())].add();
        stats_.call_duration.observe(lap_ - started_);
        for (std::size_t i = 0; i < stage_count; ++i)
            if (spent_[i].count() > 0) stats_.stage_duration[i].observe(spent_[i]);
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
    steady_time started_;
    steady_time lap_;
    steady_time deadline_;
    steady_time resend_at_{};
    std::optional<resend_reason> resends_for_;
    steady_time exchange_begun_{};

    lease lease_;
    std::shared_ptr<bearer const> bearer_;
    std::shared_ptr<points_quota> over_sites_;  // what a wait for a permit refers to
    std::unique_ptr<sink_stream> sink_;
    std::unique_ptr<source_stream> source_;
    response response_;
    failure failure_;
    std::shared_ptr<explanation> explanation_;
    std::shared_ptr<hedge> hedge_;
    std::array<steady_duration, stage_count> spent_{};
    std::size_t ahead_ = 0;  // who waited for permits before us
    unsigned exchanges_ = 0;
    unsigned limited_ = 0;
    unsigned lost_dials_ = 0;  // since the last exchange
    asio::cancellation_type heeds_ = asio::cancellation_type::all;
    stage last_stage_ = stage::check;
    bool permit_ = false;
    bool held_ = false;
    bool moved_ = false;     // the site, while this waited
    bool followed_ = false;  // it to another shard
    bool reused_ = false;
    bool hedged_ = false;  // once is enough
    bool have_response_ = false;
    bool renewed_ = false;
    bool dial_failed_ = false;
    bool stubborn_dial_ = false;
    bool maybe_processed_ = false;  ///< by Jira: an exchange is under way, or ended without proof that nothing was done
    bool processed_before_ = false;  ///< the same, before the last exchange
    bool waited_for_token_ = false;
};

asio::awaitable<result<response>> shard::call(std::shared_ptr<shard> self, std::shared_ptr<connection_entry> e,
                                              request r, body_streams b) {
    if (e->removed) co_return failure(errc::connection_removed).with_connection(e->id);
    if (!e->state || self->refusing_ || self->context_->clock.stopped())
        co_return failure(errc::stopped).with_connection(e->id);
    // When it was added there was no memory for that.
    if (!e->state->site && !self->begin_with(e))
        co_return failure(make_error_code(boost::system::errc::not_enough_memory)).with_connection(e->id);
    call_run run(*self, std::move(e), std::move(r), std::move(b));
    result<response> outcome = failure(make_error_code(boost::system::errc::not_enough_memory));
    try {
        outcome = co_await run.until_done();
    } catch (std::bad_alloc const&) {
        outcome = run.without_memory();
    }
    run.finish(outcome);
    co_return outcome;
}

}  // namespace jirapool::detail
