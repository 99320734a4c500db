#pragma once

#include "engine/connection_entry.hpp"

#include <jirapool/core/stats.hpp>

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace jirapool::detail {

/** The connections that have their state in one shard, and of them those whose credential is refused. */
class connection_list {
public:
    explicit connection_list(std::shared_ptr<shard_stats> s) noexcept : stats_(std::move(s)) {}

    /// May throw bad_alloc; the next `enter` does not then.
    void make_room();
    void enter(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s);
    /// Its token is renewed no more. @return the state that it had.
    std::shared_ptr<connection_state> leave(connection_entry& e);

    std::vector<std::shared_ptr<connection_entry>> const& all() const noexcept { return entries_; }
    /// Precondition: it has entered.
    std::shared_ptr<connection_entry> const& holder_of(connection_entry const& e) const noexcept {
        return entries_[e.slot];
    }

    /// May throw bad_alloc.
    void note_refused(std::string const& id, bool refused);

private:
    std::shared_ptr<shard_stats> const stats_;
    std::vector<std::shared_ptr<connection_entry>> entries_;
    std::unordered_set<std::string> refused_;  // ids
};

}  // namespace jirapool::detail
