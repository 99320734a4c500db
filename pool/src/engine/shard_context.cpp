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

void shard_context::report_http1(std::string const& host) const {
    event e{event::kind::http1_instead,
            {},
            "it breaks the rules of HTTP/2 or asks for HTTP/1.1, which is spoken for ten minutes"};
    e.scope = host;
    report(std::move(e));
}

void shard_context::tell_scopes(std::string_view connection, std::string_view scopes) const noexcept {
    if (!params->on_token_scopes) return;
    try {
        params->on_token_scopes(connection, scopes);
    } catch (...) {
        return;  // as above
    }
}

}  // namespace jirapool::detail
