#pragma once

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connection_status.hpp>
#include <jirapool/core/delivery_counts.hpp>
#include <jirapool/core/error.hpp>
#include <jirapool/core/event.hpp>
#include <jirapool/core/histogram.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/outcome.hpp>
#include <jirapool/core/overview.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// What a Prometheus server sees of jirapool. The names below are a promise: dashboards and alerts are written against them.
namespace jirapool::metrics {

/// The library's version: "0.1.0".
char const* version() noexcept;

/// What the calls of a queue wait for.
enum class queue : std::uint8_t {
    permit,   ///< the limiter's, as Jira's limits of the site are used up
    channel,  ///< a free one to the origin
};
inline constexpr std::size_t queue_count = 2;
char const* to_string(queue q) noexcept;

/// Points of a budget of Jira's.
enum class points_state : std::uint8_t { used, left };
inline constexpr std::size_t points_state_count = 2;
char const* to_string(points_state p) noexcept;

/// A label's name and its values, which come from an enum: so the number of series is known before the first call.
struct label {
    std::string_view name;  ///< empty: no label
    std::size_t count = 1;
    char const* (*value)(std::size_t) noexcept = nullptr;  ///< of the i-th enumerator, i < count
};

namespace detail {
template <class Enum>
char const* value_of(std::size_t i) noexcept {
    return to_string(static_cast<Enum>(i));
}
inline char const* version_value(std::size_t) noexcept { return version(); }
}  // namespace detail

namespace labels {
inline constexpr label kind{"kind", connection_kind_count, detail::value_of<connection_kind>};
inline constexpr label connection_change{"change", connection_change_count,
                                         detail::value_of<jirapool::connection_change>};
inline constexpr label condition{"condition", connection_condition_count, detail::value_of<connection_condition>};
inline constexpr label route_class{"route_class", route_class_count, detail::value_of<jirapool::route_class>};
inline constexpr label priority{"priority", priority_count, detail::value_of<jirapool::priority>};
inline constexpr label limit_scope{"scope", limit_scope_count, detail::value_of<jirapool::limit_scope>};
inline constexpr label origin{"origin", origin_kind_count, detail::value_of<origin_kind>};
inline constexpr label outcome{"outcome", outcome_count, detail::value_of<jirapool::outcome>};
inline constexpr label stage{"stage", stage_count, detail::value_of<jirapool::stage>};
inline constexpr label answer_class{"class", answer_class_count, detail::value_of<jirapool::answer_class>};
inline constexpr label resend_reason{"reason", resend_reason_count, detail::value_of<jirapool::resend_reason>};
inline constexpr label limit_reason{"reason", limit_reason_count, detail::value_of<jirapool::limit_reason>};
inline constexpr label close_reason{"reason", close_reason_count, detail::value_of<jirapool::close_reason>};
inline constexpr label refresh_result{"result", refresh_result_count, detail::value_of<jirapool::refresh_result>};
inline constexpr label dial_purpose{"purpose", dial_purpose_count, detail::value_of<jirapool::dial_purpose>};
inline constexpr label dial_stage{"stage", dial_stage_count, detail::value_of<jirapool::dial_stage>};
inline constexpr label channel_state{"state", channel_state_count - 1,  // nobody counts those that are closed
                                     detail::value_of<jirapool::channel_state>};
inline constexpr label queue{"queue", queue_count, detail::value_of<metrics::queue>};
inline constexpr label event{"kind", jirapool::event::kind_count, detail::value_of<jirapool::event::kind>};
inline constexpr label ending{"within", ending_count, detail::value_of<jirapool::ending>};
inline constexpr label delivery_result{"result", delivery_result_count, detail::value_of<jirapool::delivery_result>};
inline constexpr label points{"state", points_state_count, detail::value_of<points_state>};
inline constexpr label version{"version", 1, detail::version_value};
}  // namespace labels

/// Which value of each of a series' labels a number is of.
using indexes = std::array<std::size_t, 3>;

enum class series_type : std::uint8_t { counter, gauge, histogram };
char const* to_string(series_type t) noexcept;

/// A row of the table below: what Prometheus calls a metric family.
struct series {
    std::string_view name;
    series_type type;
    std::string_view unit;        ///< "seconds", "bytes", or what is counted
    std::array<label, 3> labels;  ///< those that are not there come last
    std::string_view help;        ///< one line

