#pragma once

#include "visit.hpp"

#include <jirapool/mock/scenes.hpp>
#include <jirapool/mock/world.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

namespace jirapool::mock {

/** Which scenes play now, and for whom. What a scene answers is scenes.hpp's.

    Of several that a request could get, it gets the one that was begun first: scenes of one request each play one after the other.

    @par Threads   Any. A request costs one relaxed load while none plays. */
class stage {
public:
    /// Further ones are refused: a script that forgets to end them must not slow every request.
    static constexpr std::size_t max_playing = 1000;

    explicit stage(world const& w) noexcept : world_(w) {}

    /// nullptr, or why it does not begin.
    char const* play(scene_request const& r);
    void end_all();
    std::size_t playing_count() const;
    /// How many of each play, by scene.
    std::array<std::size_t, scene_count> count_playing() const;

    /// The scene that this request gets, which is counted as played; nullopt: none. After edge::locate and auth::identify.
    std::optional<scene_request> next(visit const& v) {
        if (!is_any_playing_.load(std::memory_order_relaxed)) return std::nullopt;
        return take(v);
    }

private:
    char const* why_unplayable(scene_request const& r) const noexcept;
    std::optional<scene_request> take(visit const& v);
    bool is_for(scene_request const& r, visit const& v) const noexcept;

    world const& world_;
    mutable std::mutex mutex_;
    // In the order they were begun. `times` is what is left.
    std::vector<scene_request> playing_;
    std::atomic<bool> is_any_playing_{false};
};

}  // namespace jirapool::mock
