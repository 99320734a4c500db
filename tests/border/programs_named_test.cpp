// The faults of the border with the user's program that were found one by one, each as the shortest program that shows it.
#include "wire/fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using namespace asio::experimental::awaitable_operators;

namespace {

request get_myself() { return request::get("/rest/api/3/myself"); }

fixture unlimited() {
    auto p = small_world();
    p.burst_scale = 1000;
    return fixture(std::move(p));
}

connection add(connections& jira, fixture const& f) { return jira.add(f.config("personal-0001")).value(); }

/// The timer is set to end about when the answer comes: both on their way at the same time is what it is about.
asio::awaitable<void> race(connection c, int rounds, int* ended) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    auto patience = std::chrono::microseconds(1000);
    for (int i = 0; i < rounds; ++i) {
        timer.expires_after(i % 8 == 7 ? 0us : patience);
        auto const first = co_await (c.call(get_myself()) || timer.async_wait(asio::use_awaitable));
        patience += first.index() == 0 ? -20us : 20us;
        ++*ended;
    }
}

/// An answer that takes as long as a test wants.
void slow_answers(fixture& f, std::chrono::milliseconds by) {
    mock::faults slow;
    slow.latency = by;
    f.jira.set_faults(slow);
}

/// An executor of a user's own, of an io_context's, that runs what may run at once on whatever thread has it.
class straight_executor {
public:
    explicit straight_executor(asio::io_context& io) noexcept : io_(io.get_executor()) {}
    asio::execution_context& query(asio::execution::context_t) const noexcept { return io_.context(); }
    auto require(asio::execution::blocking_t::never_t never) const { return asio::require(io_, never); }
    template <class F>
    void execute(F&& f) const {
        auto now = std::forward<F>(f);
        now();
    }
    friend bool operator==(straight_executor const&, straight_executor const&) = default;

private:
    asio::io_context::executor_type io_;
};

bool ready(std::future<result<response>> const& f) { return f.wait_for(10s) == std::future_status::ready; }

}  // namespace