    /// Combinations of label values, all of them always present.
    constexpr std::size_t metric_count() const noexcept { return labels[0].count * labels[1].count * labels[2].count; }
    /// Of the k-th combination, k < metric_count(): the last label's value changes first.
    constexpr indexes indexes_of(std::size_t k) const noexcept {
        indexes i{};
        for (std::size_t l = labels.size(); l-- > 0; k /= labels[l].count) i[l] = k % labels[l].count;
        return i;
    }
    /// Lines of a scrape; for a histogram every bucket, the sum and the count are one.
    constexpr std::size_t sample_count() const noexcept {
        return metric_count() * (type == series_type::histogram ? histogram::bounds.size() + 3 : 1);
    }
};

/// Every series, in the order of a scrape. README.md has the same table; a test compares them.
// clang-format off: a table
inline constexpr std::array all_series{
    series{"jirapool_build_info", series_type::gauge, "1", {labels::version}, "The library's version; always 1."},

    series{"jirapool_sites", series_type::gauge, "sites", {}, "Jira Cloud sites behind the connections."},
    series{"jirapool_connections", series_type::gauge, "connections", {labels::kind}, "Configured Jira connections."},
    series{"jirapool_connection_changes_total", series_type::counter, "connections",
           {labels::kind, labels::connection_change},
           "Connections that the program added, replaced (another secret, account or option) or removed."},
    series{"jirapool_connection_conditions", series_type::gauge, "connections",
           {labels::kind, labels::condition},
           "Connections, by whether they work and why not."},
    series{"jirapool_credentials_refused", series_type::gauge, "credentials", {labels::kind},
           "Credentials that are refused at present, by the token endpoint for good or by Jira: a person must act."},

    series{"jirapool_credentials_expiring", series_type::gauge, "credentials", {labels::ending},
           "Credentials whose end (connection_options::expires_at) is near, each once: their owners must renew them."},
    series{"jirapool_events_total", series_type::counter, "events", {labels::event},
           "Events told to client_params::on_event: one for each cause, and one for its end."},

    series{"jirapool_calls_total", series_type::counter, "calls",
           {labels::kind, labels::route_class, labels::outcome},
           "Calls that ended, by what the caller got. wire and token_endpoint: look at dials and channels; credential: its owner must act; limited: Jira's limits."},
    series{"jirapool_calls_by_priority_total", series_type::counter, "calls", {labels::priority, labels::outcome},
           "The same calls, by the priority that the caller gave them."},
    series{"jirapool_calls_in_flight", series_type::gauge, "calls", {},
           "Calls that have not ended yet, waiting ones included."},
    series{"jirapool_call_duration_seconds", series_type::histogram, "seconds", {labels::priority},
           "Time from a call's start to its end, with all its waits and exchanges."},
    series{"jirapool_call_stage_duration_seconds", series_type::histogram, "seconds", {labels::stage},
           "Time that calls spent in each stage; a call counts only in stages it spent time in."},
    series{"jirapool_timeouts_total", series_type::counter, "calls", {labels::stage},
           "Calls that ended because their deadline or a stage's limit passed, by where they were."},

    series{"jirapool_checks_total", series_type::counter, "checks", {labels::outcome},
           "Checks of whether a connection works that ended; they are no calls."},

    series{"jirapool_answers_total", series_type::counter, "answers", {labels::answer_class},
           "Answers of Jira, one per exchange, by what they mean."},
    series{"jirapool_answers_401_total", series_type::counter, "answers", {}, "Answers of Jira with status 401."},
    series{"jirapool_answers_429_total", series_type::counter, "answers", {labels::limit_reason},
           "Answers of Jira with status 429, by the limit it names."},
    series{"jirapool_resends_total", series_type::counter, "exchanges", {labels::resend_reason},
           "Tries of a call behind its first, by why. Behind dial_failed nothing had been sent; all others repeated an exchange."},
    series{"jirapool_resends_over_budget_total", series_type::counter, "exchanges", {},
           "Resends that were not made as the retry budget of the site or origin was used up."},

    series{"jirapool_retry_budget_left_ratio", series_type::gauge, "ratio", {},
           "What is left of the retry budget of the site or origin that has the least left: at 0 failures are not tried again."},

    series{"jirapool_ratelimit_pauses_total", series_type::counter, "pauses",
           {labels::limit_scope, labels::limit_reason},
           "Pauses begun or prolonged because of an answer, by what is paused and the limit that was hit."},
    series{"jirapool_ratelimit_paused_sites", series_type::gauge, "sites", {},
           "Sites of which something is paused: a route, or all of the site."},
    series{"jirapool_ratelimit_waits_total", series_type::counter, "waits", {},
           "Waits of calls for a permit of the limiter."},
    series{"jirapool_ratelimit_near_limit_total", series_type::counter, "answers", {},
           "Answers in which Jira warned that a limit is near."},
    series{"jirapool_ratelimit_calls_of_others_total", series_type::counter, "calls", {},
           "An estimate of the calls by other programs that used the same burst limits as ours, while ours told of them."},
    series{"jirapool_ratelimit_calls_of_ours_total", series_type::counter, "calls", {},
           "Our own calls by which that was estimated: others / (others + ours) is what others take of those limits."},
    series{"jirapool_ratelimit_retry_after_unreadable_total", series_type::counter, "answers", {},
           "Answers whose Retry-After cannot be read, which is taken for a minute."},
    series{"jirapool_ratelimit_past_deadline_total", series_type::counter, "calls", {},
           "Calls refused because a limit stays closed for longer than the call may last."},
    series{"jirapool_ratelimit_shadow_refusals_total", series_type::counter, "calls", {},
           "Shadow mode: calls that would have been refused because a limit stays closed for too long."},
    series{"jirapool_ratelimit_shadow_wait_seconds", series_type::histogram, "seconds", {},
           "Shadow mode: how long calls would have waited for a permit; only those that would have."},

    series{"jirapool_app_quota_points", series_type::gauge, "points", {labels::points},
           "Points in this hour of the app that has the least left over all its sites, 0 where Jira tells of none: send less, or less costly calls."},

    series{"jirapool_queue_length", series_type::gauge, "calls", {labels::queue},
           "Calls that wait, by what they wait for."},
    series{"jirapool_queue_rejections_total", series_type::counter, "calls", {labels::queue},
           "Calls refused because the queue was full."},
    series{"jirapool_site_cap_waits_total", series_type::counter, "waits", {},
           "Waits for a channel that began because the site had its share of all exchanges that the origin's channels may carry; over HTTP/1.1 one each."},

    series{"jirapool_token_refreshes_total", series_type::counter, "exchanges", {labels::refresh_result},
           "Exchanges of OAuth credentials for an access token, by result."},
    series{"jirapool_token_refresh_duration_seconds", series_type::histogram, "seconds", {},
           "Time of one exchange of an OAuth credential for an access token."},
    series{"jirapool_token_waits_total", series_type::counter, "waits", {},
           "Waits of calls for an access token because no valid one was held."},
    series{"jirapool_token_waits_at_start_total", series_type::counter, "waits", {},
           "Those token waits that came before the credential's first token."},
    series{"jirapool_token_late_rejections_total", series_type::counter, "answers", {},
           "Rejections of an access token that was already replaced."},

    series{"jirapool_tokens", series_type::gauge, "tokens", {}, "OAuth connections that hold an access token."},
    series{"jirapool_tokens_stale", series_type::gauge, "tokens", {},
           "Of them those past nine tenths of its life, which should have been renewed: look at the token endpoint."},
    series{"jirapool_token_soonest_expiry_seconds", series_type::gauge, "seconds", {},
           "Time until the first of the held access tokens expires; +Inf when none is held."},
    series{"jirapool_token_oldest_age_seconds", series_type::gauge, "seconds", {},
           "Age of the oldest access token that is held and has not expired; 0 when none is. Above its lifetime's nine tenths renewal fails."},

    series{"jirapool_channels", series_type::gauge, "channels", {labels::channel_state},
           "Channels (TLS connections) to origins, by state. One that is active carries an exchange, over HTTP/2 one or more."},
    series{"jirapool_channels_opened_total", series_type::counter, "channels", {labels::origin},
           "Channels opened, by what to."},
    series{"jirapool_channels_resumed_total", series_type::counter, "channels", {},
           "Channels opened with a resumed TLS session."},
    series{"jirapool_channels_closed_total", series_type::counter, "channels", {labels::close_reason},
           "Channels closed, by why."},
    series{"jirapool_dials_total", series_type::counter, "dials", {labels::dial_purpose, labels::origin},
           "Dials begun, by what for and where to."},
    series{"jirapool_dial_failures_total", series_type::counter, "dials", {labels::dial_stage, labels::origin},
           "Dials that opened no channel, by the step that failed."},
    series{"jirapool_dial_timeouts_total", series_type::counter, "dials", {labels::dial_stage, labels::origin},
           "Those dial failures for which the step's limit of time passed."},
    series{"jirapool_dial_backoffs_total", series_type::counter, "backoffs", {},
           "Times that an origin was not dialled for a while after failed dials."},
    series{"jirapool_dial_duration_seconds", series_type::histogram, "seconds", {labels::dial_stage},
           "Time of each step of a dial."},
    series{"jirapool_sent_bytes_total", series_type::counter, "bytes", {}, "Bytes of requests, before TLS."},
    series{"jirapool_received_bytes_total", series_type::counter, "bytes", {}, "Bytes of answers, after TLS."},

    series{"jirapool_webhook_deliveries_total", series_type::counter, "deliveries", {labels::delivery_result},
           "Deliveries that webhook receivers took, by what became of them; Jira repeats those that failed."},

    series{"jirapool_survey_age_seconds", series_type::gauge, "seconds", {},
           "Time since the shard that is furthest behind last looked at its connections and sites: how old is what is told of these."},
    series{"jirapool_series_dropped", series_type::gauge, "series", {},
           "Sites in trouble, connections in trouble and those that end soon, which are not told one by one as overview_params has no room: /sites and /connections have all."},
};
// clang-format on

/// A row of the table below: a metric family whose labels have values that are not known before, up to a bound.
struct named_series {
    std::string_view name;
    series_type type;
    std::string_view unit;
    std::array<std::string_view, 5> labels;  ///< those that are not there come last
    std::string_view help;                   ///< one line
};

/// Every series of single shards, bounds, sites and connections. Of the latter two at most overview_params::max_sites
/// and max_connections of them.
// clang-format off: a table
inline constexpr std::array all_named_series{
    named_series{"jirapool_shard_lag_seconds", series_type::gauge, "seconds", {"shard"},
                 "Time that a shard let a question wait last, or lets one wait now: more than a second says that its thread is held up."},
    named_series{"jirapool_shard_loop_seconds", series_type::gauge, "seconds", {"shard"},
                 "Longest that a piece of the shard's last survey waited for its turn: how long one round of the shard's other work takes."},
    named_series{"jirapool_limit", series_type::gauge, "1", {"name"},
                 "The configuration's bounds, such as max_channels (of an origin and shard), max_queue and max_waiting."},
    named_series{"jirapool_site_calls_total", series_type::counter, "calls", {"site", "fault"},
                 "Calls of the sites in most trouble and the listed ones since they are followed, by whose fault failures are; other: all others."},
    named_series{"jirapool_site_waiting_calls", series_type::gauge, "calls", {"site"},
                 "Calls of the site that wait for permits, as its limits are used up."},
    named_series{"jirapool_site_paused_until_timestamp_seconds", series_type::gauge, "seconds", {"site"},
                 "When the last pause of the site or its routes ends; 0: nothing is paused."},
    named_series{"jirapool_site_neighbour_share_ratio", series_type::gauge, "ratio", {"site"},
                 "What part of the site's busiest route's rate other programs take, an estimate: talk to whoever runs them."},
    named_series{"jirapool_site_quota_points", series_type::gauge, "points", {"site", "state"},
                 "Points of the hour at the site, where Jira tells them: of the app that has the least left."},
    named_series{"jirapool_connection_trouble_since_timestamp_seconds", series_type::gauge, "seconds",
                 {"connection", "site", "kind", "condition", "cause"},
                 "Connections that do not work, limited ones included, and since when: condition and cause say whose move it is."},
    named_series{"jirapool_connection_expires_timestamp_seconds", series_type::gauge, "seconds", {"connection"},
                 "When the credential of the connection ends, of those that end within 30 days, the soonest first."},
};
// clang-format on

/// Lines of a scrape, comments and named series apart. Constant: neither sites nor connections add series.
inline constexpr std::size_t sample_count = [] {
    std::size_t n = 0;
    for (series const& s : all_series) n += s.sample_count();
    return n;
}();

}  // namespace jirapool::metrics
