#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace jirapool {

/** A number with one writer (its shard) and any readers. A plain load and store: no read-modify-write on a call's path,
    so an increment costs 2 ns, and a scrape needs no lock and no visit to the shard. */
class counter {
public:
    /// Adds to it. For its writer only.
    void add(std::uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    /// The number as it is now.
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// A number like a counter that goes up and down.
class gauge {
public:
    /// Adds to it, also less than 0. For its writer only.
    void add(std::int64_t n) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    /// Sets it. For its writer only.
    void set(std::int64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
    /// The number as it is now.
    std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

/// The sum of counters, or of gauges, in arrays of any depth.
inline std::uint64_t total(counter const& c) noexcept { return c.value(); }
inline std::int64_t total(gauge const& g) noexcept { return g.value(); }
template <class T, std::size_t N>
auto total(std::array<T, N> const& all) noexcept {
    decltype(total(all[0])) sum = 0;
    for (auto const& one : all) sum += total(one);
    return sum;
}

}  // namespace jirapool
