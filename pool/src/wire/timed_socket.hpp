#pragma once

#include "wait/timers.hpp"
#include "wait/wait_point.hpp"
#include "wire/poller.hpp"

#include <jirapool/core/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>

namespace jirapool::detail {

/// Told when a socket is ready, in place of who waits for that: for what never stops listening.
class ready_watch {
public:
    /// In a handler of the executor, with nothing of ours on the stack. Once for each time that something comes (poller). The socket
    /// may be destroyed in here.
    virtual void on_ready(poller::readiness r) noexcept = 0;

protected:
    ~ready_watch() = default;
};

/// A connected socket whose waits end at a deadline and when the shard stops. No timer of its own is armed for that.
class timed_socket final : private poller::watched {
public:
    enum class direction : std::uint8_t { read, write };

    /// Has the descriptor from then on. Null: `ec` says why, and it is closed. May throw bad_alloc, with it closed.
    static std::unique_ptr<timed_socket> make(int descriptor, std::shared_ptr<poller> p, timers& t,
                                              asio::any_io_executor ex, error_code& ec);
    ~timed_socket();
    timed_socket(timed_socket const&) = delete;
    timed_socket& operator=(timed_socket const&) = delete;

    int descriptor() const noexcept { return descriptor_; }

    /// One at a time. Errors: errc::timeout, errc::cancelled (the operation), or errc::stopped. None also where there may be
    /// nothing yet: who finds that waits again.
    asio::awaitable<error_code> wait(direction d, steady_time deadline);

    /// The three parts of `wait`, for where a coroutine more would tell: begin; unless that says that there is something to do,
    /// point().begin and until; end with what that gave.
    bool begin(direction d) noexcept;
    wait_point& point() noexcept { return point_; }
    error_code end(direction d, wake why) noexcept;

    /// Nothing was told to read since the last wait for that ended.
    bool quiet() const noexcept { return !readable_ && !over_; }
    /// It was told that the peer has ended what it sends.
    bool over() const noexcept { return over_; }

    /// From then on `w` is told, and nobody waits here.
    void watch_by(ready_watch& w) noexcept { watch_ = &w; }

    /// Lets the shard's others have their turn. Errors: cancelled or stopped, meanwhile.
    asio::awaitable<error_code> give_way();

private:
    timed_socket(int descriptor, std::shared_ptr<poller> p, timers& t, asio::any_io_executor ex) noexcept;

    void on_ready(poller::readiness r) override;
    error_code interruption() const noexcept { return timers_.stopped() ? errc::stopped : errc::cancelled; }
    bool& ready(direction d) noexcept { return d == direction::read ? readable_ : writable_; }

    int const descriptor_;
    std::shared_ptr<poller> const poller_;
    timers& timers_;
    wait_point point_;
    ready_watch* watch_ = nullptr;
    bool waits_ = false;
    direction waits_for_ = direction::read;
    // Told since it was last waited for.
    bool readable_ = false;
    bool writable_ = false;
    bool over_ = false;  // what the peer sends
};

}  // namespace jirapool::detail
