#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <cstdint>
#include <random>

namespace jirapool {

/// The generator of one shard: seeded once from the operating system, or by a test. Not thread-safe.
using random_engine = std::mt19937_64;

/// Uniform in [0, 1). Our own arithmetic instead of std::uniform_real_distribution, whose results differ between
/// standard libraries: a seed must replay the same everywhere.
inline double uniform(random_engine& random) noexcept { return static_cast<double>(random() >> 11) * 0x1.0p-53; }

/// Uniform in [low, high).
inline double uniform(random_engine& random, double low, double high) noexcept {
    return low + (high - low) * uniform(random);
}

}  // namespace jirapool
