#pragma once

#include <jirapool/pool/params.hpp>

#include <string>
#include <string_view>

namespace jirapool::detail {

/// The event as event_webhook delivers it, with its id there: JSON, whatever bytes are in its texts.
std::string event_json(event const& e, std::string_view id, wall_time at);

}  // namespace jirapool::detail
