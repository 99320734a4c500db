#pragma once

#include "exchange/channel.hpp"
#include "wait/here_executor.hpp"
#include "wait/timers.hpp"
#include "wait/wait_point.hpp"

#include <jirapool/core/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/query.hpp>

#include <exception>
#include <memory>
#include <new>
#include <utility>

namespace jirapool::detail {

/// A coroutine of the caller's own that a call waits for.
template <class T>
class caller_wait {
public:
    caller_wait(timers& t, asio::any_io_executor const& ex) : done(t, ex) {}

    wait_point done;
    asio::cancellation_signal cancel;
    std::exception_ptr exception;
    T value{};
    bool ended = false;
};

inline failure what_failed(errc code, std::exception_ptr const& e) {
    try {
        std::rethrow_exception(e);
    } catch (std::exception const& known) {
        return {code, known.what()};
    } catch (...) {
        return {code, "it threw what is no std::exception"};
    }
}

/** Runs a coroutine of the caller's own (its sink's or source's) beside the call, so that the call's deadline and cancellation
    hold whatever that one does. `what` must own all that it uses: told to end in the middle, it may still go on when the call
    has ended.

    @return no code: `value` is what it completed with. `thrown`: it threw. timeout, cancelled, stopped: it was told to end. */
template <class T>
asio::awaitable<failure> wait_for_caller(timers* t, asio::any_io_executor ex, asio::awaitable<T> what,
                                         steady_time deadline, errc thrown, T* value) {
    auto const w = std::make_shared<caller_wait<T>>(*t, ex);
    auto finish = [w](std::exception_ptr e, T v) {
        w->exception = std::move(e);
        w->value = std::move(v);
        w->ended = true;
        w->done.notify();
    };
    here_executor const here(asio::query(ex, asio::execution::context));
    auto cancellable = asio::bind_cancellation_slot(w->cancel.slot(), asio::bind_executor(here, std::move(finish)));
    asio::co_spawn(ex, std::move(what), std::move(cancellable));
    wake why = wake::notified;
    while (!w->ended && why == wake::notified) why = co_await w->done.wait(deadline, while_exchanging);
    if (!w->ended) {
        try {
            w->cancel.emit(asio::cancellation_type::terminal);
        } catch (std::bad_alloc const&) {
            w->ended = false;  // it goes on to its end, which nobody waits for
        }
        co_return why == wake::timeout ? errc::timeout : t->stopped() ? errc::stopped : errc::cancelled;
    }
    if (w->exception) co_return what_failed(thrown, w->exception);
    *value = std::move(w->value);
    co_return failure();
}

}  // namespace jirapool::detail
