#include <jirapool/metrics/names.hpp>

namespace jirapool::metrics {

char const* version() noexcept { return JIRAPOOL_VERSION; }

char const* to_string(queue q) noexcept {
    switch (q) {
    case queue::permit: return "permit";
    case queue::channel: return "channel";
    }
    return "unknown";
}

char const* to_string(points_state p) noexcept {
    switch (p) {
    case points_state::used: return "used";
    case points_state::left: return "left";
    }
    return "unknown";
}

char const* to_string(series_type t) noexcept {
    switch (t) {
    case series_type::counter: return "counter";
    case series_type::gauge: return "gauge";
    case series_type::histogram: return "histogram";
    }
    return "unknown";
}

}  // namespace jirapool::metrics
