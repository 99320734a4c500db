#include "engine/connection_list.hpp"

namespace jirapool::detail {

void connection_list::make_room() {
    if (entries_.size() == entries_.capacity()) entries_.reserve(2 * entries_.size() + 16);
}

void connection_list::enter(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s) {
    e->state = std::move(s);
    e->slot = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back(e);
    stats_->connections[static_cast<std::size_t>(e->kind)].add(1);
}

std::shared_ptr<connection_state> connection_list::leave(connection_entry& e) {
    auto s = std::exchange(e.state, nullptr);
    if (e.token) e.token->retire();
    stats_->connections[static_cast<std::size_t>(e.kind)].add(-1);
    entries_.back()->slot = e.slot;
    std::swap(entries_[e.slot], entries_.back());
    entries_.pop_back();  // the last: it may be what keeps e
    return s;
}

void connection_list::note_refused(std::string const& id, bool refused) {
    if (refused) refused_.insert(id);
    else refused_.erase(id);
    stats_->credentials_refused.set(static_cast<std::int64_t>(refused_.size()));
}

}  // namespace jirapool::detail
