#pragma once

#include <jirapool/metrics/family.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace jirapool::metrics {

/// In which words a scrape is told. The classic buckets' bounds read the same in all of them (`le="1.0"`), so a Prometheus server that
/// changes from one to another goes on with the same series.
enum class exposition_format : std::uint8_t {
    /// Prometheus' text format 0.0.4, which everything reads. No exemplars, no native buckets.
    text,
    /// OpenMetrics 1.0: the text with units and exemplars.
    /// Source: https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
    openmetrics,
    /// Each family as an io.prometheus.client.MetricFamily behind its length: the only one with native buckets. Exemplars too.
    /// Source: https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
    protobuf,
};

/// The `Content-Type` that a body of the format is served with.
std::string_view content_type(exposition_format f) noexcept;

/** The format that an `Accept` header asks for (RFC 9110, 12.5.1): of those that it names the one with the greatest weight, of equal ones
    the first. OpenMetrics of a version other than 1.0.0, text other than 0.0.4 and protobuf of other messages or not delimited are not
    what we have. A wildcard means text. Also text when nothing fits, as there is no use in a scrape that fails. */
exposition_format negotiate(std::string_view accept);

/** The families as a body of the format. `collector::families` gives them; append families of your own as you like.
    @param families  each name once */
std::string expose(std::span<family const> families, exposition_format f);

}  // namespace jirapool::metrics
