#pragma once

#include <jirapool/core/result.hpp>

#include <cstdint>
#include <string_view>

namespace jirapool::load {

/// What a jirapool-mock counted since it started: the other side of the same run.
struct mock_view {
    std::uint64_t requests = 0;
    std::uint64_t answered_401 = 0;
    std::uint64_t answered_429 = 0;
    std::uint64_t isolation_violations = 0;
    std::uint64_t sni_mismatches = 0;
    std::uint64_t injected_errors = 0;

    std::uint64_t channels_accepted = 0;
    std::uint64_t handshakes = 0;
    std::uint64_t handshakes_resumed = 0;

    /// Tokens that each OAuth credential got, the first one among them.
    std::uint64_t min_refreshes_per_credential = 0;
    std::uint64_t max_refreshes_per_credential = 0;
    std::uint64_t max_in_flight_per_credential = 0;

    /// Over the buckets (site and route) that were busy: used by at least half of what they permit.
    std::uint64_t busy_buckets = 0;
    double permitted = 0;
    std::uint64_t admitted = 0;
    std::uint64_t refused = 0;
    /// admitted / permitted
    double share_used = 0;

    /// The same over all buckets that were used at all.
    std::uint64_t buckets = 0;
    double all_permitted = 0;
    std::uint64_t all_admitted = 0;
    std::uint64_t all_refused = 0;
    double all_share_used() const noexcept {
        return all_permitted > 0 ? static_cast<double>(all_admitted) / all_permitted : 0;
    }
};

/// Reads the mock's GET /stats. What it does not say stays 0. Errors: not_json.
result<mock_view> parse_mock_stats(std::string_view json);

}  // namespace jirapool::load
