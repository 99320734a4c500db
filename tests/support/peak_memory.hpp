#pragma once

#include "support/sanitized.hpp"

#include <sys/resource.h>
#include <fstream>
#include <string>

namespace jirapool::test {

// A sanitizer keeps what was freed, and notes of its own.
inline constexpr bool peak_means_something = !sanitized;

/// The process' memory at the most, in MiB, since the last `forget_peak`.
inline double peak_mib() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        if (word != "VmHWM:") continue;
        double kib = 0;
        status >> kib;
        return kib / 1024;
    }
    rusage u{};
    getrusage(RUSAGE_SELF, &u);
    return static_cast<double>(u.ru_maxrss) / 1024;
}

// Where this does nothing, the peak is that of all the cases before as well: an upper bound still.
inline void forget_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

}  // namespace jirapool::test
