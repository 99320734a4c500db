#pragma once

#include <jirapool/core/stats.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace jirapool::detail {

/** The calls of the sites that a shard follows, a track for each, and of all others together. There are as many tracks as metrics show
    sites, and not one for each site: there may be a million.

    @par Threads   Its shard's. */
class site_tracks {
public:
    /// A site's track. 0: it has none, and its calls are the others'.
    using track = std::uint8_t;

    /// May throw bad_alloc. More than 255 are 255.
    explicit site_tracks(std::size_t most) : calls_(std::min<std::size_t>(most, 255) + 1), taken_(calls_.size()) {
        taken_[0] = true;
    }

    void count(track t, call_fault f) noexcept { ++calls_[t][static_cast<std::size_t>(f)]; }
    calls_by_fault const& calls(track t) const noexcept { return calls_[t]; }

    /// A free one, begun anew; 0: there is none.
    track take() noexcept {
        for (std::size_t t = 1; t < taken_.size(); ++t) {
            if (taken_[t]) continue;
            taken_[t] = true;
            calls_[t] = {};
            return static_cast<track>(t);
        }
        return 0;
    }
    void free(track t) noexcept {
        if (t != 0) taken_[t] = false;
    }
    std::size_t most() const noexcept { return taken_.size() - 1; }

private:
    std::vector<calls_by_fault> calls_;
    std::vector<bool> taken_;
};

}  // namespace jirapool::detail
