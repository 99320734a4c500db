#pragma once

#include <jirapool/core/exemplar.hpp>
#include <jirapool/core/histogram.hpp>
#include <jirapool/metrics/names.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// A scrape before it has a format. It holds what `prometheus::MetricFamily` has no place for: native buckets and exemplars.
namespace jirapool::metrics {

/// A label of a metric.
struct label_value {
    std::string_view name;  ///< of the program's own, so that it lives as long
    std::string value;      ///< UTF-8
};

/// A counter or a gauge.
struct number_metric {
    std::vector<label_value> labels;
    double value = 0;
};

/// A histogram, the sum over the shards.
struct histogram_metric {
    std::vector<label_value> labels;
    /// Of a histogram without native buckets only `classic` and `sum_seconds` are set.
    native_histogram::counts counts;
    bool has_native = false;
    /// The latest over the shards, by classic bucket. Their trace ids are printable ASCII.
    std::array<std::optional<exemplar>, histogram::bounds.size() + 1> exemplars;
};

/// The metrics of one name: `numbers`, or `histograms` when the type is that.
struct family {
    std::string_view name;  ///< as in the table, a counter's with `_total`; it and the next live as long as the program
    std::string_view help;
    std::string_view unit;  ///< as in the table
    series_type type = series_type::gauge;
    std::vector<number_metric> numbers;
    std::vector<histogram_metric> histograms;
};

}  // namespace jirapool::metrics
