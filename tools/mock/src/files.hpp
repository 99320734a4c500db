#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>

namespace jirapool::mock {

// Files, whole or not at all: a reader that waits for one never sees half of it. Errors are std::runtime_error with path and reason.

/// In place of what may be there.
void write_file(std::string const& path, std::string const& content, mode_t mode);
/// False if something is there, which stays.
bool create_file(std::string const& path, std::string const& content, mode_t mode);
/// nullopt: there is none. What is longer than `most` is an error.
std::optional<std::string> read_file(std::string const& path, std::size_t most);

}  // namespace jirapool::mock
