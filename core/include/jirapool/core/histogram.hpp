#pragma once

#include <jirapool/core/counter.hpp>
#include <jirapool/core/exemplar.hpp>
#include <jirapool/core/time.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace jirapool {

/// Durations, counted by upper bound, the last bucket without one: what Prometheus calls a classic histogram.
class histogram {
public:
    /// The buckets' upper bounds, which are part of their buckets. They tell 0.1, 0.15, 0.2 and 0.25 s apart, where most of Jira's
    /// answers are.
    static constexpr std::array<double, 16> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15,
                                                      0.2,   0.25,   0.5,   1,    2.5,   5,    10,  30};  // seconds

    /// The bucket that counts such a duration, up to bounds.size().
    static std::size_t bucket_of(double seconds) noexcept {
        // A search by halves whose steps are additions: a branch on a duration is guessed wrong half of the time.
        std::size_t i = 0;
        for (std::size_t step = bounds.size() / 2; step > 0; step /= 2) i += bounds[i + step - 1] < seconds ? step : 0;
        return i + (bounds[i] < seconds ? 1 : 0);
    }
    static_assert(std::has_single_bit(bounds.size()));

    /// Counts one. For its writer only.
    void observe(steady_duration d) noexcept {
        auto const seconds = std::chrono::duration<double>(d).count();
        buckets_[bucket_of(seconds)].add();
        nanoseconds_.add(static_cast<std::uint64_t>(std::max<steady_duration::rep>(0, d.count())));
    }
    /// The durations counted in bucket i, up to bounds.size(), and in no other.
    std::uint64_t bucket(std::size_t i) const noexcept { return buckets_[i].value(); }
    /// The sum of all.
    double sum_seconds() const noexcept { return static_cast<double>(nanoseconds_.value()) * 1e-9; }

private:
    std::array<counter, bounds.size() + 1> buckets_;
    counter nanoseconds_;
};

/** Durations, counted for Prometheus' native histograms and by the classic bounds at once, with the latest exemplar of each classic
    bucket.

    Native buckets are those of schema 3: each reaches from its lower bound to 2^(1/8) = 1.09 times of it. They go from 7.6 us (2^-17 s)
    to 64 s (2^6 s). What is shorter is in the zero bucket, whose width Prometheus is told; what is longer is in the bucket behind 64 s, as
    if it had been 64 to 70 s, but whole in the sum.
    Source: https://prometheus.io/docs/specs/native_histograms/ */
class native_histogram {
public:
    static constexpr int schema = 3;
    /// The native buckets per doubling of the duration.
    static constexpr int per_doubling = 1 << schema;
    /// The zero bucket's upper bound, which is part of it.
    static constexpr double zero_threshold = 0x1p-17;  // seconds
    /// The native bucket i has the index first_index + i: Prometheus' number, whose bucket ends at 2^(index/8) s.
    static constexpr int first_index = -17 * per_doubling + 1;
    /// The native buckets but the zero bucket. The last is the one behind 64 s.
    static constexpr std::size_t native_count = (17 + 6) * per_doubling + 1;

    /// One reading, of one histogram or the sum over shards. Each duration is in one classic and in one native bucket or the zero bucket.
    struct counts {
        std::array<std::uint64_t, histogram::bounds.size() + 1> classic{};
        std::uint64_t zero = 0;
        std::array<std::uint64_t, native_count> native{};
        double sum_seconds = 0;
    };

    /// Counts one. For its writer only.
    void observe(steady_duration d) noexcept { observe_in_bucket(d); }
    /** Counts one, and makes it the exemplar of its classic bucket. For its writer only.
        @param trace_id  of the call; empty or longer than exemplar_slot::max_trace_id: the duration is counted and is no exemplar
        @param at        now */
    void observe(steady_duration d, std::string_view trace_id, wall_time at) noexcept {
        exemplars_[observe_in_bucket(d)].set(d, trace_id, at);
    }

