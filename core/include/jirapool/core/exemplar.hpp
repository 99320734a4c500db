#pragma once

#include <jirapool/core/time.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool {

/// One call of the many that a bucket counted: by its trace id the call can be looked up, also by Atlassian.
struct exemplar {
    steady_duration value{};
    wall_time at{};  ///< when it was counted
    std::string trace_id;
};

/** The latest exemplar of a bucket, with one writer (its shard) and any readers.

    Neither waits for the other: the version is odd while the exemplar is written, and who read meanwhile reads again. */
class exemplar_slot {
public:
    /// The longest trace id that is kept, in bytes. W3C's have 32; OpenMetrics 1.0 has 128 characters for an exemplar's labels in all.
    static constexpr std::size_t max_trace_id = 64;

    /// Replaces it. An empty or too long trace id leaves the one before. For its writer only.
    void set(steady_duration value, std::string_view trace_id, wall_time at) noexcept {
        if (trace_id.empty() || trace_id.size() > max_trace_id) return;
        auto const version = version_.load(std::memory_order_relaxed);
        version_.store(version + 1, std::memory_order_relaxed);
        // Each store is a release and each load below an acquire: whoever reads a word of this exemplar sees the odd version too.
        // Fences would do with less, but ThreadSanitizer does not know them; on x86-64 they cost the same.
        value_.store(value.count(), std::memory_order_release);
        at_.store(at.time_since_epoch().count(), std::memory_order_release);
        size_.store(trace_id.size(), std::memory_order_release);
        for (std::size_t i = 0; i * word_size < trace_id.size(); ++i) {
            auto const piece = trace_id.substr(i * word_size, word_size);
            std::uint64_t word = 0;
            std::memcpy(&word, piece.data(), piece.size());
            words_[i].store(word, std::memory_order_release);
        }
        version_.store(version + 2, std::memory_order_release);
    }

    /// The latest one, if there was any. Also none when it was replaced at each of several tries: a scrape goes without it.
    std::optional<exemplar> get() const {
        for (int tries = 0; tries < max_tries; ++tries) {
            auto const before = version_.load(std::memory_order_acquire);
            if (before == 0) return std::nullopt;
            std::array<char, max_trace_id> text{};
            auto const value = value_.load(std::memory_order_acquire);
            auto const at = at_.load(std::memory_order_acquire);
            auto const size = size_.load(std::memory_order_acquire);
            for (std::size_t i = 0; i < words_.size(); ++i) {
                auto const word = words_[i].load(std::memory_order_acquire);
                std::memcpy(text.data() + i * word_size, &word, word_size);
            }
            if (before % 2 != 0 || version_.load(std::memory_order_relaxed) != before) continue;
            return exemplar{steady_duration(value), wall_time(wall_time::duration(at)), {text.data(), size}};
        }
        return std::nullopt;
    }

private:
    static constexpr std::size_t word_size = sizeof(std::uint64_t);
    // One write takes some nanoseconds: this many in a row are only met by who reads in the middle of a flood.
    static constexpr int max_tries = 1000;

    std::atomic<std::uint64_t> version_{0};
    std::atomic<steady_duration::rep> value_{0};
    std::atomic<wall_time::rep> at_{0};
    std::atomic<std::size_t> size_{0};
    std::array<std::atomic<std::uint64_t>, max_trace_id / word_size> words_{};
};

}  // namespace jirapool
