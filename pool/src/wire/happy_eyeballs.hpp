#pragma once

#include <jirapool/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace jirapool::detail {

/** Which of a host's addresses to try when (RFC 8305): families take turns, each attempt gets a head start over the next, a
    failed one lets the next begin at once. The first to connect wins; that, and closing the others, is the caller's part.
    Sans-I/O. */
class happy_eyeballs {
public:
    enum class family : std::uint8_t { v4, v6 };

    struct decision {
        enum class kind : std::uint8_t {
            start,  ///< try `address` now, then ask again
            wait,   ///< ask again at `until`, or when an attempt ended
            failed  ///< none is left, and none is under way
        };
        kind what = kind::failed;
        std::size_t address = 0;  ///< an index into the constructor's argument
        steady_time until = steady_time::max();
    };

    /// `addresses` in the resolver's order, which already prefers what the machine can reach best (RFC 6724).
    happy_eyeballs(std::vector<family> const& addresses, steady_duration attempt_delay);

    decision next(steady_time now) noexcept;
    /// An attempt ended without a connection.
    void on_failed() noexcept;

private:
    std::vector<std::size_t> order_;
    std::size_t started_ = 0;
    std::size_t under_way_ = 0;
    steady_duration attempt_delay_;
    steady_time next_at_ = steady_time::min();
};

}  // namespace jirapool::detail
