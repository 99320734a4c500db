#pragma once

#include <string>
#include <string_view>

namespace jirapool::detail {

/// RFC 4648 section 4, with padding. Leaves no copy of `in` behind.
void append_base64(std::string& out, std::string_view in);

}  // namespace jirapool::detail
