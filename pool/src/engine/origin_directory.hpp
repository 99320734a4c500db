#pragma once

#include "engine/origin_pool.hpp"
#include "engine/shard_context.hpp"

#include <memory>
#include <string>
#include <unordered_map>

namespace jirapool::detail {

/** The origins of one shard: a pool of channels for each host. */
class origin_directory {
public:
    /// May throw bad_alloc.
    std::shared_ptr<origin_pool> at(std::string const& host, std::shared_ptr<shard_context> const& c);
    /// Lets go of those that no connection uses any more.
    void forget_unused(shard_context& c) noexcept;
    /// Closes what is idle; nothing is dialled any more.
    void stop() noexcept;
    void clear() noexcept { origins_.clear(); }

private:
    std::unordered_map<std::string, std::shared_ptr<origin_pool>> origins_;  // by host
};

}  // namespace jirapool::detail
