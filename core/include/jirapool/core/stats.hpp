#pragma once

/// @file @internal The engine's counters, not for users, who have client_totals and metrics: they may change with any version.

#include <jirapool/core/client_totals.hpp>
#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connection_status.hpp>
#include <jirapool/core/counter.hpp>
#include <jirapool/core/error.hpp>
#include <jirapool/core/event.hpp>
#include <jirapool/core/histogram.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/outcome.hpp>
#include <jirapool/core/request.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace jirapool {

/** Everything that one shard counts, all in base units; `metrics` turns it into series when scraped.

    @par Threads   They are written by the shard alone and read from any thread; the numbers of one reading may be of slightly
                   different moments. */
struct shard_stats {
    template <class T, std::size_t N>
    using by = std::array<T, N>;

    // Calls: counted once, when they end.
    by<by<by<counter, outcome_count>, route_class_count>, connection_kind_count> calls;
    by<by<counter, outcome_count>, priority_count> calls_by_priority;
    by<native_histogram, priority_count> call_duration;
    by<native_histogram, stage_count> stage_duration;  ///< only stages in which the call spent time
    by<counter, stage_count> timeouts;                 ///< calls that ended with errc::timeout, by where they were
    gauge calls_in_flight;
    by<counter, outcome_count>
        checks;  ///< those whose request was request::check, and that are in none of the above but the gauge

    by<counter, event::kind_count> events;  ///< told to client_params::on_event, or not for want of one

    // Exchanges
    by<counter, answer_class_count> answers;
    counter answered_401;
    by<counter, resend_reason_count> resends;  ///< of those of dial_failed nothing had been sent
    counter resends_over_budget;

    // Limits
    by<counter, limit_reason_count> limited;  ///< 429s by reason
    by<by<counter, limit_reason_count>, limit_scope_count> pauses;
    counter limit_waits;  ///< calls that waited for a permit
    counter near_limit;
    counter calls_of_others;  ///< estimated: what other programs took of the buckets that calls of ours were let in by
    counter calls_of_ours;    ///< those by which it was estimated
    counter retry_after_unreadable;  ///< answers whose Retry-After nobody can read: taken for a minute
    gauge limit_waiting;
    counter limit_queue_full;
    counter limited_past_deadline;
    counter shadow_refusals;  ///< limiting::shadow: calls that would have been refused
    histogram shadow_waits;   ///< limiting::shadow: how long calls would have waited, those that would have

    // Tokens
    by<counter, refresh_result_count> token_refreshes;
    histogram token_refresh_duration;
    counter token_waits;                                   ///< calls that waited because no valid token was held
    counter token_waits_at_start;                          ///< of them before the credential's first token
    counter token_late_rejections;                         ///< 401s of a generation that was already replaced
    by<gauge, connection_kind_count> credentials_refused;  ///< at present, by the token endpoint or by Jira

    // Channels
    gauge channels_idle;
    gauge channels_active;
    gauge channels_dialing;
    by<by<counter, origin_kind_count>, dial_purpose_count> dials;  ///< begun
    by<by<counter, origin_kind_count>, dial_stage_count> dial_failures;
    by<by<counter, origin_kind_count>, dial_stage_count>
        dial_timeouts;      ///< of them those that were over the step's limit
    counter dial_backoffs;  ///< times that an origin was left alone for a while after failed dials
    by<histogram, dial_stage_count> dial_duration;
    by<counter, origin_kind_count> channels_opened;
    counter channels_resumed;  ///< of them with a resumed TLS session
    by<counter, close_reason_count> channels_closed;
    gauge queue_length;
    counter queue_full;
    counter site_cap_waits;  ///< waits that began because the site had all the leases it may have
    counter bytes_sent;
    counter bytes_received;

    // What there is
    gauge sites;
    by<gauge, connection_kind_count> connections;
    by<by<counter, connection_change_count>, connection_kind_count> connection_changes;
    by<by<gauge, connection_condition_count>, connection_kind_count>
        conditions;  ///< whether they work: see connection_status
};

namespace detail {

/// How the library's other parts, its tools and tests get at the counters of a client: `stats` of `connections` and `overview` is theirs.
struct stats_access {
    template <class Client>
    static std::vector<std::shared_ptr<shard_stats const>> of(Client const& c) {
        return c.stats();
    }
};

/// Of all shards together.
client_totals total_of(std::vector<std::shared_ptr<shard_stats const>> const& shards) noexcept;

}  // namespace detail

}  // namespace jirapool
