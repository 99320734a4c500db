// Uses metrics beside a registry of the program's own.
#include <jirapool/metrics/collector.hpp>

#include <cstdio>

int main() {
    jirapool::metrics::collector const numbers{jirapool::metrics::collector::shards{}};
    std::printf("metrics: %zu families\n", numbers.Collect().size());
    return 0;
}
