#pragma once

#include <cstddef>
#include <string_view>

namespace jirapool {

/// The first thing that makes a text no JSON document (RFC 8259).
struct json_error {
    std::size_t at = 0;          ///< the byte
    char const* what = nullptr;  ///< a literal, never a part of the text; nullptr when nothing was found
};

/// For a text that simdjson refused, which does not say where. Looks at each byte once and copies none: there may be secrets in it.
/// Nesting deeper than simdjson's 1,024 is an error here as well.
json_error find_json_error(std::string_view text) noexcept;

}  // namespace jirapool
