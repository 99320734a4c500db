#include "wait/wait_point.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <new>
#include <utility>

namespace jirapool::detail {

/// What is posted. Destroyed uncalled, with its executor, it takes the coroutine with it.
class wait_point::resumption {
public:
    explicit resumption(wait_point& p) noexcept : point_(&p) {}
    resumption(resumption&& other) noexcept : point_(std::exchange(other.point_, nullptr)) {}
    resumption& operator=(resumption&&) = delete;
    ~resumption() {
        if (point_ != nullptr && point_->posted_) point_->on_abandoned();
    }
    void operator()() { std::exchange(point_, nullptr)->resume(); }

private:
    wait_point* point_;
};

wait_point::~wait_point() = default;

void wait_point::complete(wake w) noexcept {
    if (!handler_ || std::exchange(woken_, true)) return;
    why_ = w;
    timers_.cancel(*this);
    try {
        asio::post(executor_, resumption(*this));
        posted_ = true;
    } catch (std::bad_alloc const&) {
        // By the alarm then, which needs no memory. A shard that stops has none any more, and nothing on its stack either.
        if (!timers_.stopped()) {
            timers_.set(*this, timers_.now());
            return;
        }
        try {
            resume();
        } catch (...) {
            return;  // a user's handler's own, at the end of a call that ended in here: nobody is left to have it
        }
    }
}

void wait_point::notify_here() {
    if (!handler_ || std::exchange(woken_, true)) return;
    why_ = wake::notified;
    timers_.cancel(*this);
    resume();
}

void wait_point::resume() {
    // Here, not in `complete`, which may run inside the slot's own handler.
    if (slot_.is_connected()) std::exchange(slot_, {}).clear();
    handler_.call(why_);
}

void wait_point::on_time() {
    if (woken_) resume();
    else complete(wake::timeout);
}

void wait_point::on_abandoned() noexcept {
    // Destroying the handler destroys the coroutine and with it this object.
    handler_.destroy();
}

bool wait_point::begin(asio::cancellation_state const& state, asio::cancellation_type heeds) {
    // A coroutine that was cancelled while it ran has no pending operation to be told so.
    if ((state.cancelled() & heeds) != asio::cancellation_type::none || timers_.stopped()) return false;
    timers_.make_room();
    slot_ = state.slot();
    if (slot_.is_connected())
        slot_.assign([this, heeds](asio::cancellation_type t) {
            if ((t & heeds) != asio::cancellation_type::none) complete(wake::cancelled);
        });
    return true;
}

asio::awaitable<wake> wait_point::wait(steady_time deadline, asio::cancellation_type heeds) {
    auto const state = co_await asio::this_coro::cancellation_state;
    if (!begin(state, heeds)) co_return wake::cancelled;
    co_return co_await until(deadline);
}

asio::awaitable<wake> wait_point::give_way(asio::cancellation_type heeds) {
    auto const state = co_await asio::this_coro::cancellation_state;
    auto const cancelled = [&] {
        return (state.cancelled() & heeds) != asio::cancellation_type::none || timers_.stopped();
    };
    if (cancelled()) co_return wake::cancelled;
    timers_.make_room();  // for a wake-up that cannot be posted
    co_await asio::async_initiate<asio::deferred_t const, void(wake)>(suspension{this, {}, true}, asio::deferred);
    co_return cancelled() ? wake::cancelled : wake::notified;
}

}  // namespace jirapool::detail
