#pragma once

#include <jirapool/core/overview.hpp>
#include <jirapool/core/stats.hpp>

#include <memory>
#include <vector>

namespace jirapool::metrics {

/// Several clients as one.
class combined_overview final : public overview {
public:
    /// Throws std::invalid_argument when one of them is null.
    explicit combined_overview(std::vector<std::shared_ptr<overview const>> all);

    std::vector<std::shared_ptr<shard_stats const>> stats() const override;
    std::vector<std::shared_ptr<survey const>> look(std::chrono::milliseconds patience) const override;
    std::vector<site_snapshot> sites(std::chrono::milliseconds patience) const override;
    std::vector<connection_snapshot> connections() const override;
    std::vector<shard_pace> paces() const override;
    /// The least of all.
    std::optional<budget_left> app_quota() const override;
    /// Each name once: their sum, as each client has so much.
    std::vector<bound> bounds() const override;

private:
    template <class Get>
    auto joined(Get const& get) const;

    std::vector<std::shared_ptr<overview const>> const all_;
};

}  // namespace jirapool::metrics
