#pragma once

#include "wait/clock.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

namespace jirapool::sim {

/** Virtual time: what happens when nothing is ready is that the clock jumps to the next event.

    Handlers that are ready run at one instant, in the order in which they were posted; so a seed gives one history. */
class scheduler {
public:
    scheduler() = default;
    scheduler(scheduler const&) = delete;
    scheduler& operator=(scheduler const&) = delete;

    boost::asio::io_context& context() noexcept { return io_; }
    detail::engine_clock const& clock() const noexcept { return clock_; }
    steady_time now() const noexcept { return clock_.at; }

    void at(steady_time t, std::function<void()> what) {
        events_.push({std::max(t, clock_.at), next_++, std::move(what)});
    }

    /// Runs everything until `end`, or until nothing is left to happen.
    void run_until(steady_time end) {
        for (;;) {
            while (io_.poll() > 0) io_.restart();
            io_.restart();
            if (after_event) after_event();
            if (events_.empty() || events_.top().at > end) break;
            auto const what = std::move(const_cast<event&>(events_.top()).what);
            clock_.at = std::max(clock_.at, events_.top().at);
            events_.pop();
            ++count_;
            what();
        }
        clock_.at = std::max(clock_.at, end);
    }

    /// The machine sleeps: time goes on (CLOCK_BOOTTIME), and whatever was due in it happens late, at its end.
    void sleep(steady_duration d) noexcept { clock_.at += d; }
    /// Somebody sets the wall clock.
    void step_wall_clock(steady_duration d) noexcept { clock_.wall_offset += d; }

    std::uint64_t events() const noexcept { return count_; }
    std::size_t armed() const noexcept { return armed_; }
    /// Runs when all that was ready at an instant has run.
    std::function<void()> after_event;

    /// The engine's alarm in this time.
    std::unique_ptr<detail::alarm> make_alarm() { return std::make_unique<virtual_alarm>(*this); }

private:
    struct event {
        steady_time at;
        std::uint64_t order;
        std::function<void()> what;
        bool operator<(event const& o) const noexcept { return at != o.at ? at > o.at : order > o.order; }
    };

    class virtual_clock final : public detail::engine_clock {
    public:
        steady_time now() const noexcept override { return at; }
        wall_time wall() const noexcept override {
            return wall_time(
                std::chrono::duration_cast<std::chrono::milliseconds>((at + wall_offset).time_since_epoch()));
        }
        steady_time at{std::chrono::hours(500'000)};  // the wall clock's 2027
        steady_duration wall_offset{};
    };

    class virtual_alarm final : public detail::alarm {
    public:
        explicit virtual_alarm(scheduler& s) : scheduler_(s) {}
        ~virtual_alarm() override { disarm(); }
        void arm(steady_time at) noexcept override {
            disarm();
            current_ = std::make_shared<bool>(true);
            ++scheduler_.armed_;
            scheduler_.at(at, [this, mine = current_] {
                if (!*mine) return;
                disarm();
                if (on_ring) on_ring();
            });
        }
        void disarm() noexcept override {
            if (!current_) return;
            *current_ = false;
            current_ = nullptr;
            --scheduler_.armed_;
        }

    private:
        scheduler& scheduler_;
        std::shared_ptr<bool> current_;
    };

    boost::asio::io_context io_{1};
    virtual_clock clock_;
    std::priority_queue<event> events_;
    std::uint64_t next_ = 0;
    std::uint64_t count_ = 0;
    std::size_t armed_ = 0;
};

}  // namespace jirapool::sim
