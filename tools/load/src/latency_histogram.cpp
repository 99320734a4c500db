#include "latency_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace jirapool::load {
namespace {

constexpr unsigned precision = 7;  // bits: 128 buckets to each power of two
constexpr std::uint64_t per_octave = std::uint64_t{1} << precision;
constexpr unsigned value_bits = 42;
constexpr std::size_t bucket_count = (value_bits - precision + 1) * per_octave;

}  // namespace

latency_histogram::latency_histogram() : buckets_(bucket_count) {}

// Values below 128 have a bucket each. From there on an octave [2^k, 2^(k+1)) has 128 buckets of 2^(k-7).
std::size_t latency_histogram::index_of(std::uint64_t value) noexcept {
    if (value < per_octave) return value;
    unsigned const shift = static_cast<unsigned>(std::bit_width(value)) - 1 - precision;
    return shift * per_octave + (value >> shift);
}

std::uint64_t latency_histogram::middle_of(std::size_t index) noexcept {
    if (index < per_octave) return index;
    std::uint64_t const shift = index / per_octave - 1;
    std::uint64_t const low = (index - shift * per_octave) << shift;
    return low + ((std::uint64_t{1} << shift) - 1) / 2;
}

void latency_histogram::record(std::chrono::nanoseconds value) noexcept {
    auto const v = std::clamp(value, std::chrono::nanoseconds{0}, max_value).count();
    buckets_[index_of(static_cast<std::uint64_t>(v))].add();
    sum_.add(static_cast<std::uint64_t>(v));
    if (v > max_.value()) max_.set(v);
}

void latency_histogram::add(latency_histogram const& other) noexcept {
    for (std::size_t i = 0; i < bucket_count; ++i)
        if (auto const n = other.buckets_[i].value(); n != 0) buckets_[i].add(n);
    sum_.add(other.sum_.value());
    max_.set(std::max(max_.value(), other.max_.value()));
}

std::uint64_t latency_histogram::count() const noexcept {
    std::uint64_t n = 0;
    for (auto const& b : buckets_) n += b.value();
    return n;
}

std::chrono::nanoseconds latency_histogram::percentile(double part) const noexcept {
    auto const all = count();
    if (all == 0) return {};
    auto const wanted = std::clamp(static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(all))),
                                   std::uint64_t{1}, all);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
        seen += buckets_[i].value();
        if (seen >= wanted) return std::min(std::chrono::nanoseconds{middle_of(i)}, max());
    }
    return max();
}

std::chrono::nanoseconds latency_histogram::max() const noexcept { return std::chrono::nanoseconds{max_.value()}; }

std::chrono::nanoseconds latency_histogram::mean() const noexcept {
    auto const all = count();
    return std::chrono::nanoseconds{all == 0 ? 0 : sum_.value() / all};
}

}  // namespace jirapool::load
