#include "wait/timers.hpp"

#include <algorithm>
#include <utility>

namespace jirapool::detail {

namespace {

// The alarm is armed even when nothing is due.
constexpr auto idle_alarm = std::chrono::hours(24);

}  // namespace

timed::~timed() {
    if (queue_ != nullptr) queue_->cancel(*this);
}

timers::timers(engine_clock const& clock, std::unique_ptr<alarm> a) : clock_(clock), alarm_(std::move(a)) {
    alarm_->on_ring = [this] { run_due(); };
    rearm();
}

timers::~timers() {
    for (auto const& p : heap_) p.what->queue_ = nullptr;
}

void timers::put(std::size_t i, place const& p) noexcept {
    heap_[i] = p;
    p.what->index_ = static_cast<std::uint32_t>(i);
}

void timers::sift_up(std::size_t i) noexcept {
    auto const moved = heap_[i];
    while (i > 0) {
        auto const parent = (i - 1) / 2;
        if (heap_[parent].at <= moved.at) break;
        put(i, heap_[parent]);
        i = parent;
    }
    put(i, moved);
}

void timers::sift_down(std::size_t i) noexcept {
    auto const moved = heap_[i];
    for (;;) {
        auto child = 2 * i + 1;
        if (child >= heap_.size()) break;
        if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
        if (moved.at <= heap_[child].at) break;
        put(i, heap_[child]);
        i = child;
    }
    put(i, moved);
}

void timers::take_out(timed& t) noexcept {
    auto const i = t.index_;
    auto const last = heap_.back();
    heap_.pop_back();
    if (t.has_room_) ++room_;
    t.queue_ = nullptr;
    if (last.what == &t) return;
    put(i, last);
    sift_up(i);
    sift_down(last.what->index_);
}

void timers::grow() {
    auto const needed = heap_.size() + room_ + 1;
    if (heap_.capacity() < needed) heap_.reserve(std::max(needed, 2 * heap_.capacity()));
}

timer_room::timer_room(timers& t, timed& owner) : timers_(t), owner_(owner) {
    t.grow();
    owner.has_room_ = true;
    if (owner.queue_ == nullptr) ++t.room_;
}

timer_room::~timer_room() {
    owner_.has_room_ = false;
    if (owner_.queue_ == nullptr) --timers_.room_;
}

void timers::set(timed& t, steady_time at) {
    if (stopped_) {
        t.on_stop();
        return;
    }
    if (at == steady_time::max()) {
        cancel(t);
        return;
    }
    if (t.queue_ != nullptr) {
        heap_[t.index_].at = at;
        sift_up(t.index_);
        sift_down(t.index_);
    } else {
        if (!t.has_room_) grow();  // not into a place that is held
        heap_.push_back({at, &t});
        if (t.has_room_) --room_;
        t.queue_ = this;
        t.index_ = static_cast<std::uint32_t>(heap_.size() - 1);
        sift_up(t.index_);
    }
    // An alarm that is too early costs one look; moving it for each cancelled deadline would cost a system call per call.
    if (!running_ && at < armed_) rearm();
}

void timers::cancel(timed& t) noexcept {
    if (t.queue_ != nullptr) take_out(t);
}

void timers::run_due() {
    if (stopped_) return;
    if (stop_requested_) {
        // Moved out, as it may end the timers' last owner.
        auto const stop_all = std::move(on_stop_request_);
        if (stop_all) stop_all();
        return;
    }
    running_ = true;
    armed_ = steady_time::max();
    auto const now = clock_.now();
    // Also when one of them throws, as a coroutine of the user's may: the others still wait for their times.
    class at_end {
    public:
        explicit at_end(timers& t) noexcept : timers_(t) {}
        ~at_end() {
            timers_.running_ = false;
            if (!timers_.stopped_) timers_.rearm();
        }
        at_end(at_end const&) = delete;
        at_end& operator=(at_end const&) = delete;

    private:
        timers& timers_;
    } const rearming(*this);
    while (!heap_.empty() && heap_.front().at <= now) {
        auto& t = *heap_.front().what;
        take_out(t);
        t.on_time();
    }
}

void timers::rearm() noexcept {
    armed_ = heap_.empty() ? clock_.now() + idle_alarm : heap_.front().at;
    alarm_->arm(armed_);
    // The request may have armed it just before.
    if (stop_requested_) alarm_->arm(clock_.now());
}

void timers::request_stop() noexcept {
    stop_requested_ = true;
    alarm_->arm(clock_.now());
}

void timers::stop() {
    if (std::exchange(stopped_, true)) return;
    alarm_->disarm();
    while (!heap_.empty()) {
        auto& t = *heap_.back().what;
        take_out(t);
        t.on_stop();
    }
}

void timers::abandon() noexcept {
    stopped_ = true;
    while (!heap_.empty()) {
        auto& t = *heap_.back().what;
        take_out(t);
        t.on_abandoned();
    }
}

}  // namespace jirapool::detail
