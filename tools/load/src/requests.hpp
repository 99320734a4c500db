#pragma once

#include "schedule.hpp"

#include <jirapool/core/request.hpp>

#include <chrono>
#include <cstdint>

namespace jirapool::load {

/// What a planned call sends. `number` tells the texts that are written apart.
request make_request(arrival const& a, std::uint64_t number, std::chrono::milliseconds timeout);

}  // namespace jirapool::load
