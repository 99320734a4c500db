#pragma once

#include <jirapool/core/histogram.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace jirapool::load {

/** Durations in log-linear buckets, as HDR histograms have them: 128 to each power of two, so a value read back is at
    most 0.4 % off. From 1 ns to 73 min (2^42 ns); what is longer counts as that.

    @par Threads   One writer, any readers: they see each record soon, and whole numbers always. */
class latency_histogram {
public:
    static constexpr std::chrono::nanoseconds max_value{(std::int64_t{1} << 42) - 1};

    latency_histogram();

    /// Below 0 counts as 0.
    void record(std::chrono::nanoseconds value) noexcept;
    /// Takes over what `other` counted so far.
    void add(latency_histogram const& other) noexcept;

    std::uint64_t count() const noexcept;
    /// The smallest recorded value that at least this part of all is not above: 0.99. 0 when nothing was recorded.
    std::chrono::nanoseconds percentile(double part) const noexcept;
    /// Exact, as is the mean.
    std::chrono::nanoseconds max() const noexcept;
    std::chrono::nanoseconds mean() const noexcept;

private:
    static std::size_t index_of(std::uint64_t value) noexcept;
    static std::uint64_t middle_of(std::size_t index) noexcept;

    std::vector<counter> buckets_;
    counter sum_;
    gauge max_;
};

}  // namespace jirapool::load
