#pragma once

#include "engine/room_list.hpp"
#include "engine/shard_context.hpp"
#include "exchange/channel.hpp"
#include "wait/timers.hpp"
#include "wait/wait_point.hpp"

#include <jirapool/core/fair_queue.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/retry.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/pool/params.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::detail {

struct connection_entry;

class origin_pool;

/// The right to run one exchange on a channel: a unit of its capacity. Gives it back when destroyed: closed, unless `end` or
/// `give_back` came before. The flow must outlive it.
class lease {
public:
    lease() = default;
    lease(std::shared_ptr<origin_pool> pool, fair_flow& flow, jirapool::detail::channel& c) noexcept
        : pool_(std::move(pool)), flow_(&flow), channel_(&c) {}
    lease(lease&& other) noexcept
        : pool_(std::move(other.pool_)), flow_(other.flow_), channel_(std::exchange(other.channel_, nullptr)) {}
    lease& operator=(lease&& other) noexcept;
    ~lease();

    explicit operator bool() const noexcept { return channel_ != nullptr; }
    jirapool::detail::channel& channel() const noexcept { return *channel_; }

    /// The exchange has ended: judges by its report whether the channel is clean, and the next call may have it, or is closed.
    void end(exchange_report const& report) noexcept;
    /// Without an exchange: the channel is as it was.
    void give_back() noexcept;
    /// The exchange was given up. The channel is closed, unless it multiplexes: then it knows by itself what it is good for.
    void close(close_reason why) noexcept;
    /// The exchange, which began at `then`, was swallowed: the channel is closed, unless it answered another one since.
    void distrust(steady_time then) noexcept;

private:
    std::shared_ptr<origin_pool> pool_;
    fair_flow* flow_ = nullptr;
    jirapool::detail::channel* channel_ = nullptr;
};

class lease_result {
public:
    detail::lease lease;
    failure error;
};

/** The channels of one shard to one origin: leases them, dials more when calls wait, closes idle ones.

    A channel that is leased belongs to its leases, of which it has as many as its capacity allows: the last one leaves it idle or
    closes it. Of those that have room the fullest is filled first, so that few carry all and the others come to be idle.

    Dials run behind the queue, not in a call: whichever channel is free first, new or given back, serves whoever's turn it
    is. A dial that fails while no channel is open fails all who wait, once; behind it the origin is left alone for a while.

    Whatever happens ends in `serve`, so that as long as a call may have a channel, all channels are full and either
    there are as many as there may be, or a dial runs, or the timer of a backoff does. */
class origin_pool final : public std::enable_shared_from_this<origin_pool>, private channel_watch {
public:
    origin_pool(std::string host, std::shared_ptr<shard_context> c);
    ~origin_pool();

    std::string const& host() const noexcept { return host_; }
    /// What each request says of where it goes and whose it is.
    void address(exchange_input& in) const noexcept {
        in.host = host_;
        in.user_agent = context_->params->user_agent;
    }
    retry_budget& budget() noexcept { return budget_; }
    retry_budget& hedges() noexcept { return hedges_; }

    /// One that has room, if the flow may have it at once; else none. `flow` must outlive the lease.
    lease try_acquire(fair_flow& flow, steady_time now) noexcept;
    /// As try_acquire, but waits. Errors: queue_full, timeout, cancelled, stopped, or why dialling failed.
    /// `heeds`: the types of cancellation that end the wait. `of`: whose call waits, if somebody's does.
    asio::awaitable<lease_result> acquire(fair_flow* flow, steady_time deadline,
                                          asio::cancellation_type heeds = asio::cancellation_type::all,
                                          connection_entry const* of = nullptr);
    /// The connection was removed: those of its calls that wait in the flow end, as cancelled.
    void end_waits_of(fair_flow const& flow, connection_entry const& of);

    /// For what no call waits for: as acquire, but a dial for it waits until params let one begin. For a day, as the turn
    /// of one site among thousands may be minutes away; `stop` ends it.
    asio::awaitable<lease_result> acquire_in_background(fair_flow* flow);

    /// On a channel that is dialled for it alone. None: no call may go before those that wait, no dial may begin, or this one
    /// failed.
    asio::awaitable<lease> dial_for(fair_flow* flow);
    /// Closes what was idle before `then` and still is: something swallowed an exchange that began then, and the channels
    /// that have not been heard of since may have ended as silently. Those that are leased take no more, if they have room.
    void close_unheard_since(steady_time then) noexcept;

    /// Closes what is idle. Nothing is dialled any more.
    void stop() noexcept;

    struct state {
        std::size_t open;  ///< idle ones included
        std::size_t idle;
        std::size_t dialing;
        std::size_t waiting;
        std::size_t ready;  ///< of them those whose sites may have one more
        bool backing_off;
        std::size_t with_room;  ///< of the open ones that are leased
        std::size_t ending;     ///< …: these take no more leases
    };
    /// For tests and the simulator.
    state look() const noexcept;

