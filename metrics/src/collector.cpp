#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/names.hpp>

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <algorithm>
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

/// Builds one scrape from the shards' counters.
class scrape {
public:
    explicit scrape(collector::shards const& shards) : shards_(shards) { families_.reserve(all_series.size()); }

    /// `read(shard, i, j)` gives the counter or gauge of the i-th value of the first label and the j-th of the second.
    template <class Read>
    void numbers(series const& s, Read const& read) {
        auto& to = begin_family(s).numbers;
        each_metric(s, [&](std::vector<label_value> labels, std::size_t i, std::size_t j) {
            decltype(read(*shards_.front(), i, j).value()) sum = 0;
            for (auto const& shard : shards_)
                if (shard) sum += read(*shard, i, j).value();
            to.push_back({std::move(labels), static_cast<double>(sum)});
        });
    }

    void constant_one(series const& s) {
        auto& to = begin_family(s).numbers;
        each_metric(s, [&](std::vector<label_value> labels, std::size_t, std::size_t) {
            to.push_back({std::move(labels), 1});
        });
    }

    /// As `numbers`, `read` gives a histogram.
    template <class Read>
    void durations(series const& s, Read const& read) {
        auto& to = begin_family(s).histograms;
        to.reserve(s.metric_count());
        each_metric(s, [&](std::vector<label_value> labels, std::size_t i, std::size_t j) {
            auto& m = to.emplace_back();
            m.labels = std::move(labels);
            m.has_native = std::is_same_v<decltype(read(*shards_.front(), i, j)), native_histogram const&>;
            for (auto const& shard : shards_)
                if (shard) add(m, read(*shard, i, j));
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
        auto const& [first, second] = s.labels;
        for (std::size_t i = 0; i < first.count; ++i) {
            for (std::size_t j = 0; j < second.count; ++j) {
                std::vector<label_value> labels;
                if (first.value) labels.push_back({first.name, first.value(i)});
                if (second.value) labels.push_back({second.name, second.value(j)});
                fill(std::move(labels), i, j);
            }
        }
    }

    collector::shards const& shards_;
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

using stats = shard_stats const&;
using index = std::size_t;

std::vector<family> collect(collector::shards const& shards) {
    scrape out(shards);
    out.constant_one(row("jirapool_build_info"));

    out.numbers(row("jirapool_sites"), [](stats s, index, index) -> auto& { return s.sites; });
    out.numbers(row("jirapool_connections"), [](stats s, index kind, index) -> auto& { return s.connections[kind]; });
    out.numbers(row("jirapool_connection_conditions"),
                [](stats s, index condition, index) -> auto& { return s.conditions[condition]; });
    out.numbers(row("jirapool_credentials_refused"),
                [](stats s, index, index) -> auto& { return s.credentials_refused; });

    out.numbers(row("jirapool_calls_total"),
                [](stats s, index kind, index end) -> auto& { return s.calls[kind][end]; });
    out.numbers(row("jirapool_calls_in_flight"), [](stats s, index, index) -> auto& { return s.calls_in_flight; });
    out.durations(row("jirapool_call_duration_seconds"),
                  [](stats s, index, index) -> auto& { return s.call_duration; });
    out.durations(row("jirapool_call_stage_duration_seconds"),
                  [](stats s, index stage, index) -> auto& { return s.stage_duration[stage]; });
    out.numbers(row("jirapool_timeouts_total"), [](stats s, index stage, index) -> auto& { return s.timeouts[stage]; });

    out.numbers(row("jirapool_checks_total"), [](stats s, index end, index) -> auto& { return s.checks[end]; });

    out.numbers(row("jirapool_answers_total"), [](stats s, index what, index) -> auto& { return s.answers[what]; });
    out.numbers(row("jirapool_answers_401_total"), [](stats s, index, index) -> auto& { return s.answered_401; });
    out.numbers(row("jirapool_answers_429_total"), [](stats s, index why, index) -> auto& { return s.limited[why]; });
    out.numbers(row("jirapool_resends_total"), [](stats s, index why, index) -> auto& { return s.resends[why]; });
    out.numbers(row("jirapool_resends_over_budget_total"),
                [](stats s, index, index) -> auto& { return s.resends_over_budget; });

    out.numbers(row("jirapool_ratelimit_pauses_total"),
                [](stats s, index why, index) -> auto& { return s.pauses[why]; });
    out.numbers(row("jirapool_ratelimit_waits_total"), [](stats s, index, index) -> auto& { return s.limit_waits; });
    out.numbers(row("jirapool_ratelimit_near_limit_total"),
                [](stats s, index, index) -> auto& { return s.near_limit; });
    out.numbers(row("jirapool_ratelimit_calls_of_others_total"),
                [](stats s, index, index) -> auto& { return s.calls_of_others; });
    out.numbers(row("jirapool_ratelimit_retry_after_unreadable_total"),
                [](stats s, index, index) -> auto& { return s.retry_after_unreadable; });
    out.numbers(row("jirapool_ratelimit_past_deadline_total"),
                [](stats s, index, index) -> auto& { return s.limited_past_deadline; });
    out.numbers(row("jirapool_ratelimit_shadow_refusals_total"),
                [](stats s, index, index) -> auto& { return s.shadow_refusals; });
    out.durations(row("jirapool_ratelimit_shadow_wait_seconds"),
                  [](stats s, index, index) -> auto& { return s.shadow_waits; });

    out.numbers(row("jirapool_queue_length"), [](stats s, index q, index) -> auto& {
        return static_cast<queue>(q) == queue::permit ? s.limit_waiting : s.queue_length;
    });
    out.numbers(row("jirapool_queue_rejections_total"), [](stats s, index q, index) -> auto& {
        return static_cast<queue>(q) == queue::permit ? s.limit_queue_full : s.queue_full;
    });
    out.numbers(row("jirapool_site_cap_waits_total"), [](stats s, index, index) -> auto& { return s.site_cap_waits; });

    out.numbers(row("jirapool_token_refreshes_total"),
                [](stats s, index result, index) -> auto& { return s.token_refreshes[result]; });
    out.durations(row("jirapool_token_refresh_duration_seconds"),
                  [](stats s, index, index) -> auto& { return s.token_refresh_duration; });
    out.numbers(row("jirapool_token_waits_total"), [](stats s, index, index) -> auto& { return s.token_waits; });
    out.numbers(row("jirapool_token_waits_at_start_total"),
                [](stats s, index, index) -> auto& { return s.token_waits_at_start; });
    out.numbers(row("jirapool_token_late_rejections_total"),
                [](stats s, index, index) -> auto& { return s.token_late_rejections; });

    out.numbers(row("jirapool_channels"),
                [](stats s, index state, index) -> auto& { return channels_in(s, static_cast<channel_state>(state)); });
    out.numbers(row("jirapool_channels_opened_total"),
                [](stats s, index, index) -> auto& { return s.channels_opened; });
    out.numbers(row("jirapool_channels_resumed_total"),
                [](stats s, index, index) -> auto& { return s.channels_resumed; });
    out.numbers(row("jirapool_channels_closed_total"),
                [](stats s, index why, index) -> auto& { return s.channels_closed[why]; });
    out.numbers(row("jirapool_dials_total"), [](stats s, index why, index) -> auto& { return s.dials[why]; });
    out.numbers(row("jirapool_dial_failures_total"),
                [](stats s, index stage, index) -> auto& { return s.dial_failures[stage]; });
    out.numbers(row("jirapool_dial_timeouts_total"),
                [](stats s, index stage, index) -> auto& { return s.dial_timeouts[stage]; });
    out.numbers(row("jirapool_dial_backoffs_total"), [](stats s, index, index) -> auto& { return s.dial_backoffs; });
    out.durations(row("jirapool_dial_duration_seconds"),
                  [](stats s, index stage, index) -> auto& { return s.dial_duration[stage]; });
    out.numbers(row("jirapool_sent_bytes_total"), [](stats s, index, index) -> auto& { return s.bytes_sent; });
    out.numbers(row("jirapool_received_bytes_total"), [](stats s, index, index) -> auto& { return s.bytes_received; });
    return std::move(out).take();
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

collector::collector(shards s) : source_([kept = std::move(s)] { return kept; }) {}

collector::collector(std::function<shards()> source) : source_(std::move(source)) {
    if (!source_) throw std::invalid_argument("collector: the source of shards must not be empty");
}

std::vector<family> collector::families() const { return collect(source_()); }

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
