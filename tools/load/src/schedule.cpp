#include "schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace jirapool::load {

schedule::schedule(double rate, double seconds, mix m, std::size_t connections, unsigned issues, std::uint64_t seed)
    : rate_(rate),
      // 0.3 s at 10 a second are 3 calls, though 0.3 * 10 may be a little less.
      planned_(std::max(std::uint64_t{1}, static_cast<std::uint64_t>(std::floor(rate * seconds + 1e-6)))),
      mix_(m),
      issues_(issues),
      order_(connections),
      random_(seed) {
    std::iota(order_.begin(), order_.end(), 0u);
    for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[draw(i)]);
}

arrival schedule::next() noexcept {
    arrival a;
    a.at = next_at();
    a.connection = order_[made_ % order_.size()];
    a.what = mix_.pick(static_cast<unsigned>(draw(mix_.total())));
    a.issue = 1 + static_cast<unsigned>(draw(issues_));
    ++made_;
    return a;
}

std::uint64_t schedule::due(std::chrono::nanoseconds elapsed) const noexcept {
    if (elapsed < std::chrono::nanoseconds{0}) return 0;
    auto const seconds = std::chrono::duration<double>(elapsed).count();
    return std::min(planned_, static_cast<std::uint64_t>(seconds * rate_) + 1);
}

std::chrono::nanoseconds schedule::time_of(std::uint64_t number) const noexcept {
    return std::chrono::nanoseconds{std::llround(static_cast<double>(number) * 1e9 / rate_)};
}

// Unlike the standard's distributions this is the same everywhere. The bias is below 1e-9 for what is drawn here.
std::uint64_t schedule::draw(std::uint64_t n) noexcept { return (random_() >> 32) * n >> 32; }

}  // namespace jirapool::load
