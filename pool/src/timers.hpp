#pragma once

#include "clock.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace jirapool::detail {

class timers;

/// Something that happens at a time unless it is cancelled. Embedded in its owner; leaves its queue when destroyed.
class timed {
public:
    timed() = default;
    timed(timed const&) = delete;
    timed& operator=(timed const&) = delete;

    bool scheduled() const noexcept { return queue_ != nullptr; }

protected:
    virtual ~timed();

private:
    friend class timers;
    /// Already out of the queue: may schedule itself again.
    virtual void on_time() = 0;
    /// The shard stops: nothing is scheduled any more, and nothing will be.
    virtual void on_stop() = 0;
    /// The executor is gone: whoever waits here is never resumed, and must be destroyed.
    virtual void on_abandoned() noexcept {}

    timers* queue_ = nullptr;
    std::size_t index_ = 0;
    steady_time at_{};
};

/** Everything of a shard that waits for a time: a heap over one alarm, so that a call arms no timer of its own.

    Also the register of who waits at all, as every wait has a deadline: `stop` reaches all of them. */
class timers {
public:
    timers(engine_clock const& clock, std::unique_ptr<alarm> a);
    ~timers();
    timers(timers const&) = delete;
    timers& operator=(timers const&) = delete;

    steady_time now() const noexcept { return clock_.now(); }
    wall_time wall() const noexcept { return clock_.wall(); }

    /// Sets or moves. steady_time::max() cancels. Once stopped, on_stop is called from in here.
    void set(timed& t, steady_time at);
    void cancel(timed& t) noexcept;

    void stop();
    bool stopped() const noexcept { return stopped_; }
    /// Destroys everything that waits: the executor is gone.
    void abandon() noexcept;
    /// Who calls `abandon` then, and keeps the timers alive meanwhile.
    void on_abandoned(std::function<void()> f) { alarm_->on_abandoned = std::move(f); }
    std::size_t size() const noexcept { return heap_.size(); }

private:
    void run_due();
    void rearm();
    void sift_up(std::size_t i) noexcept;
    void sift_down(std::size_t i) noexcept;
    void place(std::size_t i, timed* t) noexcept;
    void take_out(timed& t) noexcept;

    engine_clock const& clock_;
    std::unique_ptr<alarm> alarm_;
    std::vector<timed*> heap_;
    steady_time armed_ = steady_time::max();
    bool running_ = false;
    bool stopped_ = false;
};

}  // namespace jirapool::detail
