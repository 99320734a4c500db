#include "engine/shard_context.hpp"

namespace jirapool::detail {

void shard_context::report(event e) const noexcept {
    stats->events[static_cast<std::size_t>(e.what)].add();
    if (!params->on_event) return;
    e.at = clock.wall();
    try {
        params->on_event(e);
    } catch (...) {
        // The user's, who was asked not to throw: nothing of a shard may end because of it.
        return;
    }
}

}  // namespace jirapool::detail
