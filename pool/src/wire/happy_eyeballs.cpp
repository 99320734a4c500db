#include "wire/happy_eyeballs.hpp"

namespace jirapool::detail {

happy_eyeballs::happy_eyeballs(std::vector<family> const& addresses, steady_duration attempt_delay)
    : attempt_delay_(attempt_delay) {
    if (addresses.empty()) return;
    auto const first = addresses.front();
    std::size_t same = 0;
    std::size_t other = 0;
    bool turn_of_first = true;
    while (order_.size() < addresses.size()) {
        auto& at = turn_of_first ? same : other;
        while (at < addresses.size() && (addresses[at] == first) != turn_of_first) ++at;
        if (at < addresses.size()) order_.push_back(at++);
        turn_of_first = !turn_of_first;
    }
}

happy_eyeballs::decision happy_eyeballs::next(steady_time now) noexcept {
    if (started_ < order_.size() && (under_way_ == 0 || now >= next_at_)) {
        ++under_way_;
        next_at_ = later(now, attempt_delay_);
        return {decision::kind::start, order_[started_++], {}};
    }
    if (under_way_ == 0) return {};
    return {decision::kind::wait, 0, started_ < order_.size() ? next_at_ : steady_time::max()};
}

void happy_eyeballs::on_failed() noexcept {
    --under_way_;
    next_at_ = steady_time::min();
}

}  // namespace jirapool::detail
