#include <jirapool/core/delivery_queue.hpp>

#include <algorithm>
#include <utility>

namespace jirapool {

void delivery_queue::drop_oldest() noexcept {
    waiting_.pop_front();
    ++dropped_;
}

void delivery_queue::push(delivery d) {
    if (most_ == 0) {
        ++dropped_;
        return;
    }
    waiting_.push_back(std::move(d));
    if (waiting_.size() > most_) drop_oldest();
}

delivery const* delivery_queue::begin(steady_time now) noexcept {
    if (!sent_.empty() || waiting_.empty() || now < due_) return nullptr;
    sent_.splice(sent_.begin(), waiting_, waiting_.begin());
    return &sent_.front();
}

steady_time delivery_queue::due() const noexcept {
    return !sent_.empty() || waiting_.empty() ? steady_time::max() : due_;
}

void delivery_queue::on_delivered() noexcept {
    sent_.clear();
    ++delivered_;
    in_a_row_ = 0;
    due_ = steady_time::min();
}

void delivery_queue::on_failed(steady_time now, std::optional<std::chrono::seconds> retry_after,
                               random_engine& random) noexcept {
    auto const half = saturated(doubled(backoff_, in_a_row_, backoff_max_)) / 2;
    auto const jitter = steady_duration(static_cast<steady_duration::rep>(uniform(random) *
                                                                          static_cast<double>(half.count())));
    auto const told = std::min(saturated(retry_after.value_or(std::chrono::seconds(0))), saturated(backoff_max_));
    due_ = later(now, std::max(saturated_sum(half, jitter), told));
    ++failed_tries_;
    if (in_a_row_ < 100) ++in_a_row_;
    ++sent_.front().failed;
    waiting_.splice(waiting_.begin(), sent_);
    // Behind as many as may wait it is the oldest.
    if (waiting_.size() > most_) drop_oldest();
}

void delivery_queue::close() noexcept {
    most_ = 0;
    while (!waiting_.empty()) drop_oldest();
}

}  // namespace jirapool
