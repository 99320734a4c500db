#include "http2_script.hpp"

namespace jirapool::mock {

char const* http2_script::play(http2_fault_request const& r) {
    if (char const* const problem = why_invalid(r)) return problem;
    std::lock_guard const lock(mutex_);
    if (playing_.size() >= max_playing) return "at most 1000 faults of HTTP/2 play at a time";
    playing_.push_back({r, 0});
    is_any_playing_.store(true, std::memory_order_relaxed);
    return nullptr;
}

void http2_script::end_all() {
    std::lock_guard const lock(mutex_);
    playing_.clear();
    is_any_playing_.store(false, std::memory_order_relaxed);
}

std::array<std::size_t, http2_fault_count> http2_script::count_playing() const {
    std::array<std::size_t, http2_fault_count> counts{};
    std::lock_guard const lock(mutex_);
    for (playing const& p : playing_) ++counts[static_cast<std::size_t>(p.request.step.what)];
    return counts;
}

std::optional<http2_step> http2_script::take() {
    std::lock_guard const lock(mutex_);
    for (auto it = playing_.begin(); it != playing_.end(); ++it) {
        if (++it->seen % it->request.every != 0) continue;
        http2_step const found = it->request.step;
        if (it->request.times && --*it->request.times == 0) {
            playing_.erase(it);
            if (playing_.empty()) is_any_playing_.store(false, std::memory_order_relaxed);
        }
        return found;
    }
    return std::nullopt;
}

}  // namespace jirapool::mock
