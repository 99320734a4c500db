#pragma once

#include "wait/clock.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
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
    friend class timer_room;
    /// Already out of the queue: may schedule itself again.
    virtual void on_time() = 0;
    /// The shard stops: nothing is scheduled any more, and nothing will be.
    virtual void on_stop() = 0;
    /// The executor is gone: whoever waits here is never resumed, and must be destroyed.
    virtual void on_abandoned() noexcept {}

    timers* queue_ = nullptr;
    std::uint32_t index_ = 0;
    bool has_room_ = false;
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
    /// The wall clock's word for a steady time of this moment, by a look at it that is a second old at the most: 2 ns, not 30.
    wall_time wall_at(steady_time t) noexcept {
        if (t < looked_ || t - looked_ >= std::chrono::seconds(1)) {
            looked_ = t;
            wall_ = clock_.wall();
        }
        return wall_ + std::chrono::duration_cast<wall_time::duration>(t - looked_);
    }

    /// Sets or moves. steady_time::max() cancels. Once stopped, on_stop is called from in here. Needs no memory when `t` is
    /// scheduled already, has a timer_room, or room was made.
    void set(timed& t, steady_time at);
    /// Room for one more, until anything else is set.
    void make_room() { grow(); }
    void cancel(timed& t) noexcept;

    void stop();
    bool stopped() const noexcept { return stopped_; }
    /// Has the alarm's next ring, which comes at once, call what `on_stop_request` was given. From any thread; needs no memory.
    void request_stop() noexcept;
    void on_stop_request(std::function<void()> f) { on_stop_request_ = std::move(f); }
    /// Destroys everything that waits: the executor is gone.
    void abandon() noexcept;
    std::size_t size() const noexcept { return heap_.size(); }

private:
    friend class timer_room;
    /// With its time beside it: a heap that asked its members would read memory all over the shard.
    struct place {
        steady_time at;
        timed* what;
    };
    void grow();
    void run_due();
    void rearm() noexcept;
    void sift_up(std::size_t i) noexcept;
    void sift_down(std::size_t i) noexcept;
    void put(std::size_t i, place const& p) noexcept;
    void take_out(timed& t) noexcept;

    engine_clock const& clock_;
    std::unique_ptr<alarm> alarm_;
    std::vector<place> heap_;
    std::size_t room_ = 0;  // places that timer_rooms hold for who is not scheduled
    steady_time armed_ = steady_time::max();
    steady_time looked_ = steady_time::max();  // at the wall clock
    wall_time wall_{};
    bool running_ = false;
    bool stopped_ = false;
    std::atomic<bool> stop_requested_{false};
    std::function<void()> on_stop_request_;
};

/// A place in the timers, held for who sets itself where nothing may fail. A member of its owner.
class timer_room {
public:
    timer_room(timers& t, timed& owner);
    ~timer_room();
    timer_room(timer_room const&) = delete;
    timer_room& operator=(timer_room const&) = delete;

private:
    timers& timers_;
    timed& owner_;
};

}  // namespace jirapool::detail
