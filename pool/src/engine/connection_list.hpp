#pragma once

#include "engine/connection_entry.hpp"

#include <jirapool/core/stats.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace jirapool::detail {

/// The connections that have their state in one shard.
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

    /// The state of one of them changed.
    void count_condition(connection_entry const& e, connection_condition from, connection_condition to) noexcept;

private:
    void count(connection_kind k, connection_condition c, int n) noexcept;
    bool has(connection_entry const& e) const noexcept {
        return e.slot < entries_.size() && entries_[e.slot].get() == &e;
    }

    std::shared_ptr<shard_stats> const stats_;
    std::vector<std::shared_ptr<connection_entry>> entries_;
};

}  // namespace jirapool::detail
