#include "wire/poller.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace jirapool::detail {

namespace {

int open_epoll() {
    int const descriptor = ::epoll_create1(EPOLL_CLOEXEC);
    if (descriptor < 0)
        throw boost::system::system_error(errno, boost::system::system_category(), "no epoll for a shard");
    return descriptor;
}

constexpr auto edges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | static_cast<unsigned>(EPOLLET);

}  // namespace

class poller::turn {
public:
    using allocator_type = handler_allocator<>;

    explicit turn(std::shared_ptr<poller> p) noexcept : poller_(std::move(p)) {}
    allocator_type get_allocator() const noexcept { return allocator_type(poller_->memory_); }
    void operator()(error_code const& ec) {
        auto const p = std::move(poller_);
        p->armed_ = false;
        // Cancelled when nothing was left to watch; by now something may be.
        if (ec) p->arm();
        else p->run();
    }

private:
    std::shared_ptr<poller> poller_;
};

poller::poller(asio::any_io_executor ex) : epoll_(std::move(ex), open_epoll()) {}

error_code poller::add(int descriptor, watched& w) {
    epoll_event event{};
    event.events = edges;
    event.data.ptr = &w;
    if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, descriptor, &event) != 0)
        return {errno, boost::system::system_category()};
    w.descriptor_ = descriptor;
    ++watched_;
    try {
        arm();
    } catch (...) {
        remove(w);
        throw;
    }
    return {};
}

void poller::remove(watched& w) noexcept {
    if (w.descriptor_ < 0) return;
    ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, std::exchange(w.descriptor_, -1), nullptr);
    for (auto i = next_; i < count_; ++i)
        if (ready_[i].data.ptr == &w) ready_[i].data.ptr = nullptr;
    if (--watched_ > 0) return;
    // Or the executor would have work for as long as this lives.
    error_code ignored;
    epoll_.cancel(ignored);
}

void poller::arm() {
    if (armed_ || watched_ == 0) return;
    epoll_.async_wait(asio::posix::stream_descriptor::wait_read, turn(shared_from_this()));
    armed_ = true;
}

void poller::run() {
    // In the middle of another turn, as a handler of the user's polls his context: what that one has still to tell is told here.
    tell_again();
    auto const n = ::epoll_wait(epoll_.native_handle(), ready_.data(), static_cast<int>(ready_.size()), 0);
    next_ = 0;
    count_ = n > 0 ? static_cast<std::size_t>(n) : 0;
    // First, as who is told may throw, and behind epoll_wait, or Asio would find at once what this has found.
    arm();
    tell();
}

void poller::tell() {
    class at_end {
    public:
        explicit at_end(poller& p) noexcept : poller_(p) {}
        ~at_end() { poller_.tell_again(); }
        at_end(at_end const&) = delete;
        at_end& operator=(at_end const&) = delete;

    private:
        poller& poller_;
    } const end(*this);
    while (next_ < count_) {
        auto const& event = ready_[next_++];
        auto* const w = static_cast<watched*>(event.data.ptr);
        constexpr unsigned both = EPOLLERR | EPOLLHUP;
        if (w != nullptr)
            w->on_ready({(event.events & (EPOLLIN | EPOLLRDHUP | both)) != 0, (event.events & (EPOLLOUT | both)) != 0,
                         (event.events & (EPOLLRDHUP | both)) != 0});
    }
}

/// Those that are still to be told, though their turn has ended, or another one begun: epoll looks at them once more.
void poller::tell_again() noexcept {
    for (; next_ < count_; ++next_) {
        auto event = ready_[next_];
        auto const* const w = static_cast<watched*>(event.data.ptr);
        if (w == nullptr) continue;
        event.events = edges;
        ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, w->descriptor_, &event);
    }
}

}  // namespace jirapool::detail
