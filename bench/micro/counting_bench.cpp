#include <jirapool/core/route.hpp>
#include <jirapool/core/stats.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

namespace {

using namespace jirapool;

constexpr std::string_view trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr wall_time wall{std::chrono::milliseconds(1'774'539'730'000)};

/// Durations from 1 us to 16 s in an order that no branch predictor learns.
std::array<steady_duration, 4096> const durations = [] {
    std::array<steady_duration, 4096> all{};
    std::uint64_t state = 1;
    for (auto& d : all) {
        state = state * 6364136223846793005 + 1442695040888963407;
        d = std::chrono::nanoseconds(1000ULL << (state >> 33) % 24) + std::chrono::nanoseconds((state >> 20) % 1000);
    }
    return all;
}();

template <class Histogram>
void observe(benchmark::State& state) {
    auto const h = std::make_unique<Histogram>();
    std::size_t i = 0;
    for (auto _ : state) {
        h->observe(durations[++i % durations.size()]);
        benchmark::ClobberMemory();
    }
}
BENCHMARK(observe<histogram>);
BENCHMARK(observe<native_histogram>);

void observe_with_exemplar(benchmark::State& state) {
    auto const h = std::make_unique<native_histogram>();
    std::size_t i = 0;
    for (auto _ : state) {
        h->observe(durations[++i % durations.size()], trace_id, wall);
        benchmark::ClobberMemory();
    }
}
BENCHMARK(observe_with_exemplar);

/// What one call of one exchange counts, from its begin to its end: the numbers that call.cpp and call_trace.cpp move.
void count_call(benchmark::State& state) {
    auto const stats = std::make_unique<shard_stats>();
    calls_by_fault of_site{};
    auto const route = classify_route(method::get, "/rest/api/3/issue/PROJ-1").route;
    std::size_t i = 0;
    for (auto _ : state) {
        auto& s = *stats;
        s.calls_in_flight.add(1);
        s.channels_idle.add(-1);
        s.channels_active.add(1);
        s.bytes_sent.add(600);
        s.bytes_received.add(4000);
        s.answers[static_cast<std::size_t>(answer_class::delivered)].add();
        s.channels_active.add(-1);
        s.channels_idle.add(1);
        auto const how = static_cast<std::size_t>(outcome_of(200));
        auto const what = static_cast<std::size_t>(class_of(route));
        s.calls[static_cast<std::size_t>(connection_kind::service_oauth)][what][how].add();
        s.calls_by_priority[static_cast<std::size_t>(priority::interactive)][how].add();
        ++of_site[static_cast<std::size_t>(fault_of(outcome::success, stage::body))];
        i = (i + 4) % durations.size();
        s.call_duration[static_cast<std::size_t>(priority::interactive)].observe(durations[i], trace_id, wall);
        // A warm channel and a held token: what takes no time is in no stage.
        s.stage_duration[static_cast<std::size_t>(stage::write)].observe(durations[i + 1]);
        s.stage_duration[static_cast<std::size_t>(stage::first_byte)].observe(durations[i + 2]);
        s.stage_duration[static_cast<std::size_t>(stage::body)].observe(durations[i + 3]);
        s.calls_in_flight.add(-1);
        benchmark::ClobberMemory();
    }
}
BENCHMARK(count_call);

}  // namespace
