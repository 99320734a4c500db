#pragma once

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace jirapool::support {

/// How many threads this process has. A thread counts until all that is its own has been destroyed: a leak checker that looks
/// at the end of a process takes what a detached thread has not yet freed for lost.
inline std::ptrdiff_t process_threads() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

}  // namespace jirapool::support
