#pragma once

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connection_status.hpp>
#include <jirapool/core/counter.hpp>
#include <jirapool/core/error.hpp>
#include <jirapool/core/histogram.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace jirapool {

/// How a call ended, as a metric's label: the answer's class, or the kind of error.
enum class outcome : std::uint8_t {
    success,       ///< 2xx
    redirect,      ///< 3xx
    client_error,  ///< 4xx but 429
    limited,       ///< 429 delivered, or limited_past_deadline
    server_error,  ///< 5xx
    timeout,       ///< errc::timeout
    cancelled,     ///< errc::cancelled
    refused,       ///< before anything was sent: bad request, queue full, stopping, credential refused
    failed,        ///< the wire, the token endpoint, or the caller's own sink or source
};
inline constexpr std::size_t outcome_count = 9;
/// The enumerator's name, as a metric's label has it.
char const* to_string(outcome o) noexcept;
/// What a call's answer of that status is.
outcome outcome_of(int status) noexcept;
/// What a call that ended with that error is.
outcome outcome_of(error_code const& ec) noexcept;

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
    by<by<counter, outcome_count>, connection_kind_count> calls;
    native_histogram call_duration;
    by<native_histogram, stage_count> stage_duration;  ///< only stages in which the call spent time
    by<counter, stage_count> timeouts;                 ///< calls that ended with errc::timeout, by where they were
    gauge calls_in_flight;
    by<counter, outcome_count>
        checks;  ///< those whose request was request::check, and that are in none of the above but the gauge

    // Exchanges
    by<counter, answer_class_count> answers;
    counter answered_401;
    by<counter, resend_reason_count> resends;
    counter resends_over_budget;

    // Limits
    by<counter, limit_reason_count> limited;  ///< 429s by reason
    by<counter, limit_reason_count> pauses;
    counter limit_waits;  ///< calls that waited for a permit
    counter near_limit;
    counter calls_of_others;  ///< estimated: what other programs took of the buckets that calls of ours were let in by
    counter retry_after_unreadable;  ///< answers whose Retry-After nobody can read: taken for a minute
    gauge limit_waiting;
    counter limit_queue_full;
    counter limited_past_deadline;
    counter shadow_refusals;  ///< limiting::shadow: calls that would have been refused
    histogram shadow_waits;   ///< limiting::shadow: how long calls would have waited, those that would have

    // Tokens
    by<counter, refresh_result_count> token_refreshes;
    histogram token_refresh_duration;
    counter token_waits;            ///< calls that waited because no valid token was held
    counter token_waits_at_start;   ///< of them before the credential's first token
    counter token_late_rejections;  ///< 401s of a generation that was already replaced
    gauge credentials_refused;      ///< at present, by the token endpoint or by Jira, of any kind

    // Channels
    gauge channels_idle;
    gauge channels_active;
    gauge channels_dialing;
    by<counter, dial_purpose_count> dials;  ///< begun
    by<counter, dial_stage_count> dial_failures;
    by<counter, dial_stage_count> dial_timeouts;  ///< of them those that were over the step's limit
    counter dial_backoffs;  ///< times that an origin was left alone for a while after failed dials
    by<histogram, dial_stage_count> dial_duration;
    counter channels_opened;
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
    by<gauge, connection_condition_count> conditions;  ///< connections by whether they work: see connection_status
};

}  // namespace jirapool
