#pragma once

#include "clock.hpp"
#include "route.hpp"

#include <jirapool/mock/params.hpp>

#include <array>
#include <cstdint>
#include <vector>

namespace jirapool::mock {

/// A token bucket that is full at first, and what has become of the requests that came to it. Not thread-safe.
class bucket {
public:
    struct verdict {
        bool admitted;
        /// Whole requests left.
        std::uint32_t remaining;
        /// Until one request is admitted again; 0 if that is now.
        std::chrono::nanoseconds wait;
    };

    /// Before the first use; the second time it does nothing.
    void open(std::uint32_t rate, std::uint32_t capacity, steady_time now) noexcept;
    /// Other figures from now on; what is above the new capacity is lost. Before the first use it does nothing.
    void change(std::uint32_t rate, std::uint32_t capacity, steady_time now) noexcept;
    /// What part of the refill others take from now on, evenly. Before the first use it does nothing.
    void share(double foreign, steady_time now) noexcept;
    /// `now` may lie a little before an earlier one: threads read the clock before they get the lock.
    verdict take(steady_time now) noexcept;

    bool is_touched() const noexcept { return admitted_ + refused_ != 0; }
    std::uint32_t rate() const noexcept { return rate_; }
    std::uint64_t admitted() const noexcept { return admitted_; }
    std::uint64_t refused() const noexcept { return refused_; }
    /// From the first to the last request; a change counts as one.
    std::chrono::nanoseconds span() const noexcept { return last_ - first_; }
    /// What the rate gave during the span, whatever the bucket held and others took.
    double permitted() const noexcept;
    /// The level stays.
    void reset_counts() noexcept;

private:
    void fill(steady_time now) noexcept;

    double level_ = 0;
    double foreign_ = 0;
    std::uint32_t rate_ = 0;
    std::uint32_t capacity_ = 0;
    steady_time filled_;
    std::uint64_t admitted_ = 0;
    std::uint64_t refused_ = 0;
    steady_time first_;
    steady_time last_;
    // Since when the rate is what it is, and what the former ones gave.
    steady_time changed_;
    double formerly_permitted_ = 0;
};

/// The writes to one issue in the last half minute: 20 in 2 s and 100 in 30 s, both sliding. Not thread-safe.
class issue_writes {
public:
    struct verdict {
        bool admitted;
        /// The figure that was exceeded, or is closest.
        std::uint32_t limit;
        std::chrono::nanoseconds wait;
    };

    /// Counts nothing yet.
    verdict check(steady_time now) const noexcept;
    void record(steady_time now);

private:
    // In order, at most 100.
    std::vector<steady_time> times_;
};

/// Points of one hour UTC. Not thread-safe.
class hourly_quota {
public:
    /// Once the quota is spent everything is refused until the hour ends; the request that passes it is admitted.
    bool take(std::uint64_t quota, std::uint64_t cost, wall_time now) noexcept;
    std::uint64_t remaining(std::uint64_t quota) const noexcept { return used_ < quota ? quota - used_ : 0; }
    static std::chrono::seconds until_next_hour(wall_time now) noexcept;

private:
    std::int64_t hour_ = -1;
    std::uint64_t used_ = 0;
};

/// What params say of limits, by route, or `own` in their place.
struct limit_table {
    explicit limit_table(params const& p, site_limits const& own = {}) noexcept;

    std::array<std::uint32_t, limited_route_count> rate{};
    std::array<std::uint32_t, limited_route_count> capacity{};
    double foreign = 0;
    bool issue_writes = true;
    std::uint64_t quota = 0;
};

}  // namespace jirapool::mock
