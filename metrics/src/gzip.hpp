#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace jirapool::metrics {

/// The text as one gzip member; none when there is no memory for it.
std::optional<std::string> gzip(std::string_view text);

}  // namespace jirapool::metrics
