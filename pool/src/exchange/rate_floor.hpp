#pragma once

#include <jirapool/core/time.hpp>

#include <cstdint>

namespace jirapool::detail {

/** Whether bytes come at a least rate: looked at once per window, so that pauses within one do no harm. Sans-I/O. */
class rate_floor {
public:
    /// `rate` in bytes per second; 0: none is too slow.
    rate_floor(std::uint32_t rate, steady_duration window, steady_time now) noexcept
        : needed_(std::chrono::duration<double>(window).count() * rate), window_(window), ends_(later(now, window)) {}

    void add(std::uint64_t bytes) noexcept { got_ += bytes; }
    /// The window is that much longer: for so long nothing was asked for.
    void extend(steady_duration d) noexcept { ends_ = later(ends_, d); }
    /// When to ask next.
    steady_time look_at() const noexcept { return needed_ > 0 ? ends_ : steady_time::max(); }
    /// Begins the next window when this one is over.
    bool too_slow(steady_time now) noexcept {
        if (now < look_at()) return false;
        bool const slow = static_cast<double>(got_) < needed_;
        got_ = 0;
        ends_ = later(now, window_);
        return slow;
    }

private:
    double needed_;
    std::uint64_t got_ = 0;
    steady_duration window_;
    steady_time ends_;
};

}  // namespace jirapool::detail
