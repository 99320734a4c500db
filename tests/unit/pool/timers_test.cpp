#include "support/catch.hpp"

#include "wait/timers.hpp"

#include <jirapool/core/random.hpp>

#include <deque>
#include <optional>
#include <vector>

using namespace jirapool;
using namespace jirapool::detail;
using namespace std::chrono_literals;

namespace {

class hand_clock final : public engine_clock {
public:
    steady_time now() const noexcept override { return at; }
    wall_time wall() const noexcept override { return {}; }
    steady_time at{1000h};
};

struct hand_alarm final : alarm {
    void arm(steady_time t) noexcept override {
        at = t;
        ++armed;
    }
    void disarm() noexcept override { at = steady_time::max(); }
    steady_time at = steady_time::max();
    int armed = 0;
};

struct fixture {
    fixture() {
        auto a = std::make_unique<hand_alarm>();
        alarm = a.get();
        queue.emplace(clock, std::move(a));
    }
    /// Lets time pass; the alarm rings when it should.
    void pass(steady_duration d) {
        auto const end = clock.at + d;
        while (alarm->at <= end) {
            clock.at = std::max(clock.at, alarm->at);
            alarm->on_ring();
        }
        clock.at = end;
    }
    hand_clock clock;
    hand_alarm* alarm = nullptr;
    std::optional<timers> queue;
};

struct entry final : timed {
    explicit entry(fixture& f, std::vector<entry*>& log) : owner(f), rang(log) {}
    void on_time() override {
        rang.push_back(this);
        when = owner.clock.now();
    }
    void on_stop() override { stopped = true; }
    fixture& owner;
    std::vector<entry*>& rang;
    steady_time when{};
    bool stopped = false;
};

}  // namespace

TEST_CASE("timers: each rings at its time, in order of time") {
    fixture f;
    std::vector<entry*> log;
    entry a(f, log), b(f, log), c(f, log);
    auto const t0 = f.clock.at;
    f.queue->set(a, t0 + 3s);
    f.queue->set(b, t0 + 1s);
    f.queue->set(c, t0 + 2s);
    f.pass(10s);
    CHECK(log == std::vector<entry*>{&b, &c, &a});
    CHECK(b.when == t0 + 1s);
    CHECK(a.when == t0 + 3s);
}

TEST_CASE("timers: moved and cancelled entries keep to the last word") {
    fixture f;
    std::vector<entry*> log;
    entry a(f, log), b(f, log);
    auto const t0 = f.clock.at;
    f.queue->set(a, t0 + 1s);
    f.queue->set(a, t0 + 5s);
    f.queue->set(b, t0 + 2s);
    f.queue->cancel(b);
    f.pass(4s);
    CHECK(log.empty());
    f.pass(1s);
    CHECK(log == std::vector<entry*>{&a});
}

TEST_CASE("timers: a deadline that is set and cancelled per call does not move the alarm each time") {
    fixture f;
    std::vector<entry*> log;
    entry first(f, log), a(f, log);
    f.queue->set(first, f.clock.at + 10s);
    auto const armed = f.alarm->armed;
    for (int i = 0; i < 1000; ++i) {
        f.queue->set(a, f.clock.at + 30s);
        f.queue->cancel(a);
    }
    CHECK(f.alarm->armed == armed);
}

TEST_CASE("timers: stopping reaches everybody who waits, and those who come later") {
    fixture f;
    std::vector<entry*> log;
    entry a(f, log), b(f, log), late(f, log);
    f.queue->set(a, f.clock.at + 1s);
    f.queue->set(b, f.clock.at + 2s);
    f.queue->stop();
    CHECK(a.stopped);
    CHECK(b.stopped);
    f.queue->set(late, f.clock.at + 1s);
    CHECK(late.stopped);
    f.pass(10s);
    CHECK(log.empty());
    CHECK(f.queue->size() == 0);
}

TEST_CASE("timers: an entry that is destroyed leaves the queue") {
    fixture f;
    std::vector<entry*> log;
    {
        entry a(f, log);
        f.queue->set(a, f.clock.at + 1s);
    }
    CHECK(f.queue->size() == 0);
    f.pass(2s);
    CHECK(log.empty());
}

TEST_CASE("timers: random sets, moves and cancels ring exactly what is due") {
    fixture f;
    random_engine random(99);
    std::vector<entry*> log;
    std::deque<entry> entries;
    for (int i = 0; i < 100; ++i) entries.emplace_back(f, log);
    std::vector<steady_time> due(entries.size(), steady_time::max());
    for (int step = 0; step < 20'000; ++step) {
        auto const i = random() % entries.size();
        if (random() % 3 == 0) {
            f.queue->cancel(entries[i]);
            due[i] = steady_time::max();
        } else {
            due[i] = f.clock.at + std::chrono::milliseconds(1 + random() % 500);
            f.queue->set(entries[i], due[i]);
        }
        log.clear();
        f.pass(std::chrono::milliseconds(random() % 20));
        std::size_t expected = 0;
        for (std::size_t k = 0; k < due.size(); ++k) {
            if (due[k] > f.clock.at) continue;
            ++expected;
            REQUIRE(entries[k].when == due[k]);
            due[k] = steady_time::max();
        }
        REQUIRE(log.size() == expected);
    }
}
