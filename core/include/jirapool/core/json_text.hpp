#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <string>
#include <string_view>

namespace jirapool {

/// The door that all JSON from outside comes through: without the byte order mark that some editors and proxies put in front of it.
/// RFC 8259, section 8.1, lets a reader skip it. simdjson 3.0 does not and later versions do: so of a second mark the first byte goes
/// too, or the one would take what the other refuses.
constexpr std::string_view json_text(std::string_view bytes) noexcept {
    constexpr std::string_view mark = "\xef\xbb\xbf";
    if (!bytes.starts_with(mark)) return bytes;
    bytes.remove_prefix(mark.size());
    return bytes.substr(bytes.starts_with(mark) ? 1 : 0);
}

/// Appends a JSON string. Precondition: the text is UTF-8.
void append_json_string(std::string& out, std::string_view text);

}  // namespace jirapool
