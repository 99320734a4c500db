#pragma once

#include <cstddef>

namespace jirapool::wire_test {

/// operator new of this thread throws bad_alloc at the n-th allocation from here while this lives: once, or so many times in a row.
class failing_allocation {
public:
    /// `nothrow_too`: those of operator new(nothrow) count as well, and give nullptr. Those of Asio's own (asio::aligned_new) count where
    /// one fails alone: of two in a row ~awaitable_thread makes the end of the process.
    explicit failing_allocation(std::size_t n, bool nothrow_too = false, std::size_t in_a_row = 1) noexcept;
    ~failing_allocation();
    failing_allocation(failing_allocation const&) = delete;
    failing_allocation& operator=(failing_allocation const&) = delete;
    /// Whether it came to that.
    bool failed() const noexcept;
};

}  // namespace jirapool::wire_test
