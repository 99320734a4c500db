#include "engine/origin_pool.hpp"

#include "wait/spawn.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

namespace jirapool::detail {

namespace {

// How often idle channels are looked at when none of them is due: finds those that the server closed.
constexpr steady_duration longest_sweep = std::chrono::seconds(5);

// How long before its end a channel is replaced: a dial takes a second at most but for outages, and two sweeps see it.
constexpr steady_duration longest_replace_ahead = std::chrono::seconds(10);

std::uint32_t share(double of_site, std::size_t all) noexcept {
    constexpr double most = fair_queue::unlimited;
    return static_cast<std::uint32_t>(std::clamp(of_site * static_cast<double>(all), 1.0, most));
}

/// Of an idle channel that is not alive.
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
        channel_ = std::move(other.channel_);
    }
    return *this;
}

lease::~lease() { close(close_reason::abandoned); }

void lease::end(exchange_report const& report) noexcept {
    auto const ec = report.error.code();
    if (!ec) {
        if (report.reusable && !report.unprocessed) give_back();
        else close(report.announced || report.unprocessed ? close_reason::announced : close_reason::broken);
        return;
    }
    bool const abandoned = report.caller_failed || ec == errc::timeout || ec == errc::cancelled || ec == errc::stopped;
    close(abandoned ? close_reason::abandoned : close_reason::broken);
}

void lease::give_back() noexcept {
    if (channel_) pool_->give_back(*flow_, std::move(channel_));
}

