// Uses metrics beside a registry of the program's own.
#include <jirapool/metrics/collector.hpp>

#include <cstdio>
#include <memory>
#include <vector>

int main() {
    jirapool::metrics::collector const numbers(std::vector<std::shared_ptr<jirapool::overview const>>{});
    std::printf("metrics: %zu families\n", numbers.Collect().size());
    return 0;
}
