// A token's life, in its order: it is due, exchanged, told, waited for, and retired.
#include "engine/token_refresher.hpp"

#include "engine/listed_wait.hpp"
#include "wait/spawn.hpp"

#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/token_answer.hpp>

#include <new>

namespace jirapool::detail {

// It is due

void token_refresher::start(std::shared_ptr<connection_entry> e, std::shared_ptr<connection_state> s) {
    if (context_.clock.stopped() || e->token->retired) return;
    if (!e->token->fsm.refresh_due(context_.clock.now(), e->token->calls_wait())) {
        e->token->schedule();
        return;
    }
    spawn(std::move(e), std::move(s));
}

void token_refresher::spawn(std::shared_ptr<connection_entry> e, std::shared_ptr<connection_state> s) {
    try {
        detail::spawn(context_.shared_from_this(), context_.clock, context_.executor, run(shared(), e, std::move(s)));
    } catch (std::bad_alloc const&) {
        // Or the credential would be taken to be renewing for ever.
        e->token->fsm.on_refresh_failed(refresh_failure::transient, context_.clock.now(), std::nullopt,
                                        context_.random);
        e->token->schedule();
    }
}

// The exchange

namespace {

// application/x-www-form-urlencoded
void append_encoded(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    for (char const c : text) {
        auto const u = static_cast<unsigned char>(c);
        bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        if (plain) {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.push_back(digits[u >> 4]);
            out.push_back(digits[u & 15]);
        }
    }
}

class wiped_at_end {
public:
    explicit wiped_at_end(std::string& text) noexcept : text_(text) {}
    ~wiped_at_end() { wipe(text_); }
    wiped_at_end(wiped_at_end const&) = delete;
    wiped_at_end& operator=(wiped_at_end const&) = delete;

private:
    std::string& text_;
};

/// Likewise of an answer's body, which holds a token.
class wiped_body {
public:
    explicit wiped_body(padded_buffer& body) noexcept : body_(body) {}
    ~wiped_body() { body_.wipe(); }
    wiped_body(wiped_body const&) = delete;
    wiped_body& operator=(wiped_body const&) = delete;

private:
    padded_buffer& body_;
};

}  // namespace

namespace {

// In the outage_book: no origin's, which its pool tells of.
constexpr std::string_view endpoint_name = "token endpoint";

}  // namespace

/// One request to the token endpoint: what came of it.
struct token_exchange {
    token_source* of = nullptr;
    // When it began.
    token_generation generation = 0;
    std::uint16_t failures = 0;
    bool unsent = false;     ///< nobody wanted it any more when it had its channel
    bool unreached = false;  ///< there was no channel, of which the origin's pool tells
    error_code why;          ///< there is no answer
    token_answer answer;
    std::optional<std::chrono::seconds> retry_after;
    steady_time asked{};
};

asio::awaitable<void> token_refresher::run(std::shared_ptr<token_refresher> self, std::shared_ptr<connection_entry> e,
                                           std::shared_ptr<connection_state> s) {
    auto& source = *e->token;
    auto& stats = *self->context_.stats;
    auto const started = self->context_.clock.now();
    auto const begun = source.fsm.generation();
    token_exchange done;
    done.of = &source;
    done.generation = begun;
    done.failures = source.fsm.failures();
    std::shared_ptr<bearer const> newer;
    try {
        co_await exchange(self, s, &done);
        if (done.answer.ok()) newer = std::make_shared<bearer const>(done.answer.token, begun + 1);
    } catch (std::bad_alloc const&) {
        done.answer = {};
        done.answer.reason = "no memory";
        done.unreached = true;
    }
    if (done.unsent) {
        source.wake_all();
        source.schedule();
        co_return;
    }
    auto& answer = done.answer;

    auto const now = self->context_.clock.now();
    auto outcome = answer.ok()                                   ? refresh_result::ok
                   : answer.failed == refresh_failure::permanent ? refresh_result::permanent
                                                                 : refresh_result::transient;
    if (source.fsm.ended_late(begun)) {
        stats.token_refreshes[static_cast<std::size_t>(outcome)].add();
        stats.token_refresh_duration.observe(now - started);
        source.schedule();
        co_return;
    }
    bool const was_out_of_reach = source.fsm.out_of_reach();
    if (!answer.ok()) {
        source.fsm.on_refresh_failed(answer.failed, now, done.retry_after, self->context_.random);
    } else if (!source.fsm.on_refreshed(done.asked, now, answer.lifetime, self->context_.random)) {
        outcome = refresh_result::transient;
        answer.reason = "the token was as good as expired when it came";
    } else if (!source.retired) {
        source.current = std::move(newer);
        auto const left = std::chrono::floor<std::chrono::seconds>(source.fsm.expires() - now);
        auto const expires = std::chrono::floor<std::chrono::seconds>(self->context_.clock.wall()) + left;
        e->token_expires.store(static_cast<std::uint32_t>(expires.time_since_epoch().count()),
                               std::memory_order_relaxed);
    }
    stats.token_refreshes[static_cast<std::size_t>(outcome)].add();
    stats.token_refresh_duration.observe(now - started);
    if (self->endpoint_.take_recovered()) self->wake_all();
    // Who waits for another credential's turn waits in vain.
    if (source.fsm.out_of_reach() && !was_out_of_reach)
        for (auto const& other : self->connections_.all())
            if (other->token) other->token->wake_all();
    source.wake_all();  // they run behind this
    self->tell(*e, outcome, done);
    if (outcome == refresh_result::ok && !source.retired) self->context_.tell_scopes(e->id, answer.scopes);
    source.schedule();
}

asio::awaitable<void> token_refresher::exchange(std::shared_ptr<token_refresher> self,
                                                std::shared_ptr<connection_state> s, token_exchange* out) {
    out->asked = self->context_.clock.now();
    auto const deadline = deadline_after(out->asked, self->context_.params->tokens.exchange_timeout);
    auto const host = std::string(auth_host);
    auto const pool = self->origins_.at(host);
    fair_flow flow;  // each credential asks once an hour: no history to keep
    auto leased = co_await pool->acquire(&flow, deadline);
    if (!leased.lease) {
        out->answer.reason = leased.error.describe();
        out->unreached = true;
        // As a call's own dial: tried again, it would be refused again.
        if (leased.error.code() == errc::certificate_refused) out->answer.failed = refresh_failure::lasting;
        co_return;
    }
    if (!out->of->fsm.may_send(out->generation, out->failures, self->context_.clock.now())) {
        out->unsent = true;
        leased.lease.give_back();
        co_return;
    }
    std::string body = "grant_type=client_credentials&client_id=";
    wiped_at_end const wiped(body);
    body.reserve(256 + 3 * (s->client_id.size() + s->client_secret.size()));
    append_encoded(body, s->client_id);
    body.append("&client_secret=");
    append_encoded(body, s->client_secret.reveal());

    exchange_input in;
    in.method = method::post;
    in.target = "/oauth/token";
    pool->address(in);
    in.content_type = "application/x-www-form-urlencoded";
    in.body = body;
    in.deadline = deadline;
    in.secret_answer = true;
    response answer;
    wiped_body const wiped_answer(answer.mutable_body());
    // Far above any token seen, as a buffer that grows leaves its bytes behind.
    answer.mutable_body().reserve(16u << 10);
    out->asked = self->context_.clock.now();
    auto report = co_await leased.lease.channel().exchange(&in, &answer);
    leased.lease.end(report);
    if (report.error.code()) {
        out->why = report.error.code();
        out->answer.reason = std::move(report.error).with_peer(host).describe();
        co_return;
    }
    out->answer = read_token_answer(answer.status(), answer.body());
    if (!out->answer.ok()) out->answer.reason = host + ": " + out->answer.reason;
    out->retry_after = read_rate_headers(answer, self->context_.clock.wall()).retry_after;
}

// Told

void token_refresher::tell(connection_entry& e, refresh_result outcome, token_exchange const& done) noexcept {
    bool const good = outcome == refresh_result::ok;
    auto const& reason = done.answer.reason;
    if (!e.token->retired) health_.on_token(e, outcome, reason);
    try {
        e.token->note_failure(good ? std::string() : reason);
        if (e.token->retired || context_.clock.stopped()) return;
        if (outcome != refresh_result::transient) tell_answered();
        if (e.token->fsm.take_recovered()) context_.report({event::kind::token_refresh_recovered, e.id, {}});
        if (outcome == refresh_result::transient && !done.unreached) tell_trouble(e, done);
    } catch (std::bad_alloc const&) {
        return;  // the counter has it
    }
}

void token_refresher::tell_trouble(connection_entry const& e, token_exchange const& done) {
    // Another shard may know it.
    if (context_.outages->down(std::string(endpoint_name))) return;
    auto const now = context_.clock.now();
    event ev{event::kind::token_refresh_failed, {}, done.answer.reason};
    ev.code = done.why ? done.why : error_code(errc::token_unavailable);
    switch (e.token->fsm.trouble(now)) {
    case token_trouble::none: return;
    case token_trouble::credential: ev.connection = e.id; break;
    case token_trouble::endpoint:
        if (context_.outages->on_failure(std::string(endpoint_name), now) != outage_news::down) return;
        ev.what = event::kind::token_endpoint_down;
        ev.scope = auth_host;
        break;
    }
    context_.report(std::move(ev));
}

void token_refresher::tell_answered() {
    if (context_.outages->on_success(std::string(endpoint_name), context_.clock.now()) != outage_news::up) return;
    event ev{event::kind::token_endpoint_up, {}, {}};
    ev.scope = auth_host;
    context_.report(std::move(ev));
}

void token_refresher::wake_all() noexcept {
    for (auto const& e : connections_.all())
        if (e->token) e->token->on_endpoint_recovered();
}

// The source: who waits for it, and its timer

secret authorization_value(std::string_view scheme, std::string_view credentials) {
    std::string text;
    text.reserve(1 + scheme.size() + credentials.size());  // a buffer that grows leaves its bytes behind
    text.append(scheme).append(" ").append(credentials);
    secret value(text);
    wipe(text);
    return value;
}

token_source::token_source(token_refresher& r, connection_entry& e) : fsm(r.endpoint()), refresher_(r), entry_(e) {}

void token_source::schedule() noexcept {
    if (!retired) schedule_at(fsm.next_refresh(calls_wait()));
}

void token_source::schedule_at(steady_time at) noexcept {
    try {
        refresher_.context().clock.set(*this, at);
    } catch (std::bad_alloc const&) {
        return;  // the next call finds that a refresh is due
    }
}

void token_source::note_failure(std::string why) {
    failed_ = why.empty() ? nullptr : std::make_unique<std::string const>(std::move(why));
}

asio::awaitable<wake> token_source::wait(steady_time deadline, asio::cancellation_type heeds) {
    if (!waiting_) waiting_ = std::make_unique<std::vector<wait_point*>>();
    listed_wait here(*waiting_, refresher_.context().clock, refresher_.context().executor);
    schedule();  // who waits looks sooner
    wake const why = co_await here.point.wait(deadline, heeds);
    co_return why;
}

void token_source::wake_all() {
    if (!waiting_) return;
    // Taken out before anybody runs: who asks again must find a fresh list, and 10,000 leavers nothing to search.
    for (auto* const p : std::exchange(*waiting_, {})) p->notify();
}

void token_source::on_time() {
    auto const now = refresher_.context().clock.now();
    // Jira refuses each token of it: the next try is a call's, or that of who asks for a check.
    auto const health = entry_.health.load();
    if (!calls_wait() && health.rests(now)) return schedule_at(*health.until());
    fsm.on_timer(now, refresher_.context().random);
    if (calls_wait() && fsm.overtake_due(now)) refresher_.spawn_for(entry_);
    else refresher_.start_for(entry_);
}

void token_source::on_endpoint_recovered() noexcept {
    fsm.on_endpoint_recovered(refresher_.context().clock.now(), calls_wait(), refresher_.context().random);
    schedule();
}

// Its end

void token_source::retire() noexcept {
    retired = true;
    current.reset();
    refresher_.context().clock.cancel(*this);
}

}  // namespace jirapool::detail
