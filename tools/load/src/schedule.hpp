#pragma once

#include "mix.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace jirapool::load {

/// One planned call.
struct arrival {
    /// From the run's start.
    std::chrono::nanoseconds at{};
    std::size_t connection = 0;
    operation what = operation::myself;
    /// PROJ-`issue`; from 1.
    unsigned issue = 1;
};

/** An open loop's plan: `rate` calls a second at even distances, whatever becomes of them. Each time is computed from the
    call's number, so nothing adds up to a drift.

    The connections take turns in an order that the seed shuffles; operations and issues are drawn. */
class schedule {
public:
    /// Preconditions: all above 0.
    schedule(double rate, double seconds, mix m, std::size_t connections, unsigned issues, std::uint64_t seed);

    /// Calls in all; at least 1.
    std::uint64_t planned() const noexcept { return planned_; }
    bool done() const noexcept { return made_ == planned_; }
    /// When the next one is due. Precondition: !done().
    std::chrono::nanoseconds next_at() const noexcept { return time_of(made_); }
    /// Precondition: !done().
    arrival next() noexcept;
    /// How many of all are due once so much time has passed.
    std::uint64_t due(std::chrono::nanoseconds elapsed) const noexcept;

private:
    std::chrono::nanoseconds time_of(std::uint64_t number) const noexcept;
    /// Even among [0, n).
    std::uint64_t draw(std::uint64_t n) noexcept;

    double rate_;
    std::uint64_t planned_;
    std::uint64_t made_ = 0;
    mix mix_;
    unsigned issues_;
    std::vector<std::uint32_t> order_;
    std::mt19937_64 random_;
};

}  // namespace jirapool::load
