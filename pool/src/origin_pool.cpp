#include "origin_pool.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>

namespace jirapool::detail {

namespace {

// How often idle channels are looked at when none of them is due: finds those that the server closed.
constexpr auto sweep_interval = std::chrono::seconds(5);

}  // namespace

lease& lease::operator=(lease&& other) noexcept {
    if (this != &other) {
        close(close_reason::abandoned);
        pool_ = std::move(other.pool_);
        channel_ = std::move(other.channel_);
    }
    return *this;
}

lease::~lease() { close(close_reason::abandoned); }

void lease::give_back() noexcept {
    if (channel_) pool_->offer(std::move(channel_));
}

void lease::close(close_reason why) noexcept {
    if (channel_) pool_->discard(std::move(channel_), why);
}

struct origin_pool::waiter : fair_waiter {
    waiter(fair_queue& q, timers& t, asio::any_io_executor const& ex) : point(t, ex), queue(q) {}
    // Also when the coroutine is destroyed in the middle of its wait.
    ~waiter() { queue.remove(*this); }
    wait_point point;
    fair_queue& queue;
    std::unique_ptr<detail::channel> channel;
    failure error;
};

class origin_pool::reaper final : public timed {
public:
    explicit reaper(origin_pool& p) noexcept : pool_(p) {}

private:
    void on_time() override { pool_.reap(); }
    void on_stop() override {}
    origin_pool& pool_;
};

origin_pool::origin_pool(std::string host, shared const& s)
    : host_(std::move(host)), shared_(s), reaper_(std::make_unique<reaper>(*this)), budget_(s.params.retries) {}

origin_pool::~origin_pool() { stop(); }

asio::awaitable<lease_result> origin_pool::acquire(fair_flow* flow, steady_time deadline) {
    lease_result result;
    if (stopped_) {
        result.error = errc::stopped;
        co_return result;
    }
    auto const self = shared_from_this();
    if (queue_.empty()) {
        if (auto c = take_idle()) {
            result.lease = lease(self, std::move(c));
            co_return result;
        }
    }
    if (queue_.size() >= shared_.params.pool.max_queue) {
        shared_.stats.queue_full.add();
        result.error = {errc::queue_full, "pool_params::max_queue calls wait for a channel to " + host_};
        co_return result;
    }

    waiter w(queue_, shared_.clock, shared_.executor);
    queue_.push(*flow, w);
    shared_.stats.queue_length.add(1);
    dial_for_waiters();
    wake const why = co_await w.point.wait(deadline);
    if (w.channel) {
        result.lease = lease(self, std::move(w.channel));
    } else if (w.error.code()) {
        result.error = std::move(w.error);
    } else {
        queue_.remove(w);
        shared_.stats.queue_length.add(-1);
        result.error = why == wake::timeout ? errc::timeout : stopped_ ? errc::stopped : errc::cancelled;
    }
    co_return result;
}

std::unique_ptr<channel> origin_pool::take_idle() noexcept {
    while (!idle_.empty()) {
        auto c = std::move(idle_.back());
        idle_.pop_back();
        shared_.stats.channels_idle.add(-1);
        shared_.stats.channels_active.add(1);
        if (c->alive()) return c;
        discard(std::move(c), close_reason::peer_closed);
    }
    return nullptr;
}

steady_time origin_pool::lifetime_end() noexcept {
    auto const life = std::chrono::duration_cast<steady_duration>(shared_.params.pool.max_lifetime);
    return shared_.clock.now() + steady_duration(static_cast<steady_duration::rep>(uniform(shared_.random, 0.8, 1.0) *
                                                                                   static_cast<double>(life.count())));
}

void origin_pool::offer(std::unique_ptr<channel> c) noexcept {
    if (stopped_) {
        discard(std::move(c), close_reason::stopped);
    } else if (shared_.clock.now() >= c->retire_at) {
        discard(std::move(c), close_reason::lifetime);
    } else {
        hand_to_next_or_keep(std::move(c));
    }
}

void origin_pool::hand_to_next_or_keep(std::unique_ptr<channel> c) noexcept {
    if (auto* const next = static_cast<waiter*>(queue_.pop())) {
        shared_.stats.queue_length.add(-1);
        next->channel = std::move(c);
        next->point.notify();
        return;
    }
    c->idle_since = shared_.clock.now();
    idle_.push_back(std::move(c));
    shared_.stats.channels_active.add(-1);
    shared_.stats.channels_idle.add(1);
    if (!reaper_->scheduled())
        shared_.clock.set(*reaper_, shared_.clock.now() +
                                        std::min<steady_duration>(sweep_interval, shared_.params.pool.idle_timeout));
}

void origin_pool::discard(std::unique_ptr<channel> c, close_reason why) noexcept {
    c.reset();
    --open_;
    shared_.stats.channels_active.add(-1);
    shared_.stats.channels_closed[static_cast<std::size_t>(why)].add();
    if (!stopped_) dial_for_waiters();
}

void origin_pool::reap() {
    auto const now = shared_.clock.now();
    auto const idle_timeout = std::chrono::duration_cast<steady_duration>(shared_.params.pool.idle_timeout);
    std::erase_if(idle_, [&](std::unique_ptr<channel>& c) {
        auto const why = now - c->idle_since >= idle_timeout ? close_reason::idle_timeout
                         : now >= c->retire_at               ? close_reason::lifetime
                                                             : close_reason::peer_closed;
        if (why == close_reason::peer_closed && c->alive()) return false;
        --open_;
        shared_.stats.channels_idle.add(-1);
        shared_.stats.channels_closed[static_cast<std::size_t>(why)].add();
        return true;
    });
    if (!idle_.empty()) shared_.clock.set(*reaper_, now + std::min<steady_duration>(sweep_interval, idle_timeout));
}

void origin_pool::dial_for_waiters() {
    auto const& limits = shared_.params.pool;
    while (!stopped_ && dialing_ < limits.max_dialing && open_ + dialing_ < limits.max_channels &&
           dialing_ < queue_.size()) {
        ++dialing_;
        shared_.stats.channels_dialing.add(1);
        asio::co_spawn(shared_.executor, run_dial(shared_from_this(), shared_.owner.lock()), [](std::exception_ptr) {});
    }
}

asio::awaitable<void> origin_pool::run_dial(std::shared_ptr<origin_pool> self, std::shared_ptr<void> keep_alive) {
    dial_result result;
    try {
        result = co_await self->shared_.dial.dial(self->host_);
    } catch (std::bad_alloc const&) {
        result.error = {errc::connect_failed, "out of memory"};
    }
    self->on_dialed(std::move(result));
    keep_alive.reset();
}

void origin_pool::on_dialed(dial_result result) {
    --dialing_;
    auto& stats = shared_.stats;
    stats.channels_dialing.add(-1);
    for (std::size_t i = 0; i < dial_stage_count; ++i)
        if (result.took[i].count() > 0) stats.dial_duration[i].observe(result.took[i]);
    if (!result.channel) {
        stats.dial_failures[static_cast<std::size_t>(result.failed_at)].add();
        if (stopped_) return;
        shared_.report({event::kind::dial_failed,
                        {},
                        host_ + ": " + to_string(result.failed_at) + ": " + result.error.describe()});
        // While channels are open the queue moves without this one.
        if (open_ == 0 && dialing_ == 0) fail_waiters(result.error);
        return;
    }
    ++open_;
    stats.channels_active.add(1);
    stats.channels_opened.add();
    if (result.resumed) stats.channels_resumed.add();
    result.channel->retire_at = lifetime_end();
    offer(std::move(result.channel));
    dial_for_waiters();
}

void origin_pool::fail_waiters(failure const& why) {
    while (auto* const w = static_cast<waiter*>(queue_.pop())) {
        shared_.stats.queue_length.add(-1);
        w->error = why;
        w->point.notify();
    }
}

void origin_pool::stop() noexcept {
    stopped_ = true;
    for (auto& c : idle_) {
        c.reset();
        --open_;
        shared_.stats.channels_idle.add(-1);
        shared_.stats.channels_closed[static_cast<std::size_t>(close_reason::stopped)].add();
    }
    idle_.clear();
}

}  // namespace jirapool::detail
