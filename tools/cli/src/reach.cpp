#include "reach.hpp"

#include <utility>

namespace jirapool::cli {

client_params reach_params(std::vector<address_override> connect_to, std::string ca_file) {
    client_params p;
    p.user_agent = "jirapool-cli/" JIRAPOOL_VERSION;
    p.connect_to = std::move(connect_to);
    p.tls.ca_file = std::move(ca_file);
    p.executor_is_serial = true;
    return p;
}

}  // namespace jirapool::cli
