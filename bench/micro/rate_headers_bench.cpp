#include <jirapool/core/rate_headers.hpp>

#include <benchmark/benchmark.h>

namespace {

using namespace jirapool;

// What Jira's edge puts on a plain answer (names as seen, values made up).
void add_usual(response& r) {
    r.add_header("Date", "Thu, 26 Mar 2026 15:42:10 GMT");
    r.add_header("Content-Type", "application/json;charset=UTF-8");
    r.add_header("Server", "AtlassianEdge");
    r.add_header("Timing-Allow-Origin", "*");
    r.add_header("X-Arequestid", "0123456789abcdef0123456789abcdef");
    r.add_header("X-Aaccountid", "557058%3A00000000-0000-0000-0000-000000000000");
    r.add_header("Cache-Control", "no-cache, no-store, no-transform");
    r.add_header("Content-Encoding", "gzip");
    r.add_header("X-Content-Type-Options", "nosniff");
    r.add_header("X-Xss-Protection", "1; mode=block");
    r.add_header("Atl-Traceid", "0123456789abcdef0123456789abcdef");
    r.add_header("Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload");
    r.add_header("Vary", "Accept-Encoding");
    r.add_header("X-Ratelimit-Limit", "350");
    r.add_header("X-Ratelimit-Remaining", "349");
}

void read(benchmark::State& state, response const& r) {
    wall_time const now{std::chrono::milliseconds(1'774'539'730'000)};
    for (auto _ : state) {
        benchmark::DoNotOptimize(&r);
        benchmark::DoNotOptimize(read_rate_headers(r, now));
    }
}

void read_plain_answer(benchmark::State& state) {
    response r;
    add_usual(r);
    read(state, r);
}
BENCHMARK(read_plain_answer);

void read_answer_with_quotas(benchmark::State& state) {
    response r;
    add_usual(r);
    r.add_header("RateLimit-Policy", "\"global-app-quota\";q=65000;w=3600, \"tenant-app-quota\";q=100500;w=3600");
    r.add_header("RateLimit", "\"global-app-quota\";r=11000;t=600");
    read(state, r);
}
BENCHMARK(read_answer_with_quotas);

void read_429(benchmark::State& state) {
    response r;
    add_usual(r);
    r.add_header("Retry-After", "1070");
    r.add_header("X-Ratelimit-Reset", "2026-03-26T16:00Z");
    r.add_header("X-Ratelimit-Nearlimit", "true");
    r.add_header("Ratelimit-Reason", "jira-quota-global-based");
    read(state, r);
}
BENCHMARK(read_429);

}  // namespace
