#pragma once

#include "engine/app_budgets.hpp"
#include "engine/connection_entry.hpp"
#include "engine/connection_health.hpp"
#include "engine/connection_list.hpp"
#include "engine/origin_directory.hpp"
#include "engine/shard_context.hpp"
#include "engine/site_directory.hpp"
#include "engine/site_state.hpp"
#include "engine/surveyor.hpp"
#include "engine/token_refresher.hpp"
#include "wait/context_life.hpp"
#include "wait/here_executor.hpp"
#include "wait/timers.hpp"

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/pool/client.hpp>
#include <jirapool/pool/params.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace jirapool::detail {

class entry;
class shard;
class shard_set;

/** One thread's share of the engine: its sites with their limiters, tokens, origins and calls. Shared nothing.

    @par Threads   Everything but `stats`, `life`, `post` and `request_stop` only on its executor. */
class shard final : public std::enable_shared_from_this<shard>, private site_homes, private check_maker {
public:
    /// Whoever lets go of it last, on whatever thread: it is destroyed on its executor, or with the executor's context.
    static std::shared_ptr<shard> make(shard_environment e, std::shared_ptr<client_params const> p, std::size_t index,
                                       std::weak_ptr<shard_set> all);

    std::shared_ptr<shard_stats> const& stats() const noexcept { return stats_; }
    /// Of the context that its executor is of.
    std::shared_ptr<context_life> const& life() const noexcept { return life_; }
    /// Posts to its executor. False: the context is gone. May throw bad_alloc.
    template <class F>
    bool post(F f) {
        return life_->while_alive([&] { asio::post(context_->executor, std::move(f)); });
    }
    /// `stop`, soon, on its executor; needs no memory.
    void request_stop() noexcept;
    asio::any_io_executor const& executor() const noexcept { return context_->executor; }
    /// A coroutine on `ex` runs where this does.
    bool runs_on(asio::any_io_executor const& ex) const noexcept;

    /// A new connection, of which this is the first home.
    void add(std::shared_ptr<connection_entry> const& e) noexcept;
    /// Begins with a connection that has its state, but no site yet. False: there was no memory, and it is as it was; its next
    /// call tries again.
    bool begin_with(std::shared_ptr<connection_entry> const& e) noexcept;
    void replace(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s);
    void remove(std::shared_ptr<connection_entry> const& e);
    void reset_limits(connection_entry const& e) noexcept;
    void stop();
    /// From now on new calls end with `stopped`.
    void refuse_calls() noexcept { refusing_ = true; }
    /// True when no call is left, false when some are at the deadline, or when it is over before.
    static asio::awaitable<bool> drain(std::shared_ptr<shard> self, std::chrono::milliseconds patience,
                                       std::shared_ptr<std::atomic<bool> const> over);
    /// Those who drain look whether it is over.
    void wake_drains() noexcept;
    /// A call was cancelled before it began.
    void count_cancelled(connection_kind k, request const& r) noexcept;
    /// One that lacked the memory to be handed to its caller is so a moment later.
    /// False: its context is gone.
    bool deliver_later(std::shared_ptr<entry> e) noexcept;
    /// For what ends here and is to be told here.
    here_executor here() const noexcept { return here_executor(*place_); }

    /// Why no call of the connection begins; no code: it may.
    failure why_no_call(connection_entry const& e) const noexcept {
        if (e.removed) return about(e, errc::connection_removed);
        if (!e.state || refusing_ || context_->clock.stopped()) return about(e, errc::stopped);
        return {};
    }
    /// A call from elsewhere, at the connection's home. May throw bad_alloc before it began.
    /// `maybe_processed`: says at each moment what failure::maybe_processed would say if the coroutine was destroyed then.
    static asio::awaitable<result<response>> call(std::shared_ptr<shard> self, std::shared_ptr<connection_entry> e,
                                                  request r, body_streams b, std::atomic<bool>* maybe_processed);

    /// What an answer of the connection says about limits is known from now on, on whichever shard its site is by now.
    /// `s`: of the call that it answers. @return what its headers say. May throw bad_alloc: then it is not known.
    rate_headers learn(std::shared_ptr<connection_entry> const& e, connection_state& s, route_match m,
                       response const& answer, steady_time now);
    /// The points budgets of which answers told: most connections have none.
    /// `over_sites` gets the app's, and holds it for as long as the caller refers to it.
    quota_scopes quotas_of(connection_entry const& e, connection_state const& s,
                           std::shared_ptr<budget_share>& over_sites) noexcept;

