#pragma once

#include "wait/here_executor.hpp"
#include "wait/wait_point.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/query.hpp>

#include <exception>
#include <memory>
#include <utility>

namespace jirapool::detail {

/** Suspends a coroutine once. One that ends before it was suspended is posted by co_spawn, which takes memory and cannot be told that
    there is none: the process would end. Needs no memory itself.

    Made before what may lack memory; may throw bad_alloc. Holds whoever has the timers. */
class breath {
public:
    breath(std::shared_ptr<void const> owner, timers& t, asio::any_io_executor ex)
        : owner_(std::move(owner)), timers_(t), point_(t, std::move(ex)), room_(t, point_) {}
    auto take() noexcept { return point_.until(timers_.now()); }

private:
    std::shared_ptr<void const> const owner_;
    timers& timers_;
    wait_point point_;
    timer_room room_;
};

inline asio::awaitable<void> breathing(std::unique_ptr<breath> one, asio::awaitable<void> what) {
    co_await std::move(what);
    bool const suspended = (co_await asio::detail::awaitable_thread_has_context_switched{});
    if (!suspended) co_await one->take();
}

/// Starts a coroutine on the executor of these timers, which `owner` has. It tells by itself what came of it, and lets nothing out.
/// Its end needs no memory. May throw bad_alloc before it began.
inline void spawn(std::shared_ptr<void const> owner, timers& t, asio::any_io_executor const& ex,
                  asio::awaitable<void> what) {
    here_executor const here(asio::query(ex, asio::execution::context));
    auto one = std::make_unique<breath>(std::move(owner), t, ex);
    asio::co_spawn(ex, breathing(std::move(one), std::move(what)),
                   asio::bind_executor(here, [](std::exception_ptr const&) {}));
}

}  // namespace jirapool::detail
