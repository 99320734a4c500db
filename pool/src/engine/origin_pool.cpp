#include "engine/origin_pool.hpp"

#include "wait/spawn.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <new>
#include <utility>

namespace jirapool::detail {

namespace {

// How often idle channels are looked at when none of them is due: finds those that the server closed.
constexpr steady_duration longest_sweep = std::chrono::seconds(5);

// How long before its end a channel is replaced: a dial takes a second at most but for outages, and two sweeps see it.
constexpr steady_duration longest_replace_ahead = std::chrono::seconds(10);

std::uint32_t share(double of_site, double all) noexcept {
    constexpr double most = fair_queue::unlimited;
    return static_cast<std::uint32_t>(std::clamp(of_site * all, 1.0, most));
}

/// Of a channel that is not alive, and that no exchange has told why.
close_reason why_dead(channel const& c, steady_time now) noexcept {
    return now >= c.usable_until ? close_reason::keep_alive : close_reason::peer_closed;
}

template <class Duration>
steady_duration times(double factor, Duration d) noexcept {
    auto const product = factor * static_cast<double>(saturated(d).count());
    // Compared as what a double can hold, which the greatest integer is not.
    if (product >= static_cast<double>(steady_duration::max().count())) return steady_duration::max();
    return steady_duration(static_cast<steady_duration::rep>(product));
}

dial_result no_memory() noexcept {
    dial_result none;
    none.error = make_error_code(boost::system::errc::not_enough_memory);
    return none;
}

}  // namespace

lease& lease::operator=(lease&& other) noexcept {
    if (this != &other) {
        close(close_reason::abandoned);
        pool_ = std::move(other.pool_);
        flow_ = other.flow_;
        channel_ = std::exchange(other.channel_, nullptr);
    }
    return *this;
}

lease::~lease() { close(close_reason::abandoned); }

void lease::end(exchange_report const& report) noexcept {
    if (channel_ == nullptr) return;
    auto& c = *std::exchange(channel_, nullptr);
    auto const ec = report.error.code();
    if (!ec) {
        c.idle_since = report.first_byte;
        c.served = true;
        if (report.reusable && !report.unprocessed) pool_->give_back(*flow_, c);
        else
            pool_->close(*flow_, c,
                         report.announced || report.unprocessed ? close_reason::announced : close_reason::broken);
        return;
    }
    // Over HTTP/1.1 what is left of the exchange would be taken for the next one's.
    if (report.reusable && c.multiplexes) {
        pool_->give_back(*flow_, c);
        return;
    }
    bool const of_call = report.caller_failed || ec == errc::timeout || ec == errc::cancelled || ec == errc::stopped;
    pool_->close(*flow_, c,
                 report.announced && c.multiplexes ? close_reason::announced
                 : of_call                         ? close_reason::abandoned
                                                   : close_reason::broken);
}

void lease::give_back() noexcept {
    if (channel_ != nullptr) pool_->give_back(*flow_, *std::exchange(channel_, nullptr));
}

void lease::close(close_reason why) noexcept {
    if (channel_ == nullptr) return;
    if (channel_->multiplexes) give_back();
    else pool_->close(*flow_, *std::exchange(channel_, nullptr), why);
}

void lease::distrust(steady_time then) noexcept {
    if (channel_ == nullptr) return;
    if (channel_->multiplexes && channel_->idle_since >= then) give_back();
    else pool_->close(*flow_, *std::exchange(channel_, nullptr), close_reason::broken);
}

struct origin_pool::waiter : fair_waiter {
    waiter(origin_pool& p, fair_flow& f, bool b, connection_entry const* o)
        : point(p.context_->clock, p.context_->executor), pool(p), flow(f), of(o), in_background(b) {}
    // Also when the coroutine is destroyed in the middle of its wait.
    ~waiter() { leave(); }
    void enter() {
        pool.queue_.push(flow, *this, pool.context_->clock.now());
        pool.context_->stats->queue_length.add(1);
        pool.background_ += in_background;
    }
    void leave() noexcept {
        if (!queued()) return;
        pool.queue_.remove(*this);
        left();
    }
    /// It is out of the queue.
    void left() noexcept {
        pool.context_->stats->queue_length.add(-1);
        pool.background_ -= in_background;
    }
    wait_point point;
    origin_pool& pool;
    fair_flow& flow;
    connection_entry const* const of;
    bool const in_background;
    // What it was given or told; a lease that nobody takes over any more goes back by itself.
    detail::lease lease;
    failure error;
};

class origin_pool::reaper final : public timed {
public:
    explicit reaper(origin_pool& p) : pool_(p), room_(p.context_->clock, *this) {}

private:
    void on_time() override { pool_.reap(); }
    void on_stop() override {}
    origin_pool& pool_;
    timer_room room_;
};

class origin_pool::serve_timer final : public timed {
public:
    explicit serve_timer(origin_pool& p) : pool_(p), room_(p.context_->clock, *this) {}

private:
    void on_time() override { pool_.serve(); }
    void on_stop() override {}
    origin_pool& pool_;
    timer_room room_;
};

namespace {

origin_kind kind_of(std::string_view host) noexcept {
    if (host == gateway_host) return origin_kind::gateway;
    return host == auth_host ? origin_kind::token_endpoint : origin_kind::site;
}

}  // namespace

origin_pool::origin_pool(std::string host, std::shared_ptr<shard_context> c)
    : host_(std::move(host)),
      context_(std::move(c)),
      queue_(share(context_->params->pool.max_share_of_site, static_cast<double>(context_->params->pool.max_channels))),
      reaper_(std::make_unique<reaper>(*this)),
      brake_(std::make_unique<serve_timer>(*this)),
      per_channel_(context_->params->wire.http == http_versions::http1 ? 1 : 0),
      budget_(context_->params->retries),
      kind_(kind_of(host_)),
      keeps_spare_(context_->params->pool.min_idle != 0) {}

origin_pool::~origin_pool() {
    stop();
    if (failures_ > 0) context_->outages->forget(host_);
}

origin_pool::state origin_pool::look() const noexcept {
    return {open(),
            idle_.size(),
            count_of(channel_state::dialing),
            queue_.size(),
            queue_.ready(),
            brake_->scheduled(),
            with_room_.size(),
            ending_};
}

double origin_pool::max_leases() const noexcept {
    auto const& p = context_->params->pool;
    // At the stream limit no other one is dialled then.
    std::size_t const channels = multiplexed_ && !p.dial_at_stream_limit ? 1 : p.max_channels;
    return static_cast<double>(channels) * std::max(1u, per_channel_);
}

lease origin_pool::try_acquire(fair_flow& flow, steady_time now) noexcept {
    auto taken = take_for(flow, now);
    serve();  // also when what was idle turned out to be dead: `min_idle` is missing then
    return taken;
}

lease origin_pool::take_for(fair_flow& flow, steady_time now) noexcept {
    if (stopped_ || queue_.ready() != 0 || !queue_.may_hold(flow)) return {};
    auto* const c = take();
    if (c == nullptr) return {};
    queue_.grant(flow, now);
    return lend(flow, *c);
}

asio::awaitable<lease_result> origin_pool::acquire(fair_flow* flow, steady_time deadline, asio::cancellation_type heeds,
                                                   connection_entry const* of) {
    return wait_for_lease(flow, deadline, heeds, false, of);
}

void origin_pool::end_waits_of(fair_flow const& flow, connection_entry const& of) {
    flow.each_waiting([&](fair_waiter& w) {
        if (static_cast<waiter&>(w).of == &of) static_cast<waiter&>(w).point.notify();
    });
}

asio::awaitable<lease_result> origin_pool::acquire_in_background(fair_flow* flow) {
    if (!turn_) turn_ = std::make_unique<serve_timer>(*this);
    // What waits for ever is in no register, and `stop` would not reach it.
    constexpr auto longest = std::chrono::hours(24);
    return wait_for_lease(flow, later(context_->clock.now(), longest), asio::cancellation_type::all, true, nullptr);
}

asio::awaitable<lease> origin_pool::dial_for(fair_flow* flow) {
    auto const self = shared_from_this();
    lease taken;
    if (queue_.ready() != 0 || !queue_.may_hold(*flow) || !may_dial()) co_return taken;
    queue_.grant(*flow, context_->clock.now());
    ++promised_;
    auto const state = begin_dial(dial_purpose::waiting);
    context_->dials.count(context_->clock.now());
    dial_result result;
    try {
        result = co_await context_->dial->dial(host_);
    } catch (std::bad_alloc const&) {
        result = no_memory();
    }
    --promised_;
    auto c = opened(state, result);
    if (c && c->known_capacity != 0) {
        taken = lend(*flow, *c.release());
    } else {
        queue_.give_back(*flow);
        if (c) offer(*c.release());
    }
    serve();
    co_return taken;
}

void origin_pool::close_unheard_since(steady_time then) noexcept {
    std::erase_if(idle_, [&](channel* c) {
        if (c->idle_since >= then) return false;
        drop(*c, close_reason::broken);
        return true;
    });
    for (auto* c = with_room_.first(); c != nullptr;) {
        auto& one = *c;
        c = one.next;
        if (one.idle_since < then) shut(one, close_reason::broken);
    }
    serve();
}

asio::awaitable<lease_result> origin_pool::wait_for_lease(fair_flow* flow, steady_time deadline,
                                                          asio::cancellation_type heeds, bool in_background,
                                                          connection_entry const* of) {
    lease_result result;
    if (stopped_) {
        result.error = errc::stopped;
        co_return result;
    }
    auto const self = shared_from_this();
    used_ = true;
    result.lease = take_for(*flow, context_->clock.now());
    if (result.lease) {
        serve();
        co_return result;
    }
    bool const capped = !queue_.may_hold(*flow);
    auto const& limits = context_->params->pool;
    auto const most_of_site = share(limits.max_share_of_site, static_cast<double>(limits.max_queue));
    if (queue_.size() >= limits.max_queue || flow->waiting() >= most_of_site) {
        context_->stats->queue_full.add();
        result.error = {errc::queue_full,
                        "pool_params::max_queue calls, or the site's share of them, wait for a channel to " + host_};
        serve();  // what was idle may have turned out to be dead
        co_return result;
    }

    waiter w(*this, *flow, in_background, of);
    w.enter();
    if (capped) context_->stats->site_cap_waits.add();
    serve();
    wake why = wake::notified;
    // A dialer that answers at once may have served it.
    if (w.queued()) why = co_await w.point.wait(deadline, heeds);
    if (w.lease) {
        result.lease = std::move(w.lease);
    } else if (w.error.code()) {
        result.error = std::move(w.error);
    } else {
        w.leave();
        if (why == wake::timeout) result.error = none_in_time();
        else result.error = stopped_ ? errc::stopped : errc::cancelled;
    }
    co_return result;
}

failure origin_pool::none_in_time() const {
    char const* const rule = open() > ending_      ? "all channels were in use for as long as the call could wait"
                             : brake_->scheduled() ? "dials failed, and the next was not due while the call could wait"
                             : count_of(channel_state::dialing) > 0 ? "the dial took longer than the call could wait"
                                                                    : "no dial was due while the call could wait";
    return failure(errc::timeout, rule).with_peer(host_);
}

channel* origin_pool::take() noexcept {
    while (auto* const c = with_room_.first()) {
        // What it learns when it looks it tells at once: it may be out of the list.
        if (!c->alive()) shut(*c, why_dead(*c, context_->clock.now()));
        else if (c->has_room) return c;
    }
    while (!idle_.empty()) {
        auto* const c = idle_.back();
        bool const alive = c->alive();
        if (alive && c->known_capacity == 0) return take_from_below();
        idle_.pop_back();
        if (alive) return c;
        drop(*c, why_dead(*c, context_->clock.now()));
    }
    return nullptr;
}

/// The last idle one carries nothing for now.
channel* origin_pool::take_from_below() noexcept {
    for (auto i = idle_.size(); i-- != 0;) {
        auto* const c = idle_[i];
        bool const alive = c->alive();
        if (alive && c->known_capacity == 0) continue;
        idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
        if (alive) return c;
        drop(*c, why_dead(*c, context_->clock.now()));
    }
    return nullptr;
}

lease origin_pool::lend(fair_flow& flow, channel& c) noexcept {
    ++c.leases;
    if (c.state != channel_state::active) set_state(c.state, channel_state::active);
    place(c);
    return {shared_from_this(), flow, c};
}

// Channels that come back

void origin_pool::give_back(fair_flow& flow, channel& c) noexcept {
    // First, so that the site's own next call may have this one in its turn.
    queue_.give_back(flow);
    --c.leases;
    offer(c);
}

void origin_pool::close(fair_flow& flow, channel& c, close_reason why) noexcept {
    queue_.give_back(flow);
    --c.leases;
    discard(c, why);
}

void origin_pool::offer(channel& c) noexcept {
    if (stopped_ || c.ending) {
        discard(c, stopped_ ? close_reason::stopped : c.ends_for);
        return;
    }
    auto const now = context_->clock.now();
    if (c.retire_at - now <= longest_replace_ahead) {
        replace_if_due(c, now);
        if (now >= c.retire_at) {
            discard(c, close_reason::lifetime);
            return;
        }
    }
    if (queue_.ready() != 0 && c.leases < c.known_capacity) hand_over(c, now);
    else if (c.leases == 0) park(c, now);
    else place(c);
    serve();
}

void origin_pool::hand_over(channel& c, steady_time now) noexcept {
    auto& next = static_cast<waiter&>(*queue_.pop(now));
    next.left();
    next.lease = lend(next.flow, c);
    next.point.notify();
}

void origin_pool::park(channel& c, steady_time now) noexcept {
    if (c.has_room) with_room_.leave(c);
    c.idle_since = now;
    idle_.push_back(&c);
    set_state(c.state, channel_state::idle);
    if (!reaper_->scheduled()) context_->clock.set(*reaper_, now + sweep_interval());
}

void origin_pool::move(channel& c, bool has_room) noexcept {
    if (!has_room) with_room_.leave(c);
    // One that was full is fuller than all others.
    else if (c.leases == 1) with_room_.enter_last(c);
    else with_room_.enter_first(c);
}

void origin_pool::discard(channel& c, close_reason why) noexcept {
    shut(c, why);
    serve();
}

void origin_pool::shut(channel& c, close_reason why) noexcept {
    // What a channel itself says of its end has no reason; what its exchanges say of it has.
    if (!c.ending || c.ends_for == close_reason::peer_closed) c.ends_for = why;
    if (c.leases == 0) {
        drop(c, c.ends_for);
        return;
    }
    if (c.ending) return;
    c.ending = true;
    ++ending_;
    place(c);
    succession_ = succession_ || !c.successor_dialled;
}

void origin_pool::drop(channel& c, close_reason why) noexcept {
    std::unique_ptr<channel> gone(&c);
    if (c.has_room) with_room_.leave(c);
    ending_ -= c.ending;
    c.watch = nullptr;  // what it says in its end is of no use
    set_state(c.state, channel_state::closed);
    gone.reset();
    context_->stats->channels_closed[static_cast<std::size_t>(why)].add();
}

// What channels learn

void origin_pool::look_at_capacity(channel& c) noexcept {
    constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
    c.known_capacity = static_cast<std::uint32_t>(std::min(most, c.capacity()));
    c.multiplexes = c.multiplexes || c.known_capacity != 1;
}

void origin_pool::learn_from(channel const& c) noexcept {
    per_channel_ = c.known_capacity;
    multiplexed_ = c.multiplexes;
    // One that carries nothing for now says nothing of what a site may have.
    if (per_channel_ != 0) queue_.set_max_held(most_of_site());
}

std::uint32_t origin_pool::most_of_site() const noexcept {
    auto const part = context_->params->pool.max_share_of_site;
    // Others may carry more than the newest.
    return multiplexed_ && part >= 1 ? fair_queue::unlimited : share(part, max_leases());
}

void origin_pool::on_change(channel& c) noexcept {
    c.multiplexes = true;
    look_at_capacity(c);
    if (c.alive()) learn_from(c);
    else if (c.leases != 0) shut(c, why_dead(c, context_->clock.now()));
    place(c);
    // What the channel is in the middle of must not be disturbed: the reaper looks at the idle ones, and at who waits.
    context_->clock.set(*reaper_, context_->clock.now());
}

// The series jirapool_channels: nobody else moves it.
void origin_pool::set_state(channel_state& of, channel_state to) noexcept {
    auto& stats = *context_->stats;
    auto const count = [&](channel_state s, int by) {
        count_of(s) += static_cast<std::uint32_t>(by);
        switch (s) {
        case channel_state::closed: break;
        case channel_state::dialing: stats.channels_dialing.add(by); break;
        case channel_state::idle: stats.channels_idle.add(by); break;
        case channel_state::active: stats.channels_active.add(by); break;
        }
    };
    count(of, -1);
    count(to, 1);
    of = to;
}

channel_census origin_pool::census() const noexcept {
    channel_census c;
    c.idle = count_of(channel_state::idle);
    c.active = count_of(channel_state::active);
    c.with_room = with_room_.size();
    c.sharing = multiplexed_ ? open() - ending_ : 0;
    c.dialing = count_of(channel_state::dialing);
    c.promised = promised_;
    c.ready = queue_.ready();
    c.background = background_;
    c.per_channel = per_channel_;
    c.succession = succession_;
    c.used = used_;
    c.failing = failures_ > 0;
    c.held_back = stopped_ || brake_->scheduled() || context_->clock.stopped();
    return c;
}

channel_limits origin_pool::limits() const noexcept {
    auto const& p = context_->params->pool;
    return {p.max_channels, p.max_dialing, p.min_idle, p.dial_at_stream_limit};
}

void origin_pool::serve_who_waits() noexcept {
    while (queue_.ready() != 0) {
        auto* const c = take();
        if (c == nullptr) break;
        hand_over(*c, context_->clock.now());
    }
    for (;;) {
        auto const missing = dials_missing(census(), limits());
        if (missing.at_once > 0) context_->dials.count(context_->clock.now());
        else if (missing.in_background == 0 || !background_may_dial()) break;
        start_dial(missing.for_waiting > 0 ? dial_purpose::waiting
                   : succession_           ? dial_purpose::replace
                                           : dial_purpose::prewarm);
    }
    // Where none may begin now, the next call has one dialled.
    succession_ = false;
}

// Age

steady_time origin_pool::lifetime_end() noexcept {
    return later(context_->clock.now(),
                 times(uniform(context_->random, 0.8, 1.0), context_->params->pool.max_lifetime));
}

steady_duration origin_pool::replace_ahead() const noexcept {
    return std::min(longest_replace_ahead, times(0.1, context_->params->pool.max_lifetime));
}

steady_duration origin_pool::sweep_interval() const noexcept {
    return std::min({longest_sweep, replace_ahead() / 2, times(1, context_->params->pool.idle_timeout)});
}

void origin_pool::replace_if_due(channel& c, steady_time now) noexcept {
    if (c.successor_dialled || now + replace_ahead() < c.retire_at || !may_dial()) return;
    c.successor_dialled = true;
    // One that comes back late, from a long exchange, serves until its successor is there.
    c.retire_at = std::max(c.retire_at, now + replace_ahead());
    context_->dials.count(now);
    start_dial(dial_purpose::replace);
}

void origin_pool::reap() {
    auto const now = context_->clock.now();
    auto const idle_timeout = times(1, context_->params->pool.idle_timeout);
    std::erase_if(idle_, [&](channel* c) {
        auto const unused = now - c->idle_since >= idle_timeout;
        auto const old = now >= c->retire_at;
        if (!unused && !old && c->alive()) {
            if (now - c->idle_since >= sweep_interval()) c->rest();
            return false;
        }
        auto const why = unused ? close_reason::idle_timeout : old ? close_reason::lifetime : why_dead(*c, now);
        drop(*c, why);
        return true;
    });
    // By index: a dial may add one. Who goes unused until its idle timeout needs no successor.
    for (std::size_t i = 0; i < idle_.size(); ++i)
        if (later(idle_[i]->idle_since, idle_timeout) > idle_[i]->retire_at) replace_if_due(*idle_[i], now);
    serve();
    if (!idle_.empty()) context_->clock.set(*reaper_, now + sweep_interval());
}

// Dials

bool origin_pool::background_may_dial() noexcept {
    if (turn_->scheduled()) return false;
    if (context_->dials.begin(context_->clock.now())) return true;
    context_->clock.set(*turn_, context_->dials.next_turn());
    return false;
}

void origin_pool::start_dial(dial_purpose why) noexcept {
    auto const state = begin_dial(why);
    try {
        spawn(context_, context_->clock, context_->executor, run_dial(shared_from_this(), state));
    } catch (std::bad_alloc const&) {
        on_dialed(state, no_memory());
    }
}

channel_state origin_pool::begin_dial(dial_purpose why) noexcept {
    auto state = channel_state::closed;
    set_state(state, channel_state::dialing);
    of_kind(context_->stats->dials[static_cast<std::size_t>(why)]).add();
    return state;
}

asio::awaitable<void> origin_pool::run_dial(std::shared_ptr<origin_pool> self, channel_state state) {
    dial_result result;
    try {
        result = co_await self->context_->dial->dial(self->host_);
    } catch (std::bad_alloc const&) {
        result = no_memory();
    }
    self->on_dialed(state, std::move(result));
}

void origin_pool::on_dialed(channel_state state, dial_result result) noexcept {
    if (auto c = opened(state, result)) offer(*c.release());
}

std::unique_ptr<channel> origin_pool::opened(channel_state state, dial_result& result) noexcept {
    auto& stats = *context_->stats;
    for (std::size_t i = 0; i < dial_stage_count; ++i)
        if (result.took[i].count() > 0) stats.dial_duration[i].observe(result.took[i]);
    try {
        // Whoever gives it back later must not need memory to keep it.
        if (result.channel && idle_.capacity() <= open()) idle_.reserve(std::max(open() + 1, 2 * open()));
    } catch (std::bad_alloc const&) {
        result = no_memory();
    }
    set_state(state, result.channel ? channel_state::active : channel_state::closed);
    if (!result.channel) {
        auto const step = static_cast<std::size_t>(result.failed_at);
        of_kind(stats.dial_failures[step]).add();
        if (result.timed_out) of_kind(stats.dial_timeouts[step]).add();
        if (stopped_) return nullptr;
        back_off();
        // While channels take exchanges the queue moves without this one.
        if (open() == ending_ && count_of(channel_state::dialing) == 0) fail_waiters(result.error);
        report_down(result);
        return nullptr;
    }
    if (std::exchange(failures_, 0) > 0) report_up();
    context_->clock.cancel(*brake_);
    auto& c = *result.channel;
    c.state = state;
    c.watch = this;
    c.idle_since = context_->clock.now();
    of_kind(stats.channels_opened).add();
    if (result.resumed) stats.channels_resumed.add();
    c.retire_at = lifetime_end();
    look_at_capacity(c);
    learn_from(c);
    return std::move(result.channel);
}

void origin_pool::report_down(dial_result const& result) noexcept {
    auto const why = result.error.code();
    // These say nothing of the origin.
    if (why == errc::cancelled || why == errc::stopped || why == boost::system::errc::not_enough_memory) return;
    try {
        if (context_->outages->on_failure(host_, context_->clock.now()) != outage_news::down) return;
        event e{event::kind::origin_down, {}, to_string(result.failed_at)};
        e.detail.append(": ").append(result.error.describe());
        e.code = why;
        e.scope = host_;
        context_->report(std::move(e));
    } catch (std::bad_alloc const&) {
        return;  // the counter has it
    }
}

void origin_pool::report_up() noexcept {
    try {
        if (context_->outages->on_success(host_, context_->clock.now()) != outage_news::up) return;
        event e{event::kind::origin_up, {}, {}};
        e.scope = host_;
        context_->report(std::move(e));
    } catch (std::bad_alloc const&) {
        return;
    }
}

void origin_pool::back_off() noexcept {
    // Those that ran beside the first failure say nothing new.
    if (brake_->scheduled()) return;
    auto const& limits = context_->params->pool;
    double const doubled = std::min(std::ldexp(1.0, static_cast<int>(std::min(failures_, 30u))),
                                    static_cast<double>(limits.dial_backoff_max.count()) /
                                        static_cast<double>(limits.dial_backoff.count()));
    ++failures_;
    context_->stats->dial_backoffs.add();
    auto const pause = times(doubled * uniform(context_->random, 0.5, 1.0), limits.dial_backoff);
    context_->clock.set(*brake_, deadline_after(context_->clock.now(), pause));
}

void origin_pool::fail_waiters(failure const& why) noexcept {
    while (auto* const w = static_cast<waiter*>(queue_.evict())) {
        w->left();
        try {
            w->error = why;
        } catch (std::bad_alloc const&) {
            w->error = why.code();  // without its words
        }
        w->point.notify();
    }
}

// The end

void origin_pool::stop() noexcept {
    stopped_ = true;
    for (auto* const c : idle_) drop(*c, close_reason::stopped);
    idle_.clear();
}

}  // namespace jirapool::detail
