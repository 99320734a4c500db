#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/time.hpp>

#include <chrono>
#include <cmath>
#include <cstdint>

namespace jirapool {

/** How many calls failed of late: each counts as one, and half as much each five minutes. 8 bytes, as each site has one: so the sites
    in most trouble are found by looking at all, and no sketch is needed that guesses.

    @par Threads   One at a time. */
class trouble_score {
public:
    void add(steady_time now) noexcept {
        auto const second = second_of(now);
        score_ = static_cast<float>(value_at(second)) + 1;
        second_ = second;
    }
    double value(steady_time now) const noexcept { return value_at(second_of(now)); }

private:
    static constexpr double half_life = 300;  // seconds
    static std::uint32_t second_of(steady_time t) noexcept {
        return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count());
    }
    double value_at(std::uint32_t second) const noexcept {
        if (score_ == 0) return 0;
        // Modulo 2^32, as the clock may be.
        return static_cast<double>(score_) * std::exp2(-static_cast<double>(second - second_) / half_life);
    }

    float score_ = 0;
    std::uint32_t second_ = 0;
};

}  // namespace jirapool
