// The one epoll of a shard's sockets: each arrival is told once, whatever those who are told do meanwhile.
#include "support/catch.hpp"

#include "wait/timer_alarm.hpp"
#include "wait/timers.hpp"
#include "wire/poller.hpp"
#include "wire/timed_socket.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/socket.h>
#include <unistd.h>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

using namespace jirapool::detail;
namespace asio = boost::asio;
using namespace std::chrono_literals;
using jirapool::errc;
using jirapool::error_code;

namespace {

/// One end of a pair is watched, the other one is the test's.
class end final : public poller::watched {
public:
    explicit end(std::shared_ptr<poller> p) : poller_(std::move(p)) {
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both_) == 0);
        REQUIRE_FALSE(poller_->add(both_[0], *this));
    }
    ~end() {
        poller_->remove(*this);
        ::close(both_[0]);
        ::close(both_[1]);
    }
    end(end const&) = delete;
    end& operator=(end const&) = delete;

    void say() const { REQUIRE(::send(both_[1], "x", 1, 0) == 1); }
    void say_no_more() const { REQUIRE(::shutdown(both_[1], SHUT_WR) == 0); }

    int told_to_read = 0;
    int told_to_write = 0;
    int told_of_end = 0;
    std::function<void()> then;

private:
    void on_ready(poller::readiness r) override {
        told_to_read += r.to_read ? 1 : 0;
        told_to_write += r.to_write ? 1 : 0;
        told_of_end += r.over ? 1 : 0;
        if (r.to_read && then) then();
    }
    std::shared_ptr<poller> poller_;
    int both_[2] = {-1, -1};
};

class fixture {
public:
    asio::io_context io{1};
    std::shared_ptr<poller> p = std::make_shared<poller>(io.get_executor());

    std::vector<std::unique_ptr<end>> ends(std::size_t n) {
        std::vector<std::unique_ptr<end>> all;
        for (std::size_t i = 0; i < n; ++i) all.push_back(std::make_unique<end>(p));
        turn();  // that they can be written to
        return all;
    }
    /// All that is ready now.
    void turn() {
        io.restart();
        while (io.poll() > 0) {
        }
    }
};

}  // namespace

TEST_CASE("poller: each arrival is told once, to all that have one, in more than one turn if need be") {
    fixture f;
    auto all = f.ends(100);
    for (auto const& e : all) {
        CHECK(e->told_to_write == 1);
        CHECK(e->told_to_read == 0);
        e->say();
    }
    f.turn();
    for (auto const& e : all) CHECK(e->told_to_read == 1);
    f.turn();
    for (auto const& e : all) CHECK(e->told_to_read == 1);  // though nobody read it
    all[7]->say();
    f.turn();
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i]->told_to_read == (i == 7 ? 2 : 1));
}

TEST_CASE("poller: the end of what a peer sends is told, with its last bytes or behind them") {
    fixture f;
    auto const all = f.ends(3);
    all[0]->say();
    f.turn();
    CHECK(all[0]->told_of_end == 0);
    all[0]->say_no_more();
    all[1]->say();
    all[1]->say_no_more();
    all[2]->say_no_more();
    f.turn();
    CHECK(all[0]->told_to_read == 2);
    for (auto const& e : {all[1].get(), all[2].get()}) CHECK(e->told_to_read == 1);
    for (auto const& e : all) CHECK(e->told_of_end == 1);
}

TEST_CASE("poller: without a socket the executor has no work, and with the next one it has") {
    fixture f;
    for (int i = 0; i < 3; ++i) {
        {
            auto const all = f.ends(2);
            CHECK_FALSE(f.io.stopped());
        }
        f.io.restart();
        f.io.run();  // returns
        CHECK(f.io.stopped());
    }
    // Before the executor ran once more the last one went, and the next one came.
    auto first = f.ends(1);
    first.clear();
    auto const second = f.ends(1);
    second.front()->say();
    f.turn();
    CHECK(second.front()->told_to_read == 1);
}

