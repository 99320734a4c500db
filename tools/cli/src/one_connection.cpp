#include "one_connection.hpp"

#include <jirapool/tools/process.hpp>
#include <jirapool/tools/secrets.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>

#include <stdexcept>

namespace jirapool::cli {
namespace {

client_params params_of(connect_options const& o) {
    client_params p;
    p.user_agent = "jirapool-cli/" JIRAPOOL_VERSION;
    p.connect_to = o.connect_to;
    p.tls.ca_file = o.ca_file;
    p.executor_is_serial = true;
    return p;
}

connection_config find_connection(connect_options const& o) {
    auto [report, warning] = tools::load_guarded(o.connections_file);
    if (!warning.empty()) tools::tell(fmt::format("jirapool: WARNING: {}\n", warning));
    if (!report)
        throw std::invalid_argument(fmt::format("{}: {}", tools::printable(o.connections_file),
                                                report.error().describe()));
    for (auto& c : report->connections)
        if (c.id() == o.id) return std::move(c);
    for (auto const& f : report->problems)
        if (f.connection() == o.id) throw std::invalid_argument(f.describe());
    throw std::invalid_argument(fmt::format("{}: no connection '{}'", tools::printable(o.connections_file),
                                            tools::printable(o.id)));
}

}  // namespace

one_connection::one_connection(connect_options const& o) : client_(context_, params_of(o)) {
    auto added = client_.add(find_connection(o));
    if (!added) throw std::invalid_argument(added.error().describe());
    connection_.emplace(std::move(*added));
}

}  // namespace jirapool::cli
