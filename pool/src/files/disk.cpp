#include "files/disk.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace jirapool::detail {

namespace {

// File systems that do not answer must not become a thread for each call.
constexpr std::size_t max_threads = 16;

// Between two pieces of a body a thread is kept.
constexpr auto idle_time = std::chrono::seconds(1);

error_code last_error() noexcept { return {errno, boost::system::generic_category()}; }

class disk_threads {
public:
    /// Throws std::system_error when no thread can be had.
    void start(std::function<void()> work) {
        std::lock_guard const lock(mutex_);
        queue_.push_back(std::move(work));
        if (idle_ >= queue_.size() || threads_ == max_threads) {
            changed_.notify_one();
            return;
        }
        try {
            std::thread([this] { run(); }).detach();
            ++threads_;
        } catch (std::system_error const&) {
            if (threads_ > 0) return;
            queue_.pop_back();
            throw;
        }
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            ++idle_;
            bool const any = changed_.wait_for(lock, idle_time, [this] { return !queue_.empty(); });
            --idle_;
            if (!any) break;
            auto work = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            work();
            work = nullptr;  // what it kept goes on this thread, and without the lock
            lock.lock();
        }
        --threads_;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> queue_;
    std::size_t threads_ = 0;
    std::size_t idle_ = 0;
};

disk_threads& disk() {
    // Never destroyed: its threads may outlast main.
    static auto* const threads = new disk_threads;
    return *threads;
}

/// Of one piece of work. The thread writes to an eventfd and knows nothing of executors, which may be gone by then.
class signal {
public:
    /// The duplicate outlives the waiter's own descriptor: a late one never meets another file of that number.
    explicit signal(int descriptor) noexcept : descriptor_(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) {}
    ~signal() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    signal(signal const&) = delete;
    signal& operator=(signal const&) = delete;

    bool valid() const noexcept { return descriptor_ >= 0; }
    void raise() noexcept {
        done_.store(true, std::memory_order_release);
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const n = ::write(descriptor_, &one, sizeof one);
    }
    bool raised() const noexcept { return done_.load(std::memory_order_acquire); }

private:
    int descriptor_;
    std::atomic<bool> done_{false};
};

}  // namespace

asio::awaitable<error_code> on_disk(std::function<void()> work) {
    auto const ex = co_await asio::this_coro::executor;
    asio::posix::stream_descriptor wait(ex);
    error_code ec;
    int const descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0) co_return last_error();
    wait.assign(descriptor, ec);
    if (ec) {
        ::close(descriptor);
        co_return ec;
    }
    auto const done = std::make_shared<signal>(descriptor);
    if (!done->valid()) co_return last_error();
    auto job = [work = std::move(work), done] {
        work();
        done->raise();
    };
    try {
        disk().start(std::move(job));
    } catch (std::system_error const& e) {
        ec = error_code(e.code().value(), boost::system::generic_category());
    }
    while (!ec && !done->raised()) {
        auto const [waited] = co_await wait.async_wait(asio::posix::stream_descriptor::wait_read,
                                                       asio::as_tuple(asio::use_awaitable));
        ec = waited;
    }
    co_return ec;
}

}  // namespace jirapool::detail
