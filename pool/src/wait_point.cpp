#include "wait_point.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <utility>

namespace jirapool::detail {

wait_point::~wait_point() = default;

void wait_point::start(handler h, steady_time deadline) {
    auto slot = asio::get_associated_cancellation_slot(h);
    handler_.emplace(std::move(h));
    if (slot.is_connected()) slot.assign([this](asio::cancellation_type) { complete(wake::cancelled); });
    timers_.set(*this, deadline);
}

void wait_point::complete(wake w) {
    if (!handler_) return;
    timers_.cancel(*this);
    auto h = std::move(*handler_);
    handler_.reset();
    asio::post(executor_, [h = std::move(h), w]() mutable {
        // Here, not above: `complete` may run inside the slot's own handler.
        auto slot = asio::get_associated_cancellation_slot(h);
        if (slot.is_connected()) slot.clear();
        std::move(h)(w);
    });
}

void wait_point::on_abandoned() noexcept {
    if (!handler_) return;
    // Destroying the handler destroys the coroutine and with it this object.
    auto const h = std::move(*handler_);
    handler_.reset();
}

asio::awaitable<wake> wait_point::wait(steady_time deadline) {
    // A coroutine that was cancelled while it ran has no pending operation to be told so.
    bool const cancelled = co_await cancellation_requested();
    if (cancelled || timers_.stopped()) co_return wake::cancelled;
    wake const w = co_await asio::async_initiate<asio::use_awaitable_t<> const, void(wake)>(
        [this, deadline](handler h) { start(std::move(h), deadline); }, asio::use_awaitable);
    co_return w;
}

asio::awaitable<bool> cancellation_requested() {
    auto const state = co_await asio::this_coro::cancellation_state;
    co_return state.cancelled() != asio::cancellation_type::none;
}

}  // namespace jirapool::detail
