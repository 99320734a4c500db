#include "wait/clock.hpp"

#include <ctime>

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
        return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    }
};

}  // namespace

engine_clock const& system_clock() noexcept {
    // Never destroyed: a runtime of static storage may be in use when the statics of before it are gone.
    static auto const* const clock = new real_clock;  // NOLINT(bugprone-unhandled-exception-at-new): the first engine's
    return *clock;
}

}  // namespace jirapool::detail
