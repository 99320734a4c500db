#pragma once

#include <jirapool/core/overview.hpp>
#include <jirapool/metrics/family.hpp>
#include <jirapool/metrics/names.hpp>

#include <array>
#include <limits>
#include <memory>
#include <vector>

namespace jirapool::metrics {

using surveys = std::vector<std::shared_ptr<survey const>>;

/// What is summed of all shards' surveys: the series of all_series that no counter has.
struct overview_numbers {
    std::array<double, ending_count> endings{};
    double retry_budget_left = 1;
    double paused_sites = 0;
    std::array<double, points_state_count> app_points{};
    double tokens = 0;
    double stale_tokens = 0;
    double soonest_expiry = std::numeric_limits<double>::infinity();
    double oldest_token = 0;
    double survey_age = 0;
    double dropped = 0;
};
overview_numbers numbers_of(overview const& o, surveys const& seen);

/// Adds each family of all_named_series, in its order. May throw bad_alloc.
void add_named_families(std::vector<family>& to, overview const& o, surveys const& seen);

}  // namespace jirapool::metrics