TEST_CASE("border 1a: a call of a runtime is raced with a timer on the caller's own io_context") {
    auto f = unlimited();
    runtime jira(1, f.params);
    auto const c = add(jira, f);
    asio::io_context io;
    std::array<int, 8> ended{};
    for (auto& n : ended)
        asio::co_spawn(io, race(c, 300, &n), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
    io.run();
    for (auto const n : ended) CHECK(n == 300);
}

TEST_CASE("border 1a: a call of a client on a thread_pool is raced with a timer there") {
    auto f = unlimited();
    asio::thread_pool pool(4);
    client jira(pool, f.params);
    auto const c = add(jira, f);
    std::array<int, 8> ended{};
    std::vector<std::future<void>> all;
    // On a strand each: Asio's awaitable operators cancel one branch where the other one ended, which may be in the middle of its
    // own end on another thread.
    for (auto& n : ended) all.push_back(asio::co_spawn(asio::make_strand(pool), race(c, 40, &n), asio::use_future));
    for (auto& one : all) one.get();
    for (auto const n : ended) CHECK(n == 40);
    jira.stop();
    pool.join();
}

TEST_CASE("border 1b: a signal that is emitted just after a call ended does not hit the next one that uses it") {
    auto f = unlimited();
    runtime jira(1, f.params);
    auto const c = add(jira, f);
    asio::cancellation_signal signal;
    int answered = 0;
    for (int i = 0; i < 300; ++i) {
        auto one = c.async_call(get_myself(), asio::bind_cancellation_slot(signal.slot(), asio::use_future));
        if (one.get()) ++answered;
        signal.emit(asio::cancellation_type::terminal);
    }
    CHECK(answered == 300);
}

TEST_CASE("border 1c: a signal is emitted after the runtime of its call is gone") {
    auto f = unlimited();
    asio::cancellation_signal signal;
    {
        runtime jira(1, f.params);
        auto const c = add(jira, f);
        auto one = c.async_call(get_myself(), asio::bind_cancellation_slot(signal.slot(), asio::use_future));
        SECTION("that ended before") { CHECK(one.get().has_value()); }
        SECTION("that was under way") {}
    }
    signal.emit(asio::cancellation_type::terminal);
}

TEST_CASE("border 1d: a signal is destroyed after the io_context of its call's client") {
    auto f = unlimited();
    asio::cancellation_signal signal;
    auto io = std::make_unique<asio::io_context>();
    auto jira = std::make_unique<client>(*io, f.params);
    auto const c = add(*jira, f);
    std::optional<result<response>> answer;
    c.async_call(get_myself(), asio::bind_cancellation_slot(signal.slot(),
                                                            [&](result<response> r) { answer.emplace(std::move(r)); }));
    SECTION("that ended before") {
        while (!answer) io->run_one();
        CHECK(answer->has_value());
    }
    SECTION("that was under way") { io->poll(); }
    SECTION("that never began") {}
    jira.reset();
    io.reset();
}

TEST_CASE("border 2: a call is cancelled on a runtime's own thread before it began") {
    auto f = unlimited();
    runtime jira(1, f.params);
    auto const c = add(jira, f);
    auto const type = GENERATE(asio::cancellation_type::total, asio::cancellation_type::terminal);
    for (int i = 0; i < 20; ++i) {
        asio::cancellation_signal signal;
        std::promise<void> on_shard;
        std::promise<void> begun;
        // The first call's handler has the shard's thread when the second is begun, and cancels it.
        c.async_call(get_myself(), [&](result<response>) {
            on_shard.set_value();
            begun.get_future().wait();
            signal.emit(type);
        });
        on_shard.get_future().wait();
        auto one = c.async_call(get_myself(), asio::bind_cancellation_slot(signal.slot(), asio::use_future));
        begun.set_value();
        REQUIRE(ready(one));
        auto const r = one.get();
        REQUIRE(r.has_error());
        CHECK(r.error().code() == errc::cancelled);
    }
}

TEST_CASE("border 2: a call is cancelled on a client's io_context before it began") {
    auto f = unlimited();
    asio::io_context io(1);
    f.params.executor_is_serial = GENERATE(true, false);
    client jira(io, f.params);
    auto const c = add(jira, f);
    auto const type = GENERATE(asio::cancellation_type::total, asio::cancellation_type::terminal);
    bool const by_a_handler = GENERATE(true, false);
    asio::cancellation_signal signal;
    std::optional<error_code> ended;
    auto const begin = [&] {
        c.async_call(get_myself(), asio::bind_cancellation_slot(signal.slot(), [&](result<response> r) {
                         ended = r ? error_code() : r.error().code();
                         jira.stop();
                     }));
    };
    if (by_a_handler) {
        asio::post(io, [&] {
            begin();
            signal.emit(type);
        });
    } else {
        asio::post(io, [&] { signal.emit(type); });
        begin();
    }
    CHECK_NOTHROW(io.run_for(10s));
    REQUIRE(ended);
    CHECK(*ended == errc::cancelled);
}

TEST_CASE("border 4: each call that another thread begins while the runtime ends is completed") {
    auto f = unlimited();
    for (int round = 0; round < 10; ++round) {
        auto jira = std::make_unique<runtime>(2, f.params);
        auto const c = add(*jira, f);
        std::atomic<bool> over{false};
        std::atomic<int> begun{0};
        std::vector<std::future<result<response>>> calls;
        std::thread caller([&] {
            while (!over && calls.size() < 2000) {
                calls.push_back(c.async_call(get_myself(), asio::use_future));
                ++begun;
            }
        });
        REQUIRE(eventually([&] { return begun > 50; }));
        jira.reset();
        over = true;
        caller.join();
        int broken = 0;
        for (auto& one : calls) {
            REQUIRE(ready(one));
            try {
                (void)one.get();
            } catch (std::future_error const&) {
                ++broken;
            }
        }
        CHECK(broken == 0);
    }
}

TEST_CASE("border 7: a call whose deadline is past when it begins sends nothing") {
    auto f = unlimited();
    runtime jira(1, f.params);
    auto const c = add(jira, f);
    REQUIRE(call(c, get_myself()).has_value());
    auto const before = f.jira.snapshot().requests;
    auto const timeout = GENERATE(-1s, 0s);
    for (int i = 0; i < 100; ++i) {
        auto const r = call(c, request::post("/rest/api/3/issue")
                                   .json(R"({"fields":{"project":{"key":"PROJ"},"issuetype":{"name":"Task"},)"
                                         R"("summary":"x"}})")
                                   .timeout(timeout));
        REQUIRE(r.has_error());
        CHECK_FALSE(r.error().maybe_processed());
    }
    REQUIRE(call(c, get_myself()).has_value());
    CHECK(f.jira.snapshot().requests == before + 1);
}

TEST_CASE("border 10: with the client gone a handler without an executor runs in the thread that calls, at once") {
    auto f = unlimited();
    asio::io_context io(1);
    std::optional<client> jira(std::in_place, io, f.params);
    auto const c = add(*jira, f);
    SECTION("the client is gone") { jira.reset(); }
    SECTION("the client and its io_context's work are gone") {
        jira.reset();
        io.run_for(10s);
    }
    SECTION("the client was stopped") {
        jira->stop();
        io.run_for(10s);
    }
    std::optional<std::thread::id> where;
    error_code ended;
    c.async_call(get_myself(), [&](result<response> r) {
        where = std::this_thread::get_id();
        ended = r.error().code();
    });
    REQUIRE(where);
    CHECK(*where == std::this_thread::get_id());
    CHECK(ended == errc::stopped);
}

TEST_CASE("border 10: with the client gone a handler with an executor runs there") {
    auto f = unlimited();
    asio::io_context io(1);
    asio::io_context own(1);
    std::optional<client> jira(std::in_place, io, f.params);
    auto const c = add(*jira, f);
    jira.reset();
    bool there = false;
    c.async_call(get_myself(), asio::bind_executor(own, [&](result<response> r) {
                     there = own.get_executor().running_in_this_thread() && !r && r.error().code() == errc::stopped;
                 }));
    CHECK_FALSE(there);
    own.run_for(10s);
    CHECK(there);
}

TEST_CASE("border 11: a call of a stopped client completes though nobody runs its io_context any more") {
    auto f = unlimited();
    asio::io_context io(1);
    f.params.executor_is_serial = GENERATE(true, false);
    client jira(io, f.params);
    auto const c = add(jira, f);
    std::optional<error_code> first;
    c.async_call(get_myself(), [&](result<response> r) { first = r ? error_code() : r.error().code(); });
    asio::post(io, [&] { jira.stop(); });
    io.run_for(10s);
    REQUIRE(first);
    auto late = c.async_call(get_myself(), asio::use_future);
    REQUIRE(ready(late));
    CHECK(late.get().error().code() == errc::stopped);
}

TEST_CASE("border 11: an io_context is destroyed before its client, with calls under way") {
    auto f = unlimited();
    slow_answers(f, 50ms);
    auto io = std::make_unique<asio::io_context>(1);
    if (GENERATE(false, true)) {
        // It was a caller's before: what knows of its end is older than the client's strand.
        runtime before(1, f.params);
        add(before, f).async_call(get_myself().timeout(1ms), asio::bind_executor(*io, [](result<response>) {}));
        before.stop();
    }
    f.params.executor_is_serial = GENERATE(true, false);
    auto jira = std::make_unique<client>(*io, f.params);
    auto const c = add(*jira, f);
    int const turns = GENERATE(0, 1, 3, 10, 1000);
    auto const called = std::make_shared<int>(0);
    auto const called_there = std::make_shared<int>(0);
    auto const count = [](std::shared_ptr<int> n) { return [n](result<response>) { ++*n; }; };
    asio::io_context other(1);
    auto const called_elsewhere = std::make_shared<int>(0);
    std::string wrong;
    for (int i = 0; i < 3; ++i) {
        c.async_call(get_myself(), count(called));
        c.async_call(get_myself(), asio::bind_executor(*io, count(called_there)));
        c.async_call(get_myself(), asio::bind_executor(straight_executor(*io), count(called_there)));
        c.async_call(get_myself(), asio::bind_executor(other, [called_elsewhere, &wrong](result<response> r) {
                         ++*called_elsewhere;
                         if (!r && r.error().code() != errc::stopped) wrong = r.error().describe();
                     }));
    }
    for (int i = 0; i < turns; ++i) io->poll_one();
    io.reset();
    // A handler with another context is called there; those on this one, and those without any, go as all of Asio's do.
    CHECK(*called == 0);
    CHECK(called.use_count() == 1);
    CHECK(*called_there == 0);
    CHECK(called_there.use_count() == 1);
    other.run_for(10s);
    CHECK(*called_elsewhere == 3);
    CHECK(wrong == "");
    jira.reset();
}
