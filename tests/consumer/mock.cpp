// A test of somebody else's: a Jira Cloud of its own in its own process.
#include <jirapool/mock/server.hpp>

#include <cstdio>

int main() {
    jirapool::mock::params p;
    p.sites = 1;
    p.personal = 1;
    jirapool::mock::server jira(p);
    jira.start();
    std::printf("mock: listens: %d\n", jira.port() != 0 && !jira.ca_pem().empty());
    return 0;
}
