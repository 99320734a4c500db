#include "wait/timer_alarm.hpp"

#include "wait/handler_memory.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/system_error.hpp>

#include <sys/timerfd.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace jirapool::detail {

namespace asio = boost::asio;

namespace {

int open_timer() {
    int const descriptor = ::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (descriptor < 0)
        throw boost::system::system_error(errno, boost::system::system_category(), "no timer for a shard");
    return descriptor;
}

class timer_alarm final : public alarm {
public:
    explicit timer_alarm(asio::any_io_executor ex) : timer_(std::make_shared<timer>(std::move(ex), *this)) {
        timer::wait(timer_);
    }
    ~timer_alarm() override { disarm(); }

    void arm(steady_time at) noexcept override {
        // A time of zero would mean that it never rings.
        auto const since_boot = std::max(at.time_since_epoch(), steady_duration(1));
        auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
        itimerspec when{};
        when.it_value.tv_sec = static_cast<std::time_t>(seconds.count());
        when.it_value.tv_nsec = static_cast<long>(std::chrono::nanoseconds(since_boot - seconds).count());
        timer_->arms.fetch_add(1, std::memory_order_release);
        ::timerfd_settime(timer_->descriptor.native_handle(), TFD_TIMER_ABSTIME, &when, nullptr);
    }

    void disarm() noexcept override {
        // Once: the last who holds a shard may be on another thread than the ring's.
        if (timer_->owner == nullptr) return;
        timer_->owner = nullptr;
        boost::system::error_code ignored;
        timer_->descriptor.cancel(ignored);
    }

private:
    struct timer;

    class ring {
    public:
        using allocator_type = handler_allocator<>;

        explicit ring(std::shared_ptr<timer> t) noexcept : timer_(std::move(t)) {}
        allocator_type get_allocator() const noexcept { return allocator_type(timer_->memory); }
        void operator()(boost::system::error_code ec) {
            auto const t = std::move(timer_);
            // The system's timer orders nothing that a language or a checker of races would know of.
            t->arms.load(std::memory_order_acquire);
            if (ec || t->owner == nullptr) return;
            std::uint64_t rings = 0;
            [[maybe_unused]] auto const n = ::read(t->descriptor.native_handle(), &rings, sizeof rings);
            timer::wait(t);
            if (t->owner->on_ring) t->owner->on_ring();
        }

    private:
        std::shared_ptr<timer> timer_;
    };

    struct timer {
        timer(asio::any_io_executor ex, timer_alarm& a) : descriptor(std::move(ex), open_timer()), owner(&a) {}
        static void wait(std::shared_ptr<timer> const& self) {
            self->descriptor.async_wait(asio::posix::stream_descriptor::wait_read, ring(self));
        }
        asio::posix::stream_descriptor descriptor;
        timer_alarm* owner;
        std::atomic<std::uint32_t> arms{0};
        handler_memory memory;
    };

    std::shared_ptr<timer> timer_;
};

}  // namespace

std::unique_ptr<alarm> make_timer_alarm(asio::any_io_executor ex) {
    return std::make_unique<timer_alarm>(std::move(ex));
}

}  // namespace jirapool::detail
