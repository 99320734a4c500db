#include "stage.hpp"

#include "scenes.hpp"

#include <algorithm>

namespace jirapool::mock {

char const* stage::play(scene_request const& r) {
    if (char const* const problem = why_unplayable(r)) return problem;
    std::lock_guard const lock(mutex_);
    if (playing_.size() >= max_playing) return "at most 1000 scenes play at a time";
    playing_.push_back(r);
    is_any_playing_.store(true, std::memory_order_relaxed);
    return nullptr;
}

void stage::end_all() {
    std::lock_guard const lock(mutex_);
    playing_.clear();
    is_any_playing_.store(false, std::memory_order_relaxed);
}

std::size_t stage::playing_count() const {
    std::lock_guard const lock(mutex_);
    return playing_.size();
}

std::array<std::size_t, scene_count> stage::count_playing() const {
    std::array<std::size_t, scene_count> counts{};
    std::lock_guard const lock(mutex_);
    for (scene_request const& r : playing_) ++counts[static_cast<std::size_t>(r.what)];
    return counts;
}

char const* stage::why_unplayable(scene_request const& r) const noexcept {
    if (char const* const problem = why_invalid(r)) return problem;
    if (r.site && *r.site >= world_.sites().size()) return "scene_request::site must be an index into world::sites()";
    if (!r.connection) return nullptr;
    if (*r.connection >= world_.connections().size()) {
        return "scene_request::connection must be an index into world::connections()";
    }
    // What follows could never be played, and whoever waits for it would not learn why.
    connection_info const& c = world_.connections()[*r.connection];
    if (r.site && *r.site != c.site) return "scene_request::site must be the connection's";
    if (place_of(r.what) == scene_place::token_endpoint && c.kind != connection_kind::oauth) {
        return "scene_request::connection must be an OAuth connection: no other asks the token endpoint";
    }
    return nullptr;
}

std::optional<scene_request> stage::take(visit const& v) {
    std::lock_guard const lock(mutex_);
    auto const it = std::find_if(playing_.begin(), playing_.end(),
                                 [&](scene_request const& r) { return is_for(r, v); });
    if (it == playing_.end()) return std::nullopt;
    scene_request const found = *it;
    if (it->times && --*it->times == 0) {
        playing_.erase(it);
        if (playing_.empty()) is_any_playing_.store(false, std::memory_order_relaxed);
    }
    return found;
}

bool stage::is_for(scene_request const& r, visit const& v) const noexcept {
    std::optional<std::size_t> site = v.where.site;
    std::optional<std::size_t> connection = v.shown.connection;
    bool const is_api = v.where.kind == host_kind::site || v.where.kind == host_kind::gateway;
    switch (place_of(r.what)) {
    case scene_place::jira:
        if (!is_api || v.match.id == route::tenant_info) return false;
        break;
    case scene_place::edge:
        if (!is_api) return false;
        break;
    case scene_place::token_endpoint:
        if (v.match.id != route::token_exchange) return false;
        connection = v.client;
        if (connection) site = world_.connections()[*connection].site;
        break;
    }
    return (!r.site || r.site == site) && (!r.connection || r.connection == connection);
}

}  // namespace jirapool::mock
