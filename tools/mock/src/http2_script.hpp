#pragma once

#include <jirapool/mock/http2.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace jirapool::mock {

/** Which faults of HTTP/2 play now, and for which requests. What each is, is http2_faults'.

    Of several that could meet a request, the one does that was begun first.

    @par Threads   Any. A request costs one relaxed load while none plays. */
class http2_script {
public:
    /// Further ones are refused, as a stage refuses scenes.
    static constexpr std::size_t max_playing = 1000;

    /// nullptr, or why it does not begin.
    char const* play(http2_fault_request const& r);
    void end_all();
    /// How many of each play, by fault.
    std::array<std::size_t, http2_fault_count> count_playing() const;

    /// The fault that meets this request, which is counted as played; nullopt: none.
    std::optional<http2_step> next() {
        if (!is_any_playing_.load(std::memory_order_relaxed)) return std::nullopt;
        return take();
    }

private:
    struct playing {
        http2_fault_request request;
        /// Requests that it could have met.
        std::uint64_t seen = 0;
    };

    std::optional<http2_step> take();

    mutable std::mutex mutex_;
    // In the order they were begun. `times` is what is left.
    std::vector<playing> playing_;
    std::atomic<bool> is_any_playing_{false};
};

}  // namespace jirapool::mock
