#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace jirapool {

/// What became of a webhook's delivery.
enum class delivery_result : std::uint8_t {
    handled,   ///< handed out, and its handler took it
    repeated,  ///< it was handled before
    refused,   ///< it proves nothing, is none, or is nobody's: Jira does not deliver it again
    failed,    ///< its handler did not take it, or was at it: Jira delivers it again
};
inline constexpr std::size_t delivery_result_count = 4;
/// The enumerator's name, as a metric's label has it.
char const* to_string(delivery_result r) noexcept;

/** The deliveries that a webhook_receiver took, for metrics.

    @par Threads   Any. */
class delivery_counts {
public:
    /// Counts one.
    void add(delivery_result r) noexcept {
        counts_[static_cast<std::size_t>(r)].fetch_add(1, std::memory_order_relaxed);
    }
    /// The number as it is now.
    std::uint64_t of(delivery_result r) const noexcept {
        return counts_[static_cast<std::size_t>(r)].load(std::memory_order_relaxed);
    }

private:
    std::array<std::atomic<std::uint64_t>, delivery_result_count> counts_{};
};

}  // namespace jirapool
