#pragma once

#include "jira_model.hpp"
#include "scheduler.hpp"

#include "engine/engine.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace jirapool::sim {

/** The engine, unmodified, in virtual time: its own coroutines over simulated dials, channels and Jira.

    After every event the engine's gauges are compared with what the world sees, and each call's end is checked: ended once,
    by its deadline, its explanation adding up to its time. What is wrong stands in the model's `violations`. */
class engine_world {
public:
    engine_world(model_params m, client_params p, std::uint64_t seed, std::size_t shards = 1);
    ~engine_world();

    scheduler& time() noexcept { return scheduler_; }
    jira_model& jira() noexcept { return model_; }
    detail::engine& engine() noexcept { return *engine_; }
    std::shared_ptr<detail::engine> const& engine_shared() noexcept { return engine_; }
    shard_stats const& stats(std::size_t shard = 0) const { return *stats_.at(shard); }
    /// Over all shards.
    template <class Read>
    std::uint64_t sum(Read const& read) const {
        std::uint64_t n = 0;
        for (auto const& s : stats_) n += static_cast<std::uint64_t>(read(*s));
        return n;
    }

    /// Adds the connection of each site.
    void add_all();
    connection const& site(std::size_t n) const { return connections_.at(n); }

    // While calls are in flight:
    void replace_secret(std::size_t n);
    void remove(std::size_t n);
    /// No call can be started any more.
    void drop_handles() { connections_ = {}; }
    void add_again(std::size_t n);
    /// The machine sleeps: what ends late because of it is not held against the engine.
    void sleep(steady_duration d);

    struct outcome {
        std::uint64_t started = 0;
        std::uint64_t succeeded = 0;
        std::uint64_t limited = 0;    ///< 429 delivered, or refused before it was sent
        std::uint64_t cancelled = 0;  ///< by us, or as its connection was removed
        std::uint64_t failed = 0;     ///< anything else
        std::uint64_t late = 0;       ///< ended behind its deadline
        std::uint64_t ended() const noexcept { return succeeded + limited + cancelled + failed; }
    };
    using result_handler = std::function<void(result<response> const&)>;
    /// Starts a call now; when it ends it counts in `totals`, and `then` is told.
    void start(std::size_t site, request r, std::chrono::milliseconds timeout, result_handler then = {});
    /// The same, cancelled after `cancel_after`, if that comes first.
    void start_and_cancel(std::size_t site, request r, std::chrono::milliseconds timeout, steady_duration cancel_after);
    outcome totals;

    /// Stops the engine, lets everything end, and looks for what is left and for books that do not add up.
    void finish();
    /// Nothing of the engine is left behind, but what the stats' readers hold.
    void destroy_engine();

private:
    friend class sim_channel;
    friend class sim_dialer;

    struct transports {
        std::size_t open = 0;
        std::size_t dialing = 0;
    };

    result_handler on_end(std::size_t site, steady_time deadline, result_handler then);
    void ended(std::size_t site, steady_time started, steady_time deadline, result<response> const& got);
    void check();

    scheduler scheduler_;
    jira_model model_;
    std::size_t max_channels_;
    double max_leases_of_site_;
    double retry_ratio_;
    std::vector<transports> transports_;                    // by shard
    std::vector<std::map<std::string, transports>> hosts_;  // by shard
    std::shared_ptr<detail::engine> engine_;
    std::vector<std::shared_ptr<shard_stats const>> stats_;
    std::vector<connection> connections_;
    std::vector<std::uint64_t> calls_;  // by site
    steady_time woke_ = steady_time::min();
    bool finished_ = false;
};

/// The model's violations, to be compared with "".
inline std::string joined(std::vector<std::string> const& lines) {
    std::string all;
    for (auto const& l : lines) all += l + "; ";
    return all;
}

inline void pass(engine_world& w, steady_duration d) { w.time().run_until(w.time().now() + d); }

}  // namespace jirapool::sim
