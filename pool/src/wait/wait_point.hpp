#pragma once

#include "wait/timers.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>
#include <optional>

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
    /// Lets everything that is ready have its turn. `cancelled`, as of `wait`, or `notified`.
    asio::awaitable<wake> give_way(asio::cancellation_type heeds);
    /// Wakes who waits; nothing when nobody does.
    void notify() noexcept { complete(wake::notified); }
    /// The same at once: only where nothing of ours is on the stack, in a handler of the executor.
    void notify_here();

private:
    using handler = asio::async_result<asio::use_awaitable_t<>, void(wake)>::handler_type;
    class resumption;

    void start(handler h) noexcept;
    void complete(wake w) noexcept;
    void resume();
    void on_time() override;
    void on_stop() override { complete(wake::cancelled); }
    void on_abandoned() noexcept override;

    timers& timers_;
    asio::any_io_executor executor_;
    std::optional<handler> handler_;
    wake why_{};
    bool woken_ = false;
    bool posted_ = false;
};

}  // namespace jirapool::detail
