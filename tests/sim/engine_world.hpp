#pragma once

#include "jira_model.hpp"
#include "scheduler.hpp"

#include "engine.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace jirapool::sim {

/** The engine, unmodified, in virtual time: its own coroutines over simulated dials, channels and Jira. One shard. */
class engine_world {
public:
    engine_world(model_params m, client_params p, std::uint64_t seed);
    ~engine_world();

    scheduler& time() noexcept { return scheduler_; }
    jira_model& jira() noexcept { return model_; }
    detail::engine& engine() noexcept { return *engine_; }
    shard_stats const& stats() const { return *stats_; }

    /// Adds the connection of each site.
    void add_all();
    connection const& site(std::size_t n) const { return connections_.at(n); }

    struct outcome {
        std::uint64_t started = 0;
        std::uint64_t succeeded = 0;
        std::uint64_t limited = 0;  ///< 429 delivered, or refused before it was sent
        std::uint64_t failed = 0;   ///< anything else
        std::uint64_t late = 0;     ///< ended behind its deadline
    };
    /// Starts a call now; it counts in `totals` when it ends.
    void start(std::size_t site, request r, std::chrono::milliseconds timeout);
    outcome totals;

private:
    scheduler scheduler_;
    jira_model model_;
    std::unique_ptr<detail::engine> engine_;
    std::shared_ptr<shard_stats const> stats_;
    std::vector<connection> connections_;
};

}  // namespace jirapool::sim