    /// How many leases there may be at a time: as many as all channels carry that may be open, each what the last one did.
    double max_leases() const noexcept;

private:
    friend class lease;
    struct waiter;
    class reaper;
    class serve_timer;

    asio::awaitable<lease_result> wait_for_lease(fair_flow* flow, steady_time deadline, asio::cancellation_type heeds,
                                                 bool in_background, connection_entry const* of);
    void give_back(fair_flow& flow, channel& c) noexcept;
    void close(fair_flow& flow, channel& c, close_reason why) noexcept;

    lease take_for(fair_flow& flow, steady_time now) noexcept;
    /// Why one that waited has no channel yet.
    failure none_in_time() const;
    /// One that has room, to be lent at once; nullptr: there is none.
    channel* take() noexcept;
    channel* take_from_below() noexcept;
    lease lend(fair_flow& flow, channel& c) noexcept;
    /// A clean channel that is new or lost a lease: to the next in the queue, or idle, or closed.
    void offer(channel& c) noexcept;
    void hand_over(channel& c, steady_time now) noexcept;
    void park(channel& c, steady_time now) noexcept;
    /// Into the list of those with room, or out of it.
    void place(channel& c) noexcept {
        bool const has_room = c.leases != 0 && c.leases < c.known_capacity && !c.ending;
        if (has_room != c.has_room) move(c, has_room);
    }
    void move(channel& c, bool has_room) noexcept;
    /// Closes it for new exchanges, which may leave room for another one: `serve` comes behind.
    void discard(channel& c, close_reason why) noexcept;
    void shut(channel& c, close_reason why) noexcept;
    /// Precondition: nobody holds it.
    void drop(channel& c, close_reason why) noexcept;
    static void look_at_capacity(channel& c) noexcept;
    /// The next one will carry as many.
    void learn_from(channel const& c) noexcept;
    std::uint32_t most_of_site() const noexcept;
    void on_change(channel& c) noexcept override;
    /// The only place where channels are counted.
    void set_state(channel_state& of, channel_state to) noexcept;
    std::uint32_t& count_of(channel_state s) noexcept { return counts_[static_cast<std::size_t>(s)]; }
    std::uint32_t count_of(channel_state s) const noexcept { return counts_[static_cast<std::size_t>(s)]; }
    std::uint32_t open() const noexcept { return count_of(channel_state::idle) + count_of(channel_state::active); }
    counter& of_kind(std::array<counter, origin_kind_count>& all) const noexcept {
        return all[static_cast<std::size_t>(kind_)];
    }
    channel_census census() const noexcept;
    channel_limits limits() const noexcept;
    void fail_waiters(failure const& why) noexcept;
    void serve() noexcept {
        // As nearly always nobody waits.
        if (queue_.ready() != 0 || keeps_spare_ || succession_) serve_who_waits();
    }
    void serve_who_waits() noexcept;

    bool may_dial() const noexcept { return dial_room(census(), limits()) > 0; }
    bool background_may_dial() noexcept;
    void start_dial(dial_purpose why) noexcept;
    /// What begins with each dial, and ends in `opened`.
    channel_state begin_dial(dial_purpose why) noexcept;
    static asio::awaitable<void> run_dial(std::shared_ptr<origin_pool> self, channel_state state);
    void on_dialed(channel_state state, dial_result result) noexcept;
    /// Null: it failed, and all is done about that.
    std::unique_ptr<channel> opened(channel_state state, dial_result& result) noexcept;
    void report_down(dial_result const& result) noexcept;
    void report_up() noexcept;
    void back_off() noexcept;

    void reap();
    steady_time lifetime_end() noexcept;
    steady_duration replace_ahead() const noexcept;
    steady_duration sweep_interval() const noexcept;
    void replace_if_due(channel& c, steady_time now) noexcept;

    std::string host_;
    std::shared_ptr<shard_context> const context_;
    fair_queue queue_;
    room_list with_room_;         // these are leased
    std::vector<channel*> idle_;  // the most recently used last: it is the next to be used. `drop` ends them
    std::unique_ptr<reaper> reaper_;
    std::unique_ptr<serve_timer> brake_;  // scheduled: no dial begins
    std::unique_ptr<serve_timer> turn_;   // scheduled: none for what waits in the background; null until something did
    std::array<std::uint32_t, channel_state_count> counts_{};  // of channels in each state
    std::uint32_t promised_ = 0;                               // of those that are dialled: they are not for who waits
    std::uint32_t background_ = 0;                             // of those in the queue
    std::uint32_t ending_ = 0;                                 // of the active ones: they take no more leases
    // What the last one said that it carries. 0: nobody knows, or it carries nothing now.
    std::uint32_t per_channel_;
    unsigned failures_ = 0;  // in a row; of dials that ran at the same time the first one counts
    retry_budget budget_;
    retry_budget hedges_{1};
    origin_kind const kind_;
    bool const keeps_spare_;
    bool used_ = false;
    bool multiplexed_ = false;  // the last channel was
    bool succession_ = false;   // one that is leased takes no more
    bool stopped_ = false;
};

}  // namespace jirapool::detail
