#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/time.hpp>

#include <algorithm>
#include <cstdint>

namespace jirapool {

/** How long an exchange will likely take at the most: a smoothed mean and deviation, as TCP estimates its round trip
    (RFC 6298, section 2). 8 bytes. A call that waits for a permit until less than this is left can only fail, late, and with
    a permit and a channel spent on it.

    @par Threads   One at a time: it belongs to its site's shard. */
class latency_estimate {
public:
    void observe(steady_duration d) noexcept {
        auto const us = static_cast<float>(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
        if (mean_ < 0) {
            mean_ = us;
            deviation_ = us / 2;
            return;
        }
        deviation_ += (std::max(us - mean_, mean_ - us) - deviation_) / 4;
        mean_ += (us - mean_) / 8;
    }

    /// Mean and twice the deviation; zero before the first observation.
    steady_duration likely() const noexcept {
        if (mean_ < 0) return steady_duration::zero();
        return std::chrono::microseconds(static_cast<std::int64_t>(mean_ + 2 * deviation_));
    }

private:
    float mean_ = -1;  // microseconds
    float deviation_ = 0;
};

}  // namespace jirapool
