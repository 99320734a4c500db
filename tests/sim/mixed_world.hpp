#pragma once

#include "engine_world.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace jirapool::sim {

/// What became of a world.
struct history {
    std::uint64_t seed = 0;
    std::uint64_t trace = 0;
    std::uint64_t events = 0;
    std::uint64_t refreshes = 0;
    engine_world::outcome totals;
    std::vector<std::string> violations;
};

/** A world in which everything that the model knows goes wrong, how much of each drawn from the seed: faults of every layer,
    all kinds of connections, secrets replaced, connections removed and added again, calls cancelled at any moment, the wall
    clock set by an hour, and a night's sleep. Unless `http` is http1, channels carry several exchanges, now more, now less, and
    servers end them while they do. Some sites are reached under two names, which are told late, or falsely. `calls_per_second` over all sites. */
history run_mixed_world(std::uint64_t seed, std::size_t sites, steady_duration length, double calls_per_second,
                        http_versions http = http_versions::http1);

/** A world of sites that are reached under two names, which the client learns late, falsely, or anew while it is told of pauses:
    whatever a connection was told, it knows under each of its site's names. */
history run_naming_world(std::uint64_t seed);

/// JIRAPOOL_SIM_SEED, when that is set; else fresh ones.
std::vector<std::uint64_t> seeds(std::size_t count);

}  // namespace jirapool::sim
