#pragma once

#include <jirapool/pool/params.hpp>

#include <string>
#include <vector>

namespace jirapool::cli {

/// The params of a client on one thread that reaches its hosts so.
client_params reach_params(std::vector<address_override> connect_to, std::string ca_file);

}  // namespace jirapool::cli
