#pragma once

#include <jirapool/core/outage.hpp>
#include <jirapool/core/time.hpp>

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

namespace jirapool::detail {

/** What was told of each origin and of the token endpoint, by one name for all shards of an engine: what is down for several of them
    is one event. It is asked when something failed, and when it works behind that: the lock costs nothing while all is well.

    @par Threads   Any. */
class outage_book {
public:
    /// May throw bad_alloc.
    outage_news on_failure(std::string const& what, steady_time now) {
        std::lock_guard const lock(mutex_);
        if (known_.size() >= forget_at_) {
            std::erase_if(known_, [now](auto const& k) { return k.second.over(now); });
            forget_at_ = 2 * known_.size() + 16;
        }
        return known_[what].on_failure(now);
    }
    outage_news on_success(std::string const& what, steady_time now) noexcept {
        std::lock_guard const lock(mutex_);
        auto const found = known_.find(what);
        return found == known_.end() ? outage_news::none : found->second.on_success(now);
    }
    /// It was told that it is down, and not yet that it is up.
    bool down(std::string const& what) noexcept {
        std::lock_guard const lock(mutex_);
        auto const found = known_.find(what);
        return found != known_.end() && found->second.down();
    }
    /// Nobody uses it any more.
    void forget(std::string const& what) noexcept {
        std::lock_guard const lock(mutex_);
        known_.erase(what);
    }

private:
    std::mutex mutex_;
    std::unordered_map<std::string, outage> known_;
    std::size_t forget_at_ = 16;  // so many, when next to look for those of which nothing matters any more
};

}  // namespace jirapool::detail
