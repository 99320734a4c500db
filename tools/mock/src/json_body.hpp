#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

namespace jirapool::mock {

/// Reads a request's body. False if it is no JSON object; `out` holds until the next call on this thread.
bool parse_object(std::string_view body, simdjson::dom::object& out);
/// nullopt if there is no such member or it is no string.
std::optional<std::string> string_at(simdjson::dom::object const& object, std::string_view name);

}  // namespace jirapool::mock
