#pragma once

#include <jirapool/core/stats.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace jirapool::load {

/// The library's own counters that a summary shows, over all shards, at one moment or between two.
struct client_counters {
    template <std::size_t N>
    using by = std::array<std::uint64_t, N>;

    by<refresh_result_count> token_refreshes{};
    /// Calls that waited because no valid token was held, those before the credential's first token left out.
    std::uint64_t token_waits = 0;
    std::uint64_t token_waits_at_start = 0;
    std::uint64_t token_late_rejections = 0;

    /// All that the server answered, those that were answered by a resend among them.
    std::uint64_t answers = 0;
    std::uint64_t answered_401 = 0;
    std::uint64_t answered_429 = 0;
    by<limit_reason_count> limited{};
    by<resend_reason_count> resends{};
    std::uint64_t resends_over_budget = 0;

    std::uint64_t limit_waits = 0;
    std::uint64_t limit_queue_full = 0;
    std::uint64_t limited_past_deadline = 0;

    std::uint64_t channels_opened = 0;
    std::uint64_t channels_resumed = 0;
    by<close_reason_count> channels_closed{};
    std::uint64_t dial_failures = 0;
    std::uint64_t queue_full = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;

    double share_429() const noexcept;
};

client_counters read_counters(std::vector<std::shared_ptr<shard_stats const>> const& shards) noexcept;
/// What was counted since `earlier`.
client_counters operator-(client_counters const& later, client_counters const& earlier) noexcept;

}  // namespace jirapool::load