TEST_CASE("poller: who is told destroys all others that are ready") {
    fixture f;
    auto all = f.ends(10);
    int told = 0;
    for (auto& e : all) {
        e->say();
        e->then = [&all, &told, me = e.get()] {
            ++told;
            for (auto& other : all)
                if (other.get() != me) other.reset();
        };
    }
    f.turn();
    CHECK(told == 1);
}

TEST_CASE("poller: who is told throws, and the others are told all the same") {
    fixture f;
    auto all = f.ends(10);
    for (auto const& e : all) {
        e->say();
        e->then = [] { throw std::runtime_error("the user's"); };
    }
    int thrown = 0;
    for (bool more = true; more;) {
        try {
            f.turn();
            more = false;
        } catch (std::runtime_error const&) {
            ++thrown;
        }
    }
    CHECK(thrown == 10);
    for (auto const& e : all) CHECK(e->told_to_read == 1);
}

TEST_CASE("poller: who is told runs the executor in the middle") {
    fixture f;
    auto all = f.ends(40);
    for (auto const& e : all) {
        e->say();
        e->then = [&f] { f.io.poll(); };
    }
    all.front()->then = [&] {
        all.back()->say();  // it is told twice at the most
        f.io.poll();
    };
    f.turn();
    for (auto const& e : all) {
        CHECK(e->told_to_read >= 1);
        CHECK(e->told_to_read <= 2);
    }
}

TEST_CASE("poller: who is told runs the executor in the middle, and throws there, behind it or both") {
    bool const there = GENERATE(true, false);
    bool const behind = GENERATE(true, false);
    fixture f;
    auto all = f.ends(100);
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i]->say();
        all[i]->then = [&f, polls = i % 3 == 0, there, behind] {
            if (polls) f.io.poll();
            if (polls ? behind : there) throw std::runtime_error("the user's");
        };
    }
    for (bool more = true; more;) {
        try {
            f.turn();
            more = false;
        } catch (std::runtime_error const&) {
            continue;
        }
    }
    for (auto const& e : all) CHECK(e->told_to_read == 1);
    all.back()->say();
    all.back()->then = nullptr;
    f.turn();
    CHECK(all.back()->told_to_read == 2);
}

TEST_CASE("poller: it ends before its context, behind it, and in the middle of a turn") {
    std::optional<fixture> f(std::in_place);
    auto all = f->ends(3);
    SECTION("before") {
        all.clear();
        f->p.reset();
        f->turn();
    }
    SECTION("in a turn") {
        all.front()->say();
        all.front()->then = [&] {
            f->p.reset();
            all.clear();
        };
        f->turn();
        CHECK(all.empty());
    }
    SECTION("with it") { all.clear(); }
    f.reset();
}

TEST_CASE("timed_socket: a wait ends with what came, also before it, and with its deadline") {
    fixture f;
    timers clock(system_clock(), make_timer_alarm(f.io.get_executor()));
    int both[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) == 0);
    error_code ec;
    auto socket = timed_socket::make(both[0], f.p, clock, f.io.get_executor(), ec);
    REQUIRE(socket);
    using direction = timed_socket::direction;
    auto const wait = [&](direction d, jirapool::steady_duration patience) {
        std::optional<error_code> result;
        asio::co_spawn(f.io, socket->wait(d, clock.now() + patience),
                       [&](std::exception_ptr, error_code r) { result = r; });
        f.io.restart();
        while (!result && f.io.run_one() > 0) {
        }
        REQUIRE(result);
        return *result;
    };
    CHECK(wait(direction::read, 1ms) == errc::timeout);
    CHECK_FALSE(wait(direction::write, 10s));
    CHECK(wait(direction::write, 1ms) == errc::timeout);  // nothing new: who could not write, will be told
    REQUIRE(::send(both[1], "x", 1, 0) == 1);
    CHECK_FALSE(wait(direction::read, 10s));
    REQUIRE(::send(both[1], "x", 1, 0) == 1);
    f.turn();
    CHECK_FALSE(wait(direction::read, 0ms));  // it came before
    ::close(both[1]);
    CHECK_FALSE(wait(direction::read, 10s));
    CHECK_FALSE(wait(direction::write, 10s));
    clock.stop();
    f.turn();
    CHECK(wait(direction::read, 10s) == errc::stopped);
}
