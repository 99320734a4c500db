#include "wait/clock.hpp"

#include <cstddef>
#include <ctime>
#include <new>

namespace jirapool::detail {

namespace {

class real_clock final : public engine_clock {
public:
    steady_time now() const noexcept override {
        timespec t{};
        ::clock_gettime(CLOCK_BOOTTIME, &t);
        return steady_time(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
    }
    wall_time wall() const noexcept override {
        // A few milliseconds late, and several times cheaper: whoever asks compares it with a date that knows seconds.
        timespec t{};
        ::clock_gettime(CLOCK_REALTIME_COARSE, &t);
        return wall_time(std::chrono::seconds(t.tv_sec) + std::chrono::milliseconds(t.tv_nsec / 1'000'000));
    }
};

}  // namespace

engine_clock const& system_clock() noexcept {
    // Never destroyed: a runtime of static storage may be in use when the statics of before it are gone.
    alignas(real_clock) static std::byte room[sizeof(real_clock)];
    static auto const* const clock = ::new (static_cast<void*>(room)) real_clock;
    return *clock;
}

}  // namespace jirapool::detail
