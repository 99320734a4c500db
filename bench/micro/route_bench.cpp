#include <jirapool/core/route.hpp>

#include <benchmark/benchmark.h>

namespace {

using jirapool::method;

void classify(benchmark::State& state, method m, std::string_view target) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(target);
        benchmark::DoNotOptimize(jirapool::classify_route(m, target));
    }
}

BENCHMARK_CAPTURE(classify, get_issue, method::get, "/rest/api/3/issue/PROJ-12345");
BENCHMARK_CAPTURE(classify, get_issue_with_query, method::get,
                  "/rest/api/3/issue/PROJ-12345?fields=summary,status,assignee&expand=names");
BENCHMARK_CAPTURE(classify, search_jql, method::post, "/rest/api/3/search/jql");
BENCHMARK_CAPTURE(classify, deepest, method::delete_,
                  "/rest/api/3/universal_avatar/type/project/owner/10000/avatar/10001");
BENCHMARK_CAPTURE(classify, other, method::get, "/rest/api/3/no/such/path");

}  // namespace
