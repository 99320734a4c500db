#include "wire/timed_socket.hpp"

#include "exchange/channel.hpp"

#include <unistd.h>
#include <new>
#include <utility>

namespace jirapool::detail {

std::unique_ptr<timed_socket> timed_socket::make(int descriptor, std::shared_ptr<poller> p, timers& t,
                                                 asio::any_io_executor ex, error_code& ec) {
    auto* const made = new (std::nothrow) timed_socket(descriptor, std::move(p), t, std::move(ex));
    if (made == nullptr) {
        ::close(descriptor);
        throw std::bad_alloc();
    }
    std::unique_ptr<timed_socket> s(made);
    ec = s->poller_->add(descriptor, *s);
    if (ec) s.reset();
    return s;
}

timed_socket::timed_socket(int descriptor, std::shared_ptr<poller> p, timers& t, asio::any_io_executor ex) noexcept
    : descriptor_(descriptor), poller_(std::move(p)), timers_(t), point_(t, std::move(ex)) {}

timed_socket::~timed_socket() {
    poller_->remove(*this);
    ::close(descriptor_);
}

void timed_socket::on_ready(poller::readiness r) {
    over_ = over_ || r.over;
    if (watch_ != nullptr) return watch_->on_ready(r);
    readable_ = readable_ || r.to_read;
    writable_ = writable_ || r.to_write;
    if (waits_ && ready(waits_for_)) point_.notify_here();
}

bool timed_socket::begin(direction d) noexcept {
    if (std::exchange(ready(d), false)) return true;
    waits_ = true;
    waits_for_ = d;
    return false;
}

error_code timed_socket::end(direction d, wake why) noexcept {
    waits_ = false;
    // What happened before the interruption counts.
    if (std::exchange(ready(d), false) || why == wake::notified) return {};
    return why == wake::timeout ? error_code(errc::timeout) : interruption();
}

asio::awaitable<error_code> timed_socket::give_way() {
    wake const why = co_await point_.give_way(while_exchanging);
    co_return why == wake::notified ? error_code() : interruption();
}

asio::awaitable<error_code> timed_socket::wait(direction d, steady_time deadline) {
    if (begin(d)) co_return error_code();
    wake const why = co_await point_.wait(deadline, while_exchanging);
    co_return end(d, why);
}

}  // namespace jirapool::detail
