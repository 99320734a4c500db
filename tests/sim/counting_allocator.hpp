#pragma once

#include <cstddef>

namespace jirapool::sim {

/// Bytes that operator new has given out in this program and not got back, as the allocator rounds them.
std::size_t live_bytes() noexcept;

}  // namespace jirapool::sim