    /// Adds what it has counted to a reading.
    void add_to(counts& sum) const noexcept {
        for (std::size_t i = 0; i < cells_.size(); ++i) {
            auto const n = cells_[i].value();
            auto const [native, classic] = cell_buckets[i];
            sum.classic[classic] += n;
            if (native == 0) sum.zero += n;
            else sum.native[native - 1] += n;
        }
        sum.sum_seconds += sum_seconds();
    }
    /// The durations counted in classic bucket i, up to histogram::bounds.size(), and in no other.
    std::uint64_t bucket(std::size_t i) const noexcept {
        std::uint64_t n = 0;
        for (std::size_t k = 0; k < cells_.size(); ++k)
            if (cell_buckets[k].classic == i) n += cells_[k].value();
        return n;
    }
    /// The sum of all.
    double sum_seconds() const noexcept { return static_cast<double>(nanoseconds_.value()) * 1e-9; }
    /// The latest exemplar of classic bucket i, up to histogram::bounds.size().
    std::optional<exemplar> latest(std::size_t i) const { return exemplars_[i].get(); }

    /// Where a duration is counted: 0 is the zero bucket, i + 1 the native bucket i.
    static std::size_t place_of(double seconds) noexcept {
        if (!(seconds > zero_threshold)) return 0;
        if (seconds > 64) return native_count;
        // As frexp has it, a double is mantissa * 2^exponent with a mantissa of 0.5 to 1, whose bits tell the eighth of a doubling.
        auto const bits = std::bit_cast<std::uint64_t>(seconds);
        auto const exponent = static_cast<int>(bits >> mantissa_bits) - 1022;
        auto const mantissa = bits & mantissa_mask;
        std::size_t eighth = 0;
        for (std::size_t step = per_doubling / 2; step > 0; step /= 2)
            eighth += mantissa_of(eighths[eighth + step - 1]) < mantissa ? step : 0;
        eighth += mantissa_of(eighths[eighth]) < mantissa ? 1 : 0;
        return static_cast<std::size_t>((exponent - 1) * per_doubling + 1 - first_index) + eighth;
    }

private:
    /// The buckets of both sorts that a cell's durations are in.
    struct buckets {
        std::uint8_t native;  // as place_of
        std::uint8_t classic;
    };

    static constexpr int mantissa_bits = 52;
    static constexpr std::uint64_t mantissa_mask = (std::uint64_t{1} << mantissa_bits) - 1;
    static constexpr std::uint64_t mantissa_of(double d) noexcept {
        return std::bit_cast<std::uint64_t>(d) & mantissa_mask;
    }
    // 2^(-8/8), 2^(-7/8), ..., 2^(-1/8), rounded as Prometheus' clients have them.
    static constexpr std::array<double, per_doubling> eighths = {
        0.5,
        0.5452538663326288,
        0.5946035575013605,
        0.6484197773255048,
        0.7071067811865475,
        0.7711054127039704,
        0.8408964152537144,
        0.9170040432046711,
    };

    // A duration is counted once, in the cell between two neighbouring bounds of either sort: so a reading has the same durations in the
    // classic and in the native buckets, also in the middle of an observation. Behind each bound the cell's number is one more; where a
    // bound of both sorts is the same, one cell stays empty.
    static constexpr std::size_t cell_count = native_count + histogram::bounds.size() + 1;
    static constexpr std::array<buckets, cell_count> cell_buckets = [] {
        std::array<buckets, cell_count> all{};
        double lower = -std::numeric_limits<double>::infinity();
        for (std::size_t native = 0; native <= native_count; ++native) {
            // 2^-17, then on by eighths; what is behind 64 s has no end.
            double upper = eighths[native % per_doubling] * 2 * zero_threshold;
            for (std::size_t i = 0; i < native / per_doubling; ++i) upper *= 2;
            if (native == native_count) upper = std::numeric_limits<double>::infinity();
            for (std::size_t classic = 0; classic <= histogram::bounds.size(); ++classic) {
                bool const ends_before = classic < histogram::bounds.size() && histogram::bounds[classic] <= lower;
                bool const begins_behind = classic > 0 && histogram::bounds[classic - 1] >= upper;
                if (ends_before || begins_behind) continue;
                all[native + classic] = {static_cast<std::uint8_t>(native), static_cast<std::uint8_t>(classic)};
            }
            lower = upper;
        }
        return all;
    }();

    /// @return its classic bucket
    std::size_t observe_in_bucket(steady_duration d) noexcept {
        auto const seconds = std::chrono::duration<double>(d).count();
        auto const classic = histogram::bucket_of(seconds);
        cells_[place_of(seconds) + classic].add();
        nanoseconds_.add(static_cast<std::uint64_t>(std::max<steady_duration::rep>(0, d.count())));
        return classic;
    }

    std::array<counter, cell_count> cells_;
    counter nanoseconds_;
    std::array<exemplar_slot, histogram::bounds.size() + 1> exemplars_;
};

}  // namespace jirapool
