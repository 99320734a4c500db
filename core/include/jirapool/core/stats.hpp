#pragma once

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connection_status.hpp>
#include <jirapool/core/counter.hpp>
#include <jirapool/core/error.hpp>
#include <jirapool/core/event.hpp>
#include <jirapool/core/histogram.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace jirapool {

/// How a call ended, as a metric's label: the answer's class, or the kind of error.
enum class outcome : std::uint8_t {
    success,         ///< 2xx
    redirect,        ///< 3xx
    client_error,    ///< 4xx but 429
    limited,         ///< 429 delivered, or limited_past_deadline
    server_error,    ///< 5xx
    timeout,         ///< errc::timeout
    cancelled,       ///< errc::cancelled
    refused,         ///< before anything was sent: bad request, queue full, stopping, connection removed
    credential,      ///< it is refused, or Jira ignores it: its owner must act
    token_endpoint,  ///< it gave no access token in time
    wire,            ///< no channel, or one that was cut off or brought no valid answer
    failed,          ///< the caller's own sink or source, or lack of memory
};
inline constexpr std::size_t outcome_count = 12;
/// The enumerator's name, as a metric's label has it.
char const* to_string(outcome o) noexcept;
/// What a call's answer of that status is.
outcome outcome_of(int status) noexcept;
/// What a call that ended with that error is.
outcome outcome_of(error_code const& ec) noexcept;

/// Whose fault it is that a call did not bring what was asked.
enum class call_fault : std::uint8_t {
    none,            ///< nobody's: Jira answered, be it 404
    caller,          ///< a bad request, a cancellation, a sink or source that failed, or a full queue
    limit,           ///< Jira's limits: its own load, or a neighbour's
    credential,      ///< its owner's: it is refused, or Jira ignores it
    network,         ///< no channel, or one that was cut off
    jira,            ///< Jira failed, or was too slow
    token_endpoint,  ///< it gave no access token in time
    pool,            ///< no channel was free in time: ours
};
inline constexpr std::size_t fault_count = 8;
/// The enumerator's name, as a metric's label has it.
char const* to_string(call_fault f) noexcept;
/// Of a call that ended so. `at`: where it was.
call_fault fault_of(outcome o, stage at) noexcept;

/// How many calls ended, by whose fault it was.
using calls_by_fault = std::array<std::uint64_t, fault_count>;

/// Why a channel ended.
enum class close_reason : std::uint8_t {
    idle_timeout,  ///< unused for too long
    lifetime,      ///< old enough
    peer_closed,   ///< the server closed it while idle
    keep_alive,    ///< idle for as long as the server announced (`Keep-Alive: timeout`): before it closes it
    announced,     ///< the answer said `Connection: close`
    abandoned,     ///< its call ended in the middle: cancelled, timed out, or failed by its sink or source
    broken,        ///< reset, cut off, or not valid HTTP
    stopped,       ///< the client stops
};
inline constexpr std::size_t close_reason_count = 8;
/// The enumerator's name, as a metric's label has it.
char const* to_string(close_reason r) noexcept;

/// What a dial is for. Whoever's turn it is gets the channel, all the same.
enum class dial_purpose : std::uint8_t {
    waiting,  ///< calls wait
    replace,  ///< a channel that is used nears the end of its lifetime
    prewarm,  ///< pool_params::min_idle
};
inline constexpr std::size_t dial_purpose_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(dial_purpose p) noexcept;

/// Steps of a dial.
enum class dial_stage : std::uint8_t { resolve, connect, tls };
inline constexpr std::size_t dial_stage_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(dial_stage s) noexcept;

/// What a program does with its connections.
enum class connection_change : std::uint8_t {
    added,
    replaced,  ///< it got another secret, account or option
    removed,
};
inline constexpr std::size_t connection_change_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(connection_change c) noexcept;

/// How an exchange of a credential for an access token ended.
enum class refresh_result : std::uint8_t { ok, transient, permanent };
inline constexpr std::size_t refresh_result_count = 3;
/// The enumerator's name, as a metric's label has it.
char const* to_string(refresh_result r) noexcept;

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
    counter site_cap_waits;  ///< waits that began because the site had all the channels it may have
    counter bytes_sent;
    counter bytes_received;

    // What there is
    gauge sites;
    by<gauge, connection_kind_count> connections;
    by<by<counter, connection_change_count>, connection_kind_count> connection_changes;
    by<by<gauge, connection_condition_count>, connection_kind_count>
        conditions;  ///< whether they work: see connection_status
};

}  // namespace jirapool
