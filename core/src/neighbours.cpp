#include <jirapool/core/neighbours.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// A stretch: others come by chance, and sixty calls tell a rate to an eighth. Not so short that two answers out of order count for
// much, and not so long that a slow route learns nothing.
constexpr double tokens_of_stretch = 64;
constexpr double shortest_ms = 500;
constexpr double longest_ms = 5'000;
constexpr std::uint16_t enough_calls = 4;
constexpr std::uint32_t too_long_ms = 30'000;  // between two answers: what was is over
constexpr std::uint32_t used_ms = 600'000;
constexpr std::uint32_t most_remaining = 60'000;

// The mean of the first eight, then of about the last eight.
constexpr std::uint8_t remembered = 8;
// More than chance does to one stretch: they came or went.
constexpr double jump = 0.3;
// What no measure confirms is forgotten, by so much a stretch.
constexpr double forgotten = 0.01;

// How far the estimate may be off by chance, when it tells whether the bucket may have been full.
constexpr double unsure = 0.1;

// Others who take all but so little that Remaining stands still, though it is low and next to nothing is ours: rather it is full.
constexpr int still = 1;
constexpr double all_of_it = 0.9;
constexpr double low_level = 0.5;

std::uint32_t ms_of(steady_time t) noexcept { return static_cast<std::uint32_t>(t.time_since_epoch() / 1ms); }

}  // namespace

void neighbour_estimate::begin(std::uint32_t remaining, std::uint32_t ms) noexcept {
    begun_ = last_ = ms;
    overflow_ = 0;
    calls_ = 0;
    first_ = remaining_ = static_cast<std::uint16_t>(remaining);
    measures_ = true;
}

bool neighbour_estimate::used(steady_time now) const noexcept { return ms_of(now) - last_ < used_ms; }

void neighbour_estimate::on_silent_answer() noexcept {
    if (calls_ < std::numeric_limits<std::uint16_t>::max()) ++calls_;
}

neighbour_estimate::told neighbour_estimate::on_answer(bucket const& b, std::uint32_t remaining,
                                                       steady_time now) noexcept {
    told t;
    auto const ms = ms_of(now);
    remaining = std::min(remaining, most_remaining);
    auto const since = ms - last_;
    if (!measures_ || since > too_long_ms) {
        begin(remaining, ms);
        return t;
    }
    // What others are thought to take, with some doubt, leaves the bucket less full.
    overflow_ += static_cast<float>(
        std::max(0.0, remaining_ + b.rate * (1 - std::max(0.0, share() - unsure)) * since / 1000 - b.size));
    last_ = ms;
    remaining_ = static_cast<std::uint16_t>(remaining);
    on_silent_answer();

    auto const elapsed = ms - begun_;
    bool const over = elapsed >= longest_ms;
    double const given = b.rate * elapsed / 1000;
    // The first one is half as long: nothing is known yet.
    double const part = learned_ == 0 ? 0.5 : 1;
    if (calls_ < enough_calls || elapsed < part * shortest_ms || (given < part * tokens_of_stretch && !over)) return t;
    if (!b.steady) {
        // How it is refilled may be known in a moment.
        if (over) begin(remaining, ms);
        return t;
    }
    int const fall = static_cast<int>(first_) - static_cast<int>(remaining);
    double const theirs = (fall + given - calls_) / given;
    learn(theirs - static_cast<double>(overflow_) / given, theirs);
    t.ended = true;
    t.calls = static_cast<std::uint32_t>(std::lround(share() * given));
    t.ours = calls_;
    t.smaller = std::abs(fall) <= still && theirs >= all_of_it && remaining < low_level * b.size;
    begin(remaining, ms);
    return t;
}

void neighbour_estimate::learn(double lowest, double highest) noexcept {
    double const before = share();
    double const told = std::clamp(before, lowest, highest);
    if (learned_ < remembered) ++learned_;
    double const weight = std::max(1.0 / learned_, std::abs(told - before) > jump ? 0.5 : 0.0);
    double share = before + weight * (told - before);
    if (share > lowest && highest > lowest) share = std::max(share - forgotten, lowest);
    share_ = static_cast<float>(std::clamp(share, 0.0, 1.0));
}

}  // namespace jirapool
