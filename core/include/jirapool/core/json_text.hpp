#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <string_view>

namespace jirapool {

/// The door that all JSON from outside comes through: without the byte order mark that some editors and proxies put in front of it.
/// RFC 8259, section 8.1, lets a reader skip it; simdjson 3.0 does not.
constexpr std::string_view json_text(std::string_view bytes) noexcept {
    constexpr std::string_view mark = "\xef\xbb\xbf";
    return bytes.starts_with(mark) ? bytes.substr(mark.size()) : bytes;
}

}  // namespace jirapool
