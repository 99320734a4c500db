#pragma once

#include "engine/origin_pool.hpp"
#include "engine/shard_context.hpp"

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

namespace jirapool::detail {

/** The origins of one shard: a pool of channels for each host. */
class origin_directory {
public:
    explicit origin_directory(std::shared_ptr<shard_context> c) noexcept : context_(std::move(c)) {}

    /// May throw bad_alloc.
    std::shared_ptr<origin_pool> at(std::string const& host);
    /// Lets go of those that no connection uses any more.
    void forget_unused() noexcept;
    /// Closes what is idle; nothing is dialled any more.
    void stop() noexcept;
    /// The executor's context is gone: nothing more is asked of this.
    void abandon() noexcept {
        origins_.clear();
        context_.reset();
    }

private:
    std::shared_ptr<shard_context> context_;
    std::unordered_map<std::string, std::shared_ptr<origin_pool>> origins_;  // by host
};

}  // namespace jirapool::detail
