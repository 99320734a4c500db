// Uses core alone: reads a connections file's text and says what is in it.
#include <jirapool/core/connections_file.hpp>

#include <cstdio>

int main() {
    auto const report = jirapool::parse_connections(
        R"([{"id":"acme","site_url":"https://acme.atlassian.net","email":"a@acme.example","apiKey":"secret"}])",
        jirapool::system_secrets());
    if (!report || report->connections.size() != 1) return 1;
    std::puts("core: one connection");
    return 0;
}
