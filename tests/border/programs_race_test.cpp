// What every Asio user writes, very often; and the end of a runtime that is in use.
#include "wire/fixture.hpp"

#include "support/figure.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <unistd.h>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using namespace asio::experimental::awaitable_operators;

namespace {

fixture unlimited() {
    auto p = small_world();
    p.burst_scale = 1000;
    return fixture(std::move(p));
}

std::size_t resident_bytes() {
    std::ifstream in("/proc/self/statm");
    std::size_t all = 0;
    std::size_t resident = 0;
    in >> all >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

struct race_counts {
    std::uint64_t rounds = 0;
    std::uint64_t calls_won = 0;
};

asio::awaitable<void> race(std::vector<connection> all, std::uint64_t rounds, std::uint64_t seed, race_counts* n) {
    std::minstd_rand random(static_cast<unsigned>(seed));
    asio::steady_timer timer(co_await asio::this_coro::executor);
    // So that the timer ends about when the answer comes, however fast the machine is.
    double patience_us = 1000;
    for (std::uint64_t i = 0; i < rounds; ++i) {
        auto const& c = all[i % all.size()];
        // Also at once, so that the call is cancelled before it began.
        bool const at_once = random() % 4 == 0;
        timer.expires_after(std::chrono::microseconds(at_once ? 0 : static_cast<long>(patience_us)));
        auto ask = request::get("/rest/api/3/myself");
        auto const first = co_await (c.call(std::move(ask)) || timer.async_wait(asio::use_awaitable));
        ++n->rounds;
        if (first.index() == 0) ++n->calls_won;
        if (!at_once) patience_us *= first.index() == 0 ? 0.95 : 1.05;
    }
}

void run_race(asio::io_context& io, std::vector<connection> const& all, std::uint64_t rounds, race_counts& n) {
    constexpr std::uint64_t racers = 16;
    for (std::uint64_t i = 0; i < racers; ++i)
        asio::co_spawn(io, race(all, rounds / racers, i, &n), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
    io.run();
    io.restart();
}

}  // namespace

TEST_CASE("border 1: a call raced with a timer by awaitable operators, over runtime(2) from a foreign io_context") {
    auto const* const given = std::getenv("JIRAPOOL_RACE_ROUNDS");
    std::uint64_t const rounds = given ? std::strtoull(given, nullptr, 10) : 3000;
    auto f = unlimited();
    f.params.limits.mode = limiting::off;
    runtime jira(2, f.params);
    std::vector<connection> all;
    for (auto const& c : f.jira.world().connections()) all.push_back(jira.add(f.config(c.id)).value());
    asio::io_context io(1);
    race_counts n;
    // A tenth first: channels, their buffers and the allocator's arenas stay.
    run_race(io, all, rounds / 10, n);
    auto const before = resident_bytes();
    run_race(io, all, rounds, n);
    auto const after = resident_bytes();
    auto const grown = after > before ? after - before : 0;
    std::printf("border 1: %llu rounds, the call first in %llu, RSS %.1f MB, grown by %.2f MB\n",
                static_cast<unsigned long long>(n.rounds), static_cast<unsigned long long>(n.calls_won),
                static_cast<double>(after) / 1e6, static_cast<double>(grown) / 1e6);
    support::figure("race_rounds", static_cast<double>(n.rounds));
    support::figure("race_rss_growth_mb", static_cast<double>(grown) / 1e6);
    CHECK(n.rounds >= rounds);
    CHECK(n.calls_won > 0);
    CHECK(n.calls_won < n.rounds);
}

TEST_CASE("border 5: four threads call in a loop while the runtime is destroyed") {
    auto f = unlimited();
    f.params.limits.mode = limiting::off;
    std::chrono::nanoseconds slowest{0};
    std::uint64_t begun_in_all = 0;
    std::uint64_t never = 0;
    for (int round = 0; round < 5; ++round) {
        auto jira = std::make_unique<runtime>(2, f.params);
        std::vector<connection> all;
        for (auto const& c : f.jira.world().connections()) all.push_back(jira->add(f.config(c.id)).value());
        std::atomic<bool> over{false};
        std::atomic<std::uint64_t> begun{0};
        std::atomic<std::uint64_t> ended{0};
        std::vector<std::thread> callers;
        for (std::size_t t = 0; t < 4; ++t)
            callers.emplace_back([&, t] {
                for (std::size_t i = t; !over; ++i) {
                    ++begun;
                    all[i % all.size()].async_call(request::get("/rest/api/3/myself"),
                                                   [&](result<response>) { ++ended; });
                    // A bounded crowd: the end of the runtime is to be watched, not that of memory.
                    while (!over && begun - ended > 2000) std::this_thread::yield();
                }
            });
        REQUIRE(eventually([&] { return ended > 100; }));
        auto const start = std::chrono::steady_clock::now();
        jira.reset();
        slowest = std::max<std::chrono::nanoseconds>(slowest, std::chrono::steady_clock::now() - start);
        over = true;
        for (auto& t : callers) t.join();
        CHECK(eventually([&] { return ended == begun; }, 5s));
        never += begun - ended;
        begun_in_all += begun;
    }
    auto const s = std::chrono::duration<double>(slowest).count();
    std::printf("border 5: %llu calls, slowest ~runtime %.3f s\n", static_cast<unsigned long long>(begun_in_all), s);
    support::figure("destructor_under_calls_s", s);
    support::figure("calls_never_completed", static_cast<double>(never));
    CHECK(never == 0);
#ifdef NDEBUG
    CHECK(s <= 1.0);
#else
    CHECK(s <= 3.0);  // under a sanitizer
#endif
}
