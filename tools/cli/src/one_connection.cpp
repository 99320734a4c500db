#include "one_connection.hpp"

#include "reach.hpp"

#include <jirapool/tools/process.hpp>
#include <jirapool/tools/secrets.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>
#include <utility>

namespace jirapool::cli {
namespace {

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

client_params one_connection::params_of(connect_options const& o) {
    auto p = reach_params(o.connect_to, o.ca_file);
    // A call goes on to dial until its time is over: whoever waits for that shall know.
    p.on_event = [told = false](event const& e) mutable {
        if (e.what != event::kind::origin_down && e.what != event::kind::token_refresh_failed &&
            e.what != event::kind::token_endpoint_down)
            return;
        if (!std::exchange(told, true))
            tools::tell(fmt::format("jirapool: {}; tried again until the call's time is over\n",
                                    tools::printable(e.detail)));
    };
    p.on_token_scopes = [this](std::string_view, std::string_view scopes) { scopes_ = scopes; };
    return p;
}

one_connection::one_connection(connect_options const& o) : client_(context_, params_of(o)) {
    auto found = find_connection(o);
    options_ = found.options();
    auto added = client_.add(std::move(found));
    if (!added) throw std::invalid_argument(added.error().describe());
    connection_.emplace(std::move(*added));
}

}  // namespace jirapool::cli
