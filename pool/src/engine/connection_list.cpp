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
    count(e->kind, e->health.load().condition(), 1);
}

std::shared_ptr<connection_state> connection_list::leave(connection_entry& e) {
    auto s = std::exchange(e.state, nullptr);
    if (e.token) e.token->retire();
    stats_->connections[static_cast<std::size_t>(e.kind)].add(-1);
    count(e.kind, e.health.load().condition(), -1);
    entries_.back()->slot = e.slot;
    std::swap(entries_[e.slot], entries_.back());
    entries_.pop_back();  // the last: it may be what keeps e
    return s;
}

void connection_list::count_condition(connection_entry const& e, connection_condition from,
                                      connection_condition to) noexcept {
    if (from == to || !has(e)) return;
    count(e.kind, from, -1);
    count(e.kind, to, 1);
}

void connection_list::count(connection_kind k, connection_condition c, int n) noexcept {
    auto const kind = static_cast<std::size_t>(k);
    stats_->conditions[kind][static_cast<std::size_t>(c)].add(n);
    if (c == connection_condition::credential_rejected) stats_->credentials_refused[kind].add(n);
}

}  // namespace jirapool::detail
