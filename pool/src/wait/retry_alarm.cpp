#include "wait/retry_alarm.hpp"

#include <boost/system/system_error.hpp>

#include <sys/timerfd.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <new>
#include <utility>

namespace jirapool::detail {

namespace asio = boost::asio;

namespace {

constexpr long moment_ns = 10'000'000;

int open_timer() {
    int const descriptor = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (descriptor < 0)
        throw boost::system::system_error(errno, boost::system::system_category(), "no timer for a shard");
    return descriptor;
}

}  // namespace

struct retry_alarm::timer {
    timer(asio::any_io_executor ex, std::function<void()> f)
        : descriptor(std::move(ex), open_timer()),
          on_ring(std::make_shared<std::function<void()> const>(std::move(f))) {}

    std::mutex mutex;  // of all below
    asio::posix::stream_descriptor descriptor;
    std::shared_ptr<std::function<void()> const> on_ring;  // null: its owner is gone
    handler_memory memory;
    bool asked = false;
};

class retry_alarm::ring {
public:
    using allocator_type = handler_allocator<>;

    explicit ring(std::shared_ptr<timer> t) noexcept : timer_(std::move(t)) {}
    allocator_type get_allocator() const noexcept { return allocator_type(timer_->memory); }
    void operator()(boost::system::error_code ec) {
        auto const t = std::move(timer_);
        std::shared_ptr<std::function<void()> const> call;
        {
            std::lock_guard const lock(t->mutex);
            t->asked = false;
            if (ec || !t->on_ring) return;
            std::uint64_t rings = 0;
            [[maybe_unused]] auto const n = ::read(t->descriptor.native_handle(), &rings, sizeof rings);
            call = t->on_ring;
        }
        (*call)();
    }

private:
    std::shared_ptr<timer> timer_;
};

retry_alarm::retry_alarm(asio::any_io_executor ex, std::function<void()> on_ring)
    : timer_(std::make_shared<timer>(std::move(ex), std::move(on_ring))) {}

retry_alarm::~retry_alarm() {
    std::lock_guard const lock(timer_->mutex);
    timer_->on_ring.reset();
    boost::system::error_code ignored;
    timer_->descriptor.cancel(ignored);
}

void retry_alarm::ask() noexcept {
    std::lock_guard const lock(timer_->mutex);
    if (std::exchange(timer_->asked, true)) return;
    itimerspec when{};
    when.it_value.tv_nsec = moment_ns;
    ::timerfd_settime(timer_->descriptor.native_handle(), 0, &when, nullptr);
    try {
        timer_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read, ring(timer_));
    } catch (std::bad_alloc const&) {
        // Only an executor that takes memory for each handler, as a strand does, comes here: the shard's end is the next try.
        timer_->asked = false;
    }
}

}  // namespace jirapool::detail
