#include <jirapool/core/account_scope.hpp>
#include <jirapool/core/limiter.hpp>
#include <jirapool/core/neighbours.hpp>

#include <benchmark/benchmark.h>

#include <atomic>

namespace {

using namespace jirapool;

constexpr steady_time begun{std::chrono::hours(1000)};
constexpr wall_time wall{std::chrono::milliseconds(1'774'539'730'000)};

/// What an account's and the neighbours' books cost a call, by themselves.

void book_neighbours(benchmark::State& state) {
    neighbour_estimate e;
    neighbour_estimate::bucket const bucket{.rate = 100, .size = 100, .steady = true};
    auto now = begun;
    std::uint32_t remaining = 50;
    for (auto _ : state) {
        now += std::chrono::milliseconds(25);
        remaining ^= 1;
        benchmark::DoNotOptimize(e.on_answer(bucket, remaining, now));
    }
}
BENCHMARK(book_neighbours);

void book_account(benchmark::State& state) {
    std::atomic<std::uint32_t> in_flight{0};
    account_scope account(in_flight);
    account.close(limit_reason::account_cost, begun, begun);
    account.close(limit_reason::account_calls, begun, begun);
    auto now = begun + std::chrono::hours(2);
    route_id r = 0;
    for (auto _ : state) {
        now += std::chrono::milliseconds(1);
        r = static_cast<route_id>((r + 7) % 13);
        benchmark::DoNotOptimize(account.earliest(now));
        account.take(now);
        in_flight.fetch_add(1, std::memory_order_relaxed);
        in_flight.fetch_sub(1, std::memory_order_relaxed);
        account.on_answer(r, now, wall);
    }
}
BENCHMARK(book_account);

/// A call's whole way through the limiter: its permit, and what its answer teaches. Others take `percent` of the rate.
void call(benchmark::State& state, int percent) {
    limit_params const params;
    random_engine random(1);
    site_limiter limiter(params);
    auto const match = classify_route(method::get, "/rest/api/3/myself");
    rate_headers h;
    h.limit = 100;
    auto now = begun;
    auto const every = std::chrono::microseconds(1'000'000 / (100 - percent));
    std::uint32_t n = 0;
    for (auto _ : state) {
        now += every;
        limiter_waiter w(match, priority::interactive);
        benchmark::DoNotOptimize(limiter.admit(w, now, now + std::chrono::hours(1)));
        limiter.remove(w);
        h.remaining = (percent > 0 ? 50 : 98) + (++n & 1);
        benchmark::DoNotOptimize(limiter.on_answer(match, {}, 200, h, now, wall, random));
        limiter.on_done(match.route);
    }
}
BENCHMARK_CAPTURE(call, alone, 0);
BENCHMARK_CAPTURE(call, beside_others, 60);

}  // namespace
