#include <jirapool/metrics/exposition.hpp>

#include "header_list.hpp"

#include <optional>

namespace jirapool::metrics {

namespace {

/// The format that this element names; none when it is not one of ours, or a wildcard.
std::optional<exposition_format> named(header_choice const& c) {
    auto const version = c.parameter("version");
    if (same_name(c.what, "text/plain") && (!version || *version == "0.0.4")) return exposition_format::text;
    if (same_name(c.what, "application/openmetrics-text") && (!version || *version == "1.0.0"))
        return exposition_format::openmetrics;
    if (same_name(c.what, "application/vnd.google.protobuf") &&
        c.parameter("proto") == "io.prometheus.client.MetricFamily" && c.parameter("encoding") == "delimited")
        return exposition_format::protobuf;
    return std::nullopt;
}

bool is_wildcard(header_choice const& c) noexcept { return c.what == "*/*" || same_name(c.what, "text/*"); }

}  // namespace

exposition_format negotiate(std::string_view accept) {
    auto const choices = parse_choices(accept);
    auto best = exposition_format::text;
    double weight = 0;
    for (auto const& c : choices) {
        auto const format = is_wildcard(c) ? exposition_format::text : named(c);
        if (!format || c.weight <= weight) continue;
        best = *format;
        weight = c.weight;
    }
    return best;
}

}  // namespace jirapool::metrics
