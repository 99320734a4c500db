#include <jirapool/metrics/exposition.hpp>

#include "exposition_parts.hpp"

namespace jirapool::metrics {

std::string_view content_type(exposition_format f) noexcept {
    switch (f) {
    case exposition_format::text: return "text/plain; version=0.0.4; charset=utf-8";
    case exposition_format::openmetrics: return "application/openmetrics-text; version=1.0.0; charset=utf-8";
    case exposition_format::protobuf:
        return "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    }
    return "text/plain";
}

std::string expose(std::span<family const> families, exposition_format f) {
    switch (f) {
    case exposition_format::text: return expose_text(families);
    case exposition_format::openmetrics: return expose_openmetrics(families);
    case exposition_format::protobuf: return expose_protobuf(families);
    }
    return {};
}

}  // namespace jirapool::metrics
