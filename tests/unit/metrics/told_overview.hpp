#pragma once

#include <jirapool/core/overview.hpp>
#include <jirapool/core/stats.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace jirapool {

/// Tells what a test has put into it.
class told_overview final : public overview {
public:
    std::vector<std::shared_ptr<shard_stats const>> stats() const override { return all_stats; }
    std::vector<std::shared_ptr<survey const>> look(std::chrono::milliseconds) const override { return surveys; }
    std::vector<site_snapshot> sites(std::chrono::milliseconds) const override { return all_sites; }
    std::vector<connection_snapshot> connections() const override { return all_connections; }
    std::vector<shard_pace> paces() const override { return all_paces; }
    std::optional<budget_left> app_quota() const override { return quota; }
    std::vector<bound> bounds() const override { return all_bounds; }

    std::vector<std::shared_ptr<shard_stats const>> all_stats;
    std::vector<std::shared_ptr<survey const>> surveys;
    std::vector<site_snapshot> all_sites;
    std::vector<connection_snapshot> all_connections;
    std::vector<shard_pace> all_paces;
    std::optional<budget_left> quota;
    std::vector<bound> all_bounds;
};

/// One that tells these counters and nothing else.
inline std::shared_ptr<overview const> counted(std::vector<std::shared_ptr<shard_stats const>> stats) {
    auto o = std::make_shared<told_overview>();
    o->all_stats = std::move(stats);
    return o;
}

}  // namespace jirapool
