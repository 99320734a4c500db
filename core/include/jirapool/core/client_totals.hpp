#pragma once

#include <jirapool/core/labels.hpp>
#include <jirapool/core/outcome.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace jirapool {

/** What a client counted from its beginning on, over all shards, or between two moments, and what there is of some things. An array's
    place is the enumerator's number. `metrics` tells the same in more detail. */
struct client_totals {
    template <std::size_t N>
    using by = std::array<std::uint64_t, N>;

    // Calls, counted when they end; those of request::check are in none of these.
    by<outcome_count> calls{};

    // Exchanges
    std::uint64_t answers = 0;  ///< those that were followed by another exchange of the call, too
    std::uint64_t answered_401 = 0;
    std::uint64_t answered_429 = 0;
    by<limit_reason_count> limited{};  ///< those 429s by reason
    by<resend_reason_count> resends{};
    std::uint64_t resends_over_budget = 0;  ///< that were not sent for want of budget (retry_params)

    // Limits
    std::uint64_t limit_waits = 0;  ///< calls that waited for a permit
    std::uint64_t limit_queue_full = 0;
    std::uint64_t limited_past_deadline = 0;

    // Tokens
    by<refresh_result_count> token_refreshes{};
    std::uint64_t token_waits = 0;            ///< calls that waited because no valid token was held, but for the next
    std::uint64_t token_waits_at_start = 0;   ///< those before the credential's first token
    std::uint64_t token_late_rejections = 0;  ///< 401s of a token that was already replaced

    // Channels
    std::uint64_t channels_opened = 0;
    std::uint64_t channels_resumed = 0;  ///< of them with a resumed TLS session
    by<close_reason_count> channels_closed{};
    std::uint64_t dial_failures = 0;
    std::uint64_t queue_full = 0;  ///< calls that were refused as no channel was free and too many waited
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;

    // What there is: of a difference, at its end.
    std::uint64_t calls_in_flight = 0;
    std::uint64_t waiting_for_permits = 0;
    std::uint64_t waiting_for_channels = 0;
    std::uint64_t channels_idle = 0;
    std::uint64_t channels_active = 0;
    std::uint64_t channels_dialing = 0;
    std::uint64_t sites = 0;
    std::uint64_t connections = 0;
    std::uint64_t credentials_refused = 0;

    /// The part of all answers that were 429: 0 to 1.
    double share_429() const noexcept;
};

/// What was counted since `earlier`, of the same client.
client_totals operator-(client_totals later, client_totals const& earlier) noexcept;

}  // namespace jirapool
