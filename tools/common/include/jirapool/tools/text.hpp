#pragma once

#include <string>
#include <string_view>

namespace jirapool::tools {

/// The text with each byte that is not part of valid UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// For a terminal: what a server or a file says must not move the cursor. Control characters become '?'.
std::string printable(std::string_view text);

}  // namespace jirapool::tools
