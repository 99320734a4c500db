#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/names.hpp>

#include "combined_overview.hpp"
#include "overview_families.hpp"

#include <jirapool/core/stats.hpp>

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace jirapool::metrics {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

/// The table's row of that name; a name that is not in the table does not compile.
consteval series const& row(std::string_view name) {
    for (series const& s : all_series)
        if (s.name == name) return s;
    throw std::invalid_argument("no such series");
}

MetricType type_of(series_type t) noexcept {
    switch (t) {
    case series_type::counter: return MetricType::Counter;
    case series_type::gauge: return MetricType::Gauge;
    case series_type::histogram: return MetricType::Histogram;
    }
    return MetricType::Untyped;
}

/// A trace id is what an answer's header said; OpenMetrics' and protobuf's labels must be UTF-8.
bool is_printable(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

void add(histogram_metric& m, histogram const& h) {
    for (std::size_t i = 0; i < m.counts.classic.size(); ++i) m.counts.classic[i] += h.bucket(i);
    m.counts.sum_seconds += h.sum_seconds();
}

void add(histogram_metric& m, native_histogram const& h) {
    m.has_native = true;
    h.add_to(m.counts);
    for (std::size_t i = 0; i < m.exemplars.size(); ++i) {
        auto& kept = m.exemplars[i];
        auto latest = h.latest(i);
        if (latest && is_printable(latest->trace_id) && (!kept || kept->at < latest->at)) kept = std::move(latest);
    }
}

using shard_list = std::vector<std::shared_ptr<shard_stats const>>;

/// Builds one scrape from the shards' counters.
class scrape {
public:
    explicit scrape(shard_list const& shards) : shards_(shards) { families_.reserve(all_series.size()); }

    /// `read(shard, i)` gives the counter or gauge of the i[n]-th value of the n-th label.
    template <class Read>
    void numbers(series const& s, Read const& read) {
        auto& to = begin_family(s).numbers;
        each_metric(s, [&](std::vector<label_value> labels, indexes const& i) {
            decltype(read(*shards_.front(), i).value()) sum = 0;
            for (auto const& shard : shards_)
                if (shard) sum += read(*shard, i).value();
            to.push_back({std::move(labels), static_cast<double>(sum)});
        });
    }

    /// `read(i)` gives the number itself.
    template <class Read>
    void told(series const& s, Read const& read) {
        auto& to = begin_family(s).numbers;
        each_metric(s, [&](std::vector<label_value> labels, indexes const& i) {
            to.push_back({std::move(labels), read(i)});
        });
    }

    /// As `numbers`, `read` gives a histogram.
    template <class Read>
    void durations(series const& s, Read const& read) {
        auto& to = begin_family(s).histograms;
        to.reserve(s.metric_count());
        each_metric(s, [&](std::vector<label_value> labels, indexes const& i) {
            auto& m = to.emplace_back();
            m.labels = std::move(labels);
            m.has_native = std::is_same_v<decltype(read(*shards_.front(), i)), native_histogram const&>;
            for (auto const& shard : shards_)
                if (shard) add(m, read(*shard, i));
        });
    }

    std::vector<family> take() && { return std::move(families_); }

private:
    family& begin_family(series const& s) {
        auto& f = families_.emplace_back();
        f.name = s.name;
        f.help = s.help;
        f.unit = s.unit;
        f.type = s.type;
        return f;
    }

    template <class Fill>
    void each_metric(series const& s, Fill const& fill) {
        for (std::size_t k = 0; k < s.metric_count(); ++k) {
            auto const i = s.indexes_of(k);
            std::vector<label_value> labels;
            for (std::size_t l = 0; l < s.labels.size(); ++l)
                if (s.labels[l].value) labels.push_back({s.labels[l].name, s.labels[l].value(i[l])});
            fill(std::move(labels), i);
        }
    }

    shard_list const& shards_;
    std::vector<family> families_;
};

gauge const& channels_in(shard_stats const& s, channel_state state) noexcept {
    switch (state) {
    case channel_state::idle: return s.channels_idle;
    case channel_state::active: return s.channels_active;
    case channel_state::dialing:
    case channel_state::closed: break;
    }
    return s.channels_dialing;
}

// How long a scrape waits for the shards to look at what they have: most take less than a millisecond. What takes longer is told by the
// next scrape.
constexpr std::chrono::milliseconds patience{15};

using deliveries = std::vector<std::shared_ptr<delivery_counts const>>;
using stats = shard_stats const&;
using at = indexes const&;

std::vector<family> collect(overview const& o, deliveries const& received) {
    auto const shards = jirapool::detail::stats_access::of(o);
    auto const seen = o.look(patience);
    auto const known = numbers_of(o, seen);
    scrape out(shards);
    out.told(row("jirapool_build_info"), [](at) { return 1.0; });

    out.numbers(row("jirapool_sites"), [](stats s, at) -> auto& { return s.sites; });
    out.numbers(row("jirapool_connections"), [](stats s, at i) -> auto& { return s.connections[i[0]]; });
    out.numbers(row("jirapool_connection_changes_total"),
                [](stats s, at i) -> auto& { return s.connection_changes[i[0]][i[1]]; });
    out.numbers(row("jirapool_connection_conditions"), [](stats s, at i) -> auto& { return s.conditions[i[0]][i[1]]; });
    out.numbers(row("jirapool_credentials_refused"),
                [](stats s, at i) -> auto& { return s.credentials_refused[i[0]]; });

    out.told(row("jirapool_credentials_expiring"), [&](at i) { return known.endings[i[0]]; });
    out.numbers(row("jirapool_events_total"), [](stats s, at i) -> auto& { return s.events[i[0]]; });

    out.numbers(row("jirapool_calls_total"), [](stats s, at i) -> auto& { return s.calls[i[0]][i[1]][i[2]]; });
    out.numbers(row("jirapool_calls_by_priority_total"),
                [](stats s, at i) -> auto& { return s.calls_by_priority[i[0]][i[1]]; });
    out.numbers(row("jirapool_calls_in_flight"), [](stats s, at) -> auto& { return s.calls_in_flight; });
    out.durations(row("jirapool_call_duration_seconds"), [](stats s, at i) -> auto& { return s.call_duration[i[0]]; });
    out.durations(row("jirapool_call_stage_duration_seconds"),
                  [](stats s, at i) -> auto& { return s.stage_duration[i[0]]; });
    out.numbers(row("jirapool_timeouts_total"), [](stats s, at i) -> auto& { return s.timeouts[i[0]]; });

    out.numbers(row("jirapool_checks_total"), [](stats s, at i) -> auto& { return s.checks[i[0]]; });

    out.numbers(row("jirapool_answers_total"), [](stats s, at i) -> auto& { return s.answers[i[0]]; });
    out.numbers(row("jirapool_answers_401_total"), [](stats s, at) -> auto& { return s.answered_401; });
    out.numbers(row("jirapool_answers_429_total"), [](stats s, at i) -> auto& { return s.limited[i[0]]; });
    out.numbers(row("jirapool_resends_total"), [](stats s, at i) -> auto& { return s.resends[i[0]]; });
    out.numbers(row("jirapool_resends_over_budget_total"), [](stats s, at) -> auto& { return s.resends_over_budget; });

    out.told(row("jirapool_retry_budget_left_ratio"), [&](at) { return known.retry_budget_left; });

    out.numbers(row("jirapool_ratelimit_pauses_total"), [](stats s, at i) -> auto& { return s.pauses[i[0]][i[1]]; });
    out.told(row("jirapool_ratelimit_paused_sites"), [&](at) { return known.paused_sites; });
    out.numbers(row("jirapool_ratelimit_waits_total"), [](stats s, at) -> auto& { return s.limit_waits; });
    out.numbers(row("jirapool_ratelimit_near_limit_total"), [](stats s, at) -> auto& { return s.near_limit; });
    out.numbers(row("jirapool_ratelimit_calls_of_others_total"),
                [](stats s, at) -> auto& { return s.calls_of_others; });
    out.numbers(row("jirapool_ratelimit_calls_of_ours_total"), [](stats s, at) -> auto& { return s.calls_of_ours; });
    out.numbers(row("jirapool_ratelimit_retry_after_unreadable_total"),
                [](stats s, at) -> auto& { return s.retry_after_unreadable; });
    out.numbers(row("jirapool_ratelimit_past_deadline_total"),
                [](stats s, at) -> auto& { return s.limited_past_deadline; });
    out.numbers(row("jirapool_ratelimit_shadow_refusals_total"),
                [](stats s, at) -> auto& { return s.shadow_refusals; });
    out.durations(row("jirapool_ratelimit_shadow_wait_seconds"), [](stats s, at) -> auto& { return s.shadow_waits; });

    out.told(row("jirapool_app_quota_points"), [&](at i) { return known.app_points[i[0]]; });

    out.numbers(row("jirapool_queue_length"), [](stats s, at i) -> auto& {
        return static_cast<queue>(i[0]) == queue::permit ? s.limit_waiting : s.queue_length;
    });
    out.numbers(row("jirapool_queue_rejections_total"), [](stats s, at i) -> auto& {
        return static_cast<queue>(i[0]) == queue::permit ? s.limit_queue_full : s.queue_full;
    });
    out.numbers(row("jirapool_site_cap_waits_total"), [](stats s, at) -> auto& { return s.site_cap_waits; });

    out.numbers(row("jirapool_token_refreshes_total"), [](stats s, at i) -> auto& { return s.token_refreshes[i[0]]; });
    out.durations(row("jirapool_token_refresh_duration_seconds"),
                  [](stats s, at) -> auto& { return s.token_refresh_duration; });
    out.numbers(row("jirapool_token_waits_total"), [](stats s, at) -> auto& { return s.token_waits; });
    out.numbers(row("jirapool_token_waits_at_start_total"),
                [](stats s, at) -> auto& { return s.token_waits_at_start; });
    out.numbers(row("jirapool_token_late_rejections_total"),
                [](stats s, at) -> auto& { return s.token_late_rejections; });

    out.told(row("jirapool_tokens"), [&](at) { return known.tokens; });
    out.told(row("jirapool_tokens_stale"), [&](at) { return known.stale_tokens; });
    out.told(row("jirapool_token_soonest_expiry_seconds"), [&](at) { return known.soonest_expiry; });
    out.told(row("jirapool_token_oldest_age_seconds"), [&](at) { return known.oldest_token; });

    out.numbers(row("jirapool_channels"),
                [](stats s, at i) -> auto& { return channels_in(s, static_cast<channel_state>(i[0])); });
    out.numbers(row("jirapool_channels_opened_total"), [](stats s, at i) -> auto& { return s.channels_opened[i[0]]; });
    out.numbers(row("jirapool_channels_resumed_total"), [](stats s, at) -> auto& { return s.channels_resumed; });
    out.numbers(row("jirapool_channels_closed_total"), [](stats s, at i) -> auto& { return s.channels_closed[i[0]]; });
    out.numbers(row("jirapool_dials_total"), [](stats s, at i) -> auto& { return s.dials[i[0]][i[1]]; });
    out.numbers(row("jirapool_dial_failures_total"),
                [](stats s, at i) -> auto& { return s.dial_failures[i[0]][i[1]]; });
    out.numbers(row("jirapool_dial_timeouts_total"),
                [](stats s, at i) -> auto& { return s.dial_timeouts[i[0]][i[1]]; });
    out.numbers(row("jirapool_dial_backoffs_total"), [](stats s, at) -> auto& { return s.dial_backoffs; });
    out.durations(row("jirapool_dial_duration_seconds"), [](stats s, at i) -> auto& { return s.dial_duration[i[0]]; });
    out.numbers(row("jirapool_sent_bytes_total"), [](stats s, at) -> auto& { return s.bytes_sent; });
    out.numbers(row("jirapool_received_bytes_total"), [](stats s, at) -> auto& { return s.bytes_received; });

    out.told(row("jirapool_webhook_deliveries_total"), [&](at i) {
        double sum = 0;
        for (auto const& d : received) sum += static_cast<double>(d->of(static_cast<delivery_result>(i[0])));
        return sum;
    });

    out.told(row("jirapool_survey_age_seconds"), [&](at) { return known.survey_age; });
    out.told(row("jirapool_series_dropped"), [&](at) { return known.dropped; });
    auto all = std::move(out).take();
    add_named_families(all, o, seen);
    return all;
}

ClientMetric to_prometheus(std::vector<label_value> const& labels) {
    ClientMetric m;
    for (auto const& l : labels) m.label.push_back({std::string(l.name), l.value});
    return m;
}

MetricFamily to_prometheus(family const& f) {
    MetricFamily out;
    out.name = f.name;
    out.help = f.help;
    out.type = type_of(f.type);
    out.metric.reserve(f.numbers.size() + f.histograms.size());
    for (auto const& n : f.numbers) {
        auto& m = out.metric.emplace_back(to_prometheus(n.labels));
        if (f.type == series_type::counter) m.counter.value = n.value;
        else m.gauge.value = n.value;
    }
    for (auto const& h : f.histograms) {
        auto& m = out.metric.emplace_back(to_prometheus(h.labels));
        m.histogram.bucket.reserve(h.counts.classic.size());
        for (std::size_t i = 0; i < h.counts.classic.size(); ++i) {
            m.histogram.sample_count += h.counts.classic[i];
            ClientMetric::Bucket bucket;
            bucket.upper_bound = i < histogram::bounds.size() ? histogram::bounds[i]
                                                              : std::numeric_limits<double>::infinity();
            // The count is the buckets' own sum, never a counter beside them: a scrape during an observation would
            // show a +Inf bucket that differs from the count.
            bucket.cumulative_count = m.histogram.sample_count;
            m.histogram.bucket.push_back(bucket);
        }
        m.histogram.sample_sum = h.counts.sum_seconds;
    }
    return out;
}

}  // namespace

collector::collector(std::shared_ptr<overview const> o) : overview_(std::move(o)) {
    if (!overview_) throw std::invalid_argument("collector: the overview must not be null");
}

collector::collector(std::vector<std::shared_ptr<overview const>> all)
    : overview_(std::make_shared<combined_overview>(std::move(all))) {}

void collector::add_deliveries(std::shared_ptr<delivery_counts const> counts) {
    if (!counts) throw std::invalid_argument("collector: the counts of deliveries must not be null");
    deliveries_.push_back(std::move(counts));
}

std::vector<family> collector::families() const { return collect(*overview_, deliveries_); }

std::vector<MetricFamily> collector::Collect() const {
    try {
        std::vector<MetricFamily> all;
        for (auto const& f : families()) all.push_back(to_prometheus(f));
        return all;
    } catch (...) {
        // civetweb's C code calls us: nothing may pass through it.
        return {};
    }
}

}  // namespace jirapool::metrics
