#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/names.hpp>

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
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

/// Builds one scrape from the shards' counters.
class scrape {
public:
    explicit scrape(collector::shards const& shards) : shards_(shards) { families_.reserve(all_series.size()); }

    /// `read(shard, i, j)` gives the counter or gauge of the i-th value of the first label and the j-th of the second.
    template <class Read>
    void numbers(series const& s, Read const& read) {
        each_metric(s, [&](ClientMetric& m, std::size_t i, std::size_t j) {
            decltype(read(*shards_.front(), i, j).value()) sum = 0;
            for (auto const& shard : shards_)
                if (shard) sum += read(*shard, i, j).value();
            auto const number = static_cast<double>(sum);
            if (s.type == series_type::counter) m.counter.value = number;
            else m.gauge.value = number;
        });
    }

    void constant_one(series const& s) {
        each_metric(s, [](ClientMetric& m, std::size_t, std::size_t) { m.gauge.value = 1; });
    }

    /// As `numbers`, `read` gives a histogram.
    template <class Read>
    void durations(series const& s, Read const& read) {
        each_metric(s, [&](ClientMetric& m, std::size_t i, std::size_t j) {
            auto& h = m.histogram;
            h.bucket.reserve(histogram::bounds.size() + 1);
            for (std::size_t b = 0; b <= histogram::bounds.size(); ++b) {
                for (auto const& shard : shards_)
                    if (shard) h.sample_count += read(*shard, i, j).bucket(b);
                bool const last = b == histogram::bounds.size();
                ClientMetric::Bucket bucket;
                bucket.upper_bound = last ? std::numeric_limits<double>::infinity() : histogram::bounds[b];
                // The count is the buckets' own sum, never a counter beside them: a scrape during an observation would
                // show a +Inf bucket that differs from the count.
                bucket.cumulative_count = h.sample_count;
                h.bucket.push_back(bucket);
            }
            for (auto const& shard : shards_)
                if (shard) h.sample_sum += read(*shard, i, j).sum_seconds();
        });
    }

    std::vector<MetricFamily> take() && { return std::move(families_); }

private:
    template <class Fill>
    void each_metric(series const& s, Fill const& fill) {
        MetricFamily family;
        family.name = s.name;
        family.help = s.help;
        family.type = type_of(s.type);
        family.metric.reserve(s.metric_count());
        auto const& [first, second] = s.labels;
        for (std::size_t i = 0; i < first.count; ++i) {
            for (std::size_t j = 0; j < second.count; ++j) {
                ClientMetric m;
                if (first.value) m.label.push_back({std::string(first.name), first.value(i)});
                if (second.value) m.label.push_back({std::string(second.name), second.value(j)});
                fill(m, i, j);
                family.metric.push_back(std::move(m));
            }
        }
        families_.push_back(std::move(family));
    }

    collector::shards const& shards_;
    std::vector<MetricFamily> families_;
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

std::vector<MetricFamily> collect(collector::shards const& shards) {
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

}  // namespace

collector::collector(shards s) : source_([kept = std::move(s)] { return kept; }) {}

collector::collector(std::function<shards()> source) : source_(std::move(source)) {
    if (!source_) throw std::invalid_argument("collector: the source of shards must not be empty");
}

std::vector<MetricFamily> collector::Collect() const {
    try {
        return collect(source_());
    } catch (...) {
        // civetweb's C code calls us: nothing may pass through it.
        return {};
    }
}

}  // namespace jirapool::metrics
