#pragma once

#include <cstdint>

namespace jirapool::bench {

/// What this process has asked for since it began.
struct counts {
    std::uint64_t system_calls = 0;  ///< of those that waiting, reading and writing make
    std::uint64_t allocations = 0;
};

counts counted() noexcept;

}  // namespace jirapool::bench