void lease::close(close_reason why) noexcept {
    if (channel_) pool_->close(*flow_, std::move(channel_), why);
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
      queue_(share(context_->params->pool.max_share_of_site, context_->params->pool.max_channels)),
      reaper_(std::make_unique<reaper>(*this)),
      brake_(std::make_unique<serve_timer>(*this)),
      budget_(context_->params->retries),
      kind_(kind_of(host_)) {}

origin_pool::~origin_pool() {
    stop();
    if (failures_ > 0) context_->outages->forget(host_);
}

origin_pool::state origin_pool::look() const noexcept {
    return {open(), idle_.size(), count_of(channel_state::dialing), queue_.size(), queue_.ready(), brake_->scheduled()};
}

lease origin_pool::try_acquire(fair_flow& flow, steady_time now) noexcept {
    auto taken = take_for(flow, now);
    serve();  // also when what was idle turned out to be dead: `min_idle` is missing then
    return taken;
}

lease origin_pool::take_for(fair_flow& flow, steady_time now) noexcept {
    if (stopped_ || queue_.ready() != 0 || !queue_.may_hold(flow)) return {};
    auto c = take_idle();
    if (!c) return {};
    queue_.grant(flow, now);
    return lease(shared_from_this(), flow, std::move(c));
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
    if (c) taken = lease(self, *flow, std::move(c));
    else queue_.give_back(*flow);
    serve();
    co_return taken;
}

void origin_pool::close_unheard_since(steady_time then) noexcept {
    std::erase_if(idle_, [&](std::unique_ptr<channel>& c) {
        if (c->idle_since >= then) return false;
        drop(std::move(c), close_reason::broken);
        return true;
    });
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
    if (queue_.size() >= limits.max_queue || flow->waiting() >= share(limits.max_share_of_site, limits.max_queue)) {
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
    char const* const rule = open() > 0            ? "all channels were in use for as long as the call could wait"
                             : brake_->scheduled() ? "dials failed, and the next was not due while the call could wait"
                             : count_of(channel_state::dialing) > 0 ? "the dial took longer than the call could wait"
                                                                    : "no dial was due while the call could wait";
    return failure(errc::timeout, rule).with_peer(host_);
}

std::unique_ptr<channel> origin_pool::take_idle() noexcept {
    while (!idle_.empty()) {
        auto c = std::move(idle_.back());
        idle_.pop_back();
        if (c->alive()) {
            set_state(c->state, channel_state::active);
            return c;
        }
        auto const why = why_dead(*c, context_->clock.now());
        drop(std::move(c), why);
    }
    return nullptr;
}

// Channels that come back

void origin_pool::give_back(fair_flow& flow, std::unique_ptr<channel> c) noexcept {
    // First, so that the site's own next call may have this one in its turn.
    queue_.give_back(flow);
    offer(std::move(c));
}

void origin_pool::close(fair_flow& flow, std::unique_ptr<channel> c, close_reason why) noexcept {
    queue_.give_back(flow);
    discard(std::move(c), why);
}

void origin_pool::offer(std::unique_ptr<channel> c) noexcept {
    if (stopped_) {
        discard(std::move(c), close_reason::stopped);
        return;
    }
    auto const now = context_->clock.now();
    replace_if_due(*c, now);
    if (now >= c->retire_at) {
        discard(std::move(c), close_reason::lifetime);
        return;
    }
    if (queue_.ready() != 0) hand_over(std::move(c), now);
    else park(std::move(c), now);
    serve();
}

void origin_pool::hand_over(std::unique_ptr<channel> c, steady_time now) noexcept {
    auto& next = static_cast<waiter&>(*queue_.pop(now));
    next.left();
    next.lease = lease(shared_from_this(), next.flow, std::move(c));
    next.point.notify();
}

void origin_pool::park(std::unique_ptr<channel> c, steady_time now) noexcept {
    c->idle_since = now;
    idle_.push_back(std::move(c));
    set_state(idle_.back()->state, channel_state::idle);
    if (!reaper_->scheduled()) context_->clock.set(*reaper_, now + sweep_interval());
}

void origin_pool::discard(std::unique_ptr<channel> c, close_reason why) noexcept {
    drop(std::move(c), why);
    serve();
}

void origin_pool::drop(std::unique_ptr<channel> c, close_reason why) noexcept {
    set_state(c->state, channel_state::closed);
    c.reset();
    context_->stats->channels_closed[static_cast<std::size_t>(why)].add();
}

// The series jirapool_channels: nobody else moves it.
void origin_pool::set_state(channel_state& of, channel_state to) noexcept {
    auto& stats = *context_->stats;
    auto const count = [&](channel_state s, int by) {
        count_of(s) += static_cast<std::size_t>(by);
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
    c.dialing = count_of(channel_state::dialing);
    c.promised = promised_;
    c.ready = queue_.ready();
    c.background = background_;
    c.used = used_;
    c.failing = failures_ > 0;
    c.held_back = stopped_ || brake_->scheduled() || context_->clock.stopped();
    return c;
}

channel_limits origin_pool::limits() const noexcept {
    auto const& p = context_->params->pool;
    return {p.max_channels, p.max_dialing, p.min_idle};
}

void origin_pool::serve() noexcept {
    if (queue_.ready() == 0 && context_->params->pool.min_idle == 0) return;  // as nearly always
    while (queue_.ready() != 0) {
        auto c = take_idle();
        if (!c) break;
        hand_over(std::move(c), context_->clock.now());
    }
    for (;;) {
        auto const missing = dials_missing(census(), limits());
        if (missing.at_once > 0) context_->dials.count(context_->clock.now());
        else if (missing.in_background == 0 || !background_may_dial()) break;
        start_dial(missing.for_waiting > 0 ? dial_purpose::waiting : dial_purpose::prewarm);
    }
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
    std::erase_if(idle_, [&](std::unique_ptr<channel>& c) {
        auto const unused = now - c->idle_since >= idle_timeout;
        auto const old = now >= c->retire_at;
        if (!unused && !old && c->alive()) {
            if (now - c->idle_since >= sweep_interval()) c->rest();
            return false;
        }
        auto const why = unused ? close_reason::idle_timeout : old ? close_reason::lifetime : why_dead(*c, now);
        drop(std::move(c), why);
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
    if (auto c = opened(state, result)) offer(std::move(c));
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
        // While channels are open the queue moves without this one.
        if (open() == 0 && count_of(channel_state::dialing) == 0) fail_waiters(result.error);
        report_down(result);
        return nullptr;
    }
    if (std::exchange(failures_, 0) > 0) report_up();
    context_->clock.cancel(*brake_);
    result.channel->state = state;
    of_kind(stats.channels_opened).add();
    if (result.resumed) stats.channels_resumed.add();
    result.channel->retire_at = lifetime_end();
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
    for (auto& c : idle_) drop(std::move(c), close_reason::stopped);
    idle_.clear();
}

}  // namespace jirapool::detail