    void on_call_ended();

    /// See overview::look. From any thread.
    survey_board::ticket ask_for_survey(bool all, steady_time now) noexcept;
    std::shared_ptr<survey_board> const& surveys() const noexcept { return board_; }
    /// On its executor, at this moment: who waits here for what it does waits in vain. Where the executor is of Asio's own kinds.
    bool runs_here() const noexcept;

    connection_health& health() noexcept { return health_; }
    /// What an answer of the connection says of it, on whichever shard it is by now. `s`: of the call that it answers.
    void tell_health(std::shared_ptr<connection_entry> const& e, connection_state const& s, answer_sign says,
                     route_id r, call_purpose p, steady_time now) noexcept;
    token_refresher& tokens() noexcept { return tokens_; }
    /// Null once its executor's context is gone.
    std::shared_ptr<shard_context> const& context() const noexcept { return context_; }

    // For tests and the simulator.
    timers& clock() noexcept { return context_->clock; }

private:
    class watcher;
    class undelivered;
    struct destroyer {
        void operator()(shard* s) const noexcept;
    };

    shard(shard_environment e, std::shared_ptr<client_params const> p, std::size_t index);
    ~shard();
    friend std::default_delete<shard>;
    void begin(std::weak_ptr<shard_set> all);
    void count(connection_entry const& e, connection_change c) noexcept;

    void learn_quotas(connection_entry& e, connection_state& s, rate_headers const& h);

    void teach(connection_entry& e, connection_state& s, route_match m, int status, rate_headers const& said,
               steady_time now);
    void report_pause(connection_entry const& e, route_id r, limit_reason why, limit_scope of) noexcept;
    /// The same on the shard that has the connection now.
    void teach_elsewhere(std::shared_ptr<connection_entry> const& e, route_match m, int status,
                         rate_headers const& said) noexcept;
    void tell_health_elsewhere(std::shared_ptr<connection_entry> const& e, std::uint8_t secret_number, answer_sign says,
                               route_id r, call_purpose p) noexcept;
    std::optional<std::size_t> elsewhere(std::string_view site_key) const noexcept override;
    void hand_over(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s, std::size_t home,
                   std::string const& cloud, std::shared_ptr<site_lessons const> lessons) override;
    void take_over(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s,
                   std::string const& cloud, site_lessons const* lessons) noexcept;
    void forget_unused() noexcept;

    void begin_check(std::shared_ptr<connection_entry> const& e) override;
    static asio::awaitable<void> check(std::shared_ptr<shard> self, std::shared_ptr<connection_entry> e);

    void survey_piece() noexcept;

    /// The executor's context is gone: whoever waits here is never resumed. Its caller holds it.
    void abandon() noexcept;

    std::shared_ptr<shard_context> context_;  // null once its executor's context is gone
    std::shared_ptr<shard_stats> const stats_;
    asio::execution_context* const place_;
    std::shared_ptr<context_life> const life_;
    std::shared_ptr<watcher> watcher_;
    std::unique_ptr<undelivered> undelivered_;
    std::shared_ptr<shard> kept_;  // itself, from a request to stop until it is met
    std::weak_ptr<shard_set> all_;
    std::size_t index_;

    connection_list connections_;
    surveyor surveyor_;
    std::shared_ptr<survey_board> const board_;
    connection_health health_;
    origin_directory origins_;
    token_refresher tokens_;
    site_directory sites_;
    app_budgets budgets_;
    std::vector<wait_point*> drains_;  // who waits for the last call
    bool refusing_ = false;
    std::size_t removed_ = 0;  // connections, since what they leave behind was last looked for
};

/// All shards of an engine: what handles and shards use to reach one another.
class shard_set {
public:
    std::vector<std::shared_ptr<shard>> shards;
    /// By stop: no call begins any more.
    std::atomic<bool> ended{false};
    /// What their times are of.
    engine_clock const* clock = nullptr;

    std::size_t home_of(std::string_view site_key) const noexcept;
};

}  // namespace jirapool::detail
