#include "pacer.hpp"

#include "requests.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>

namespace jirapool::load {

using namespace std::chrono_literals;

/// Where a call ends: on its shard's thread.
class pacer::call_end {
public:
    call_end(arrival const& a, load_clock::time_point planned_at, load_clock::time_point began, recorders& results,
             std::shared_ptr<std::atomic<std::uint64_t>> in_flight)
        : what_(a.what),
          connection_(a.connection),
          planned_at_(planned_at),
          began_(began),
          results_(&results),
          in_flight_(std::move(in_flight)) {}

    void operator()(result<response> r) {
        auto const now = load_clock::now();
        results_->add(what_, r, now - planned_at_, now - began_, connection_);
        in_flight_->fetch_sub(1, std::memory_order_release);
    }

private:
    operation what_;
    std::size_t connection_;
    load_clock::time_point planned_at_;
    load_clock::time_point began_;
    recorders* results_;
    std::shared_ptr<std::atomic<std::uint64_t>> in_flight_;
};

pacer::pacer(schedule plan, std::vector<connection> connections, settings s, recorders& results)
    : plan_(std::move(plan)),
      connections_(std::move(connections)),
      settings_(s),
      results_(&results),
      began_(load_clock::now()),
      thread_([this] { run(); }) {}

pacer::~pacer() { stop(); }

void pacer::stop() {
    stopping_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
}

void pacer::run() {
    // By default the kernel may wake us 50 us late to save wake-ups.
    ::prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
    while (!plan_.done() && sleep_until(began_ + plan_.next_at())) {
        auto const a = plan_.next();
        begin_call(a, began_ + a.at);
    }
    elapsed_ = load_clock::now() - began_;
    if (plan_.done()) {
        planned_ = plan_.planned();
    } else {
        // Those that were due already but not begun in time are not forgotten.
        planned_ = std::max(plan_.due(elapsed_), sent_.value() + unsent_.value());
        unsent_.add(planned_ - sent_.value() - unsent_.value());
    }
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    auto const seconds = [](timeval const& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    cpu_seconds_ = seconds(used.ru_utime) + seconds(used.ru_stime);
    ended_.store(true, std::memory_order_release);
}

void pacer::begin_call(arrival const& a, load_clock::time_point planned_at) {
    if (in_flight_->load(std::memory_order_relaxed) >= settings_.max_in_flight) {
        unsent_.add();
        return;
    }
    auto r = make_request(a, sent_.value(), settings_.timeout);
    auto const now = load_clock::now();
    lateness_.record(now - planned_at);
    in_flight_->fetch_add(1, std::memory_order_relaxed);
    sent_.add();
    call_end end(a, planned_at, now, *results_, in_flight_);
    connections_[a.connection].async_call(std::move(r), std::move(end));
}

/// False when it is time to stop instead.
bool pacer::sleep_until(load_clock::time_point t) const noexcept {
    for (;;) {
        if (stopping_.load(std::memory_order_relaxed)) return false;
        auto const now = load_clock::now();
        if (now >= t) return true;
        // A stop is seen in 20 ms, however far the next call is.
        auto const wake = std::min(t, now + 20ms).time_since_epoch();
        auto const whole = std::chrono::floor<std::chrono::seconds>(wake);
        timespec const until{static_cast<time_t>(whole.count()),
                             static_cast<long>(std::chrono::nanoseconds(wake - whole).count())};
        ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    }
}

}  // namespace jirapool::load
