#pragma once

#include "wait/kept_handler.hpp"
#include "wait/timers.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>

#include <cstdint>
#include <utility>

namespace jirapool::detail {

namespace asio = boost::asio;

enum class wake : std::uint8_t {
    notified,  ///< read the state: that says what happened
    timeout,
    cancelled,  ///< the operation, or the shard stops
};

/** Where one coroutine waits for another to notify it, for a deadline, or for its cancellation, whatever comes first.

    Waking is posted, never inline: whoever notifies may do so in the middle of changing state. After `notify` the deadline
    has no more say, so look at the state before the reason.

    A wait may fail with bad_alloc before it begins, never once the coroutine is suspended: Asio has nobody there to tell. */
class wait_point final : public timed {
public:
    wait_point(timers& t, asio::any_io_executor ex) : timers_(t), executor_(std::move(ex)) {}
    ~wait_point() override;

    /// `heeds`: the types of cancellation that end it.
    asio::awaitable<wake> wait(steady_time deadline, asio::cancellation_type heeds = asio::cancellation_type::all);
    /** `wait` in two steps, without a coroutine of its own, which the wait for an answer would pay with each call:
        `if (point.begin(co_await asio::this_coro::cancellation_state, heeds)) why = co_await point.until(deadline);`

        @return false: the coroutine is cancelled already, or the shard stops. True: `until` must follow, and cannot fail. */
    bool begin(asio::cancellation_state const& state, asio::cancellation_type heeds);
    auto until(steady_time deadline) noexcept {
        return asio::async_initiate<asio::deferred_t const, void(wake)>(suspension{this, deadline, false},
                                                                        asio::deferred);
    }

    /// Lets everything that is ready have its turn. `cancelled`, as of `wait`, or `notified`.
    asio::awaitable<wake> give_way(asio::cancellation_type heeds);
    /// Wakes who waits; nothing when nobody does.
    void notify() noexcept { complete(wake::notified); }
    /// The same at once: only where nothing of ours is on the stack, in a handler of the executor.
    void notify_here();

private:
    class resumption;
    struct suspension {
        template <class Handler>
        void operator()(Handler&& h) const noexcept {
            point->handler_.emplace(std::forward<Handler>(h));
            point->woken_ = point->posted_ = false;
            if (in_turn) point->complete(wake::notified);
            else point->timers_.set(*point, deadline);
        }
        wait_point* point;
        steady_time deadline;
        bool in_turn;  ///< in place of the deadline: behind all that is ready
    };

    void complete(wake w) noexcept;
    void resume();
    void on_time() override;
    void on_stop() override { complete(wake::cancelled); }
    void on_abandoned() noexcept override;

    timers& timers_;
    asio::any_io_executor executor_;
    kept_handler<wake> handler_;
    asio::cancellation_slot slot_;
    wake why_{};
    bool woken_ = false;
    bool posted_ = false;
};

}  // namespace jirapool::detail
