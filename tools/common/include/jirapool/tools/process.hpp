#pragma once

#include <string>

namespace jirapool::tools {

/** Keeps secrets out of core dumps, and other processes of the user out of our memory. Call it first in main.

    Left out with JIRAPOOL_DUMPABLE=1 in the environment, for a debugger, and in builds with a sanitizer: LeakSanitizer
    stops the process with ptrace. */
void forbid_dumps() noexcept;

/** Writes all of it, to standard output if `path` is "-". @return false with errno set. */
bool write_output(std::string const& path, std::string const& text);

}  // namespace jirapool::tools
