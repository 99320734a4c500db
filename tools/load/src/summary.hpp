#pragma once

#include <jirapool/core/client_totals.hpp>
#include "latency_histogram.hpp"
#include "mix.hpp"
#include "mock_view.hpp"
#include "recorder.hpp"

#include <jirapool/core/connection_config.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace jirapool::load {

/// What was asked for.
struct run_plan {
    std::array<std::uint64_t, connection_kind_count> connections{};
    double rate = 0;
    double duration_s = 0;
    double timeout_s = 0;
    unsigned threads = 1;
    std::uint64_t max_in_flight = 0;
    unsigned issues = 0;
    std::uint64_t seed = 0;
    std::string mix_text;
};

struct time_figures {
    std::chrono::nanoseconds p50{};
    std::chrono::nanoseconds p90{};
    std::chrono::nanoseconds p95{};
    std::chrono::nanoseconds p99{};
    std::chrono::nanoseconds p99_9{};
    std::chrono::nanoseconds max{};
    std::chrono::nanoseconds mean{};
};
time_figures figures_of(latency_histogram const& h) noexcept;

/// What calls came to: those of one operation, or all.
struct call_figures {
    /// Ended, in whatever way, but for those that a stop ended.
    std::uint64_t completed = 0;
    /// 2xx.
    std::uint64_t succeeded = 0;
    /// All other statuses, and errors.
    std::uint64_t failed = 0;
    std::map<int, std::uint64_t> statuses;
    /// By errc's name, "other" for what is not one of ours.
    std::map<std::string, std::uint64_t> errors;
    time_figures response_time;
    time_figures service_time;
};

/** What a run came to. Counts are of the run itself: what happened during the warm-up is not in them. */
struct summary {
    run_plan plan;
    bool interrupted = false;

    /// Calls whose time had come when the run ended: sent and unsent.
    std::uint64_t planned = 0;
    std::uint64_t sent = 0;
    /// max_in_flight calls were under way, or the run was interrupted before a late one.
    std::uint64_t unsent = 0;
    /// Sent, and ended by the stop that followed an interruption.
    std::uint64_t cut_off = 0;

    /// From the first planned call to the end of the arrivals.
    std::chrono::nanoseconds elapsed{};
    /// How late the generator began its calls.
    time_figures lateness;

    call_figures all;
    std::array<call_figures, operation_count> operations;

    double warm_up_s = 0;
    std::uint64_t warm_up_refreshes = 0;
    client_totals client;
    /// Of the whole process, and of its generator alone.
    double cpu_s = 0;
    double generator_cpu_s = 0;

    std::optional<mock_view> mock;
    std::string mock_problem;

    /// Connections of which calls failed: the worst first, so many at the most, and how many there are.
    static constexpr std::size_t max_failing_shown = 20;
    std::vector<failing_connection> failing;
    std::uint64_t failing_count = 0;

    std::map<std::string, std::string> examples;
    std::map<std::string, std::uint64_t> events;
    std::map<std::string, std::string> event_examples;

    double sent_per_s() const noexcept;
    double succeeded_per_s() const noexcept;
};

/// Fills `all`, `operations` and `cut_off`.
void take_records(summary& s, recorder const& r);
/// Fills `failing` and `failing_count`.
void take_failing(summary& s, std::vector<failing_connection> all);

/// Numbers by their place in the JSON: "response_ms.p99".
using flat_summary = std::map<std::string, double, std::less<>>;
flat_summary flatten(summary const& s);

/// Schema 1: keys are only ever added.
std::string to_json(summary const& s);
/// For people.
std::string to_text(summary const& s);

/// More than 5 ms at p99: then the response times are the generator's fault as well.
bool was_late(summary const& s) noexcept;

}  // namespace jirapool::load
