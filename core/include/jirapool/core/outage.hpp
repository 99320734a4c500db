#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace jirapool {

/// What is told of an outage.
enum class outage_news : std::uint8_t { none, down, up };

/** What is told of something that fails and works by turns, an origin's dials or the token endpoint: its first failure is news, and the
    first success behind that. Then a failure is news again only when it comes, or goes on, behind a while, which doubles as long as one
    trouble follows another: what flaps is told of twice a minute at first, and then twice in ten minutes. Pure. */
class outage {
public:
    outage_news on_failure(steady_time now) noexcept {
        if (down_ || now < quiet_until_) return outage_news::none;
        bool const again = quiet_until_ != steady_time::min() && now < later(quiet_until_, longest);
        quiet_ = again ? std::min(quiet_ * 2, longest) : shortest;
        down_ = true;
        return outage_news::down;
    }
    outage_news on_success(steady_time now) noexcept {
        if (!down_) return outage_news::none;
        down_ = false;
        quiet_until_ = later(now, quiet_);
        return outage_news::up;
    }
    /// It was told that it is down, and not yet that it is up.
    bool down() const noexcept { return down_; }
    /// Nothing of it matters any more: the next failure would be news, and the first.
    bool over(steady_time now) const noexcept { return !down_ && now >= later(quiet_until_, longest); }

private:
    static constexpr std::chrono::seconds shortest{60};
    static constexpr std::chrono::seconds longest{600};

    steady_time quiet_until_ = steady_time::min();
    std::chrono::seconds quiet_ = shortest;
    bool down_ = false;
};

}  // namespace jirapool
