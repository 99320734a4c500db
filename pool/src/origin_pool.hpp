#pragma once

#include "channel.hpp"
#include "timers.hpp"
#include "wait_point.hpp"

#include <jirapool/core/fair_queue.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/retry.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/pool/params.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace jirapool::detail {

class origin_pool;

/// The right to run one exchange on a channel. Gives it back when destroyed: closed, unless `give_back` said otherwise.
class lease {
public:
    lease() = default;
    lease(std::shared_ptr<origin_pool> pool, std::unique_ptr<jirapool::detail::channel> c) noexcept
        : pool_(std::move(pool)), channel_(std::move(c)) {}
    lease(lease&&) noexcept = default;
    lease& operator=(lease&& other) noexcept;
    ~lease();

    explicit operator bool() const noexcept { return channel_ != nullptr; }
    jirapool::detail::channel& channel() const noexcept { return *channel_; }

    /// The channel is clean: the next call may have it.
    void give_back() noexcept;
    void close(close_reason why) noexcept;

private:
    std::shared_ptr<origin_pool> pool_;
    std::unique_ptr<jirapool::detail::channel> channel_;
};

class lease_result {
public:
    detail::lease lease;
    failure error;
};

/** The channels of one shard to one origin: leases them, dials more when calls wait, closes idle ones.

    Dials run behind the queue, not in a call: whichever channel is free first, new or given back, serves whoever's turn it
    is. A dial that fails while no channel is open fails all who wait, once. */
class origin_pool : public std::enable_shared_from_this<origin_pool> {
public:
    /// What all pools of a shard share.
    struct shared {
        asio::any_io_executor executor;
        timers& clock;
        dialer& dial;
        client_params const& params;
        shard_stats& stats;
        random_engine& random;
        std::function<void(event)> report;
        std::weak_ptr<void> owner;  // the shard: kept alive while a dial runs
    };

    origin_pool(std::string host, shared const& s);
    ~origin_pool();

    std::string const& host() const noexcept { return host_; }
    retry_budget& budget() noexcept { return budget_; }

    /// Errors: queue_full, timeout, cancelled, stopped, or why dialling failed.
    asio::awaitable<lease_result> acquire(fair_flow* flow, steady_time deadline);

    /// Closes what is idle. Nothing is dialled any more.
    void stop() noexcept;

private:
    friend class lease;
    struct waiter;
    class reaper;

    std::unique_ptr<channel> take_idle() noexcept;
    void offer(std::unique_ptr<channel> c) noexcept;
    void discard(std::unique_ptr<channel> c, close_reason why) noexcept;
    void hand_to_next_or_keep(std::unique_ptr<channel> c) noexcept;
    void dial_for_waiters();
    static asio::awaitable<void> run_dial(std::shared_ptr<origin_pool> self, std::shared_ptr<void> keep_alive);
    void on_dialed(dial_result result);
    void fail_waiters(failure const& why);
    void reap();
    steady_time lifetime_end() noexcept;

    std::string host_;
    shared const& shared_;
    fair_queue queue_;
    std::vector<std::unique_ptr<channel>> idle_;  // the most recently used last: it is the next to be used
    std::unique_ptr<reaper> reaper_;
    std::size_t open_ = 0;
    std::size_t dialing_ = 0;
    retry_budget budget_;
    bool stopped_ = false;
};

}  // namespace jirapool::detail
