#pragma once

#include "latency_histogram.hpp"
#include "recorder.hpp"
#include "schedule.hpp"

#include <jirapool/pool/client.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace jirapool::load {

using load_clock = std::chrono::steady_clock;

/** A thread that begins each call of a schedule when its time has come, and never waits for one to end.

    @par Threads   Any for the counts; stop() and the destructor from one at a time.
    @par Lifetime  `results` must outlive the connections' client: calls under way end there. */
class pacer {
public:
    struct settings {
        std::chrono::milliseconds timeout{};
        std::uint64_t max_in_flight = 0;
    };

    /// Starts at once: the first call is due now.
    pacer(schedule plan, std::vector<connection> connections, settings s, recorders& results);
    pacer(pacer const&) = delete;
    pacer& operator=(pacer const&) = delete;
    /// As stop().
    ~pacer();

    /// No call begins after it returned. What is under way goes on.
    void stop();

    load_clock::time_point began() const noexcept { return began_; }
    /// All calls were begun, or stop() was called and seen.
    bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
    /// What passed until then. Precondition: ended().
    std::chrono::nanoseconds elapsed() const noexcept { return elapsed_; }
    /// Calls that were due until then. Precondition: ended().
    std::uint64_t planned() const noexcept { return planned_; }
    double cpu_seconds() const noexcept { return cpu_seconds_; }  ///< Precondition: ended().

    std::uint64_t sent() const noexcept { return sent_.value(); }
    std::uint64_t unsent() const noexcept { return unsent_.value(); }
    std::uint64_t in_flight() const noexcept { return in_flight_->load(std::memory_order_acquire); }
    latency_histogram const& lateness() const noexcept { return lateness_; }

private:
    class call_end;
    void run();
    void begin_call(arrival const& a, load_clock::time_point planned_at);
    bool sleep_until(load_clock::time_point t) const noexcept;

    schedule plan_;
    std::vector<connection> connections_;
    settings settings_;
    recorders* results_;
    load_clock::time_point began_;
    counter sent_;
    counter unsent_;
    // Shared with the calls: they may end after us.
    std::shared_ptr<std::atomic<std::uint64_t>> in_flight_ = std::make_shared<std::atomic<std::uint64_t>>(0);
    latency_histogram lateness_;
    std::chrono::nanoseconds elapsed_{};
    std::uint64_t planned_ = 0;
    double cpu_seconds_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> ended_{false};
    std::thread thread_;
};

}  // namespace jirapool::load
