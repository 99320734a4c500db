#pragma once

#include <jirapool/core/connections_file.hpp>
#include <jirapool/pool/params.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace jirapool::cli {

struct live_check_options {
    std::vector<address_override> connect_to;
    std::string ca_file;
    std::size_t parallel = 16;
    std::chrono::milliseconds timeout{30'000};
    bool json = false;
    bool quiet = false;
};

/// Asks Jira on each connection who it is, what it may and how fast, and prints the answer, with what the report says of those that
/// cannot be asked. `warning` is what is wrong with how the file is kept, or empty. Returns the exit status.
int check_live(live_check_options o, connections_report report, std::string const& warning);

}  // namespace jirapool::cli
