#include "settings.hpp"

#include <mutex>
#include <utility>

namespace jirapool::mock {
namespace {

std::shared_ptr<intercept_function const> shared(intercept_function f) {
    return f ? std::make_shared<intercept_function const>(std::move(f)) : nullptr;
}

}  // namespace

settings::settings(mock::params p)
    : params_(std::move(p)), current_{params_.faulty, shared(params_.intercept)}, http2_(params_.http2) {}

settings::current settings::in_force() const {
    std::shared_lock const lock(mutex_);
    return current_;
}

faults settings::get_faults() const {
    std::shared_lock const lock(mutex_);
    return current_.faulty;
}

void settings::set_faults(faults f) {
    std::lock_guard const lock(mutex_);
    current_.faulty = f;
}

void settings::set_intercept(intercept_function f) {
    auto next = shared(std::move(f));
    {
        std::lock_guard const lock(mutex_);
        current_.intercept.swap(next);
    }
    // The old one ends here, outside the lock: what it owns may be anything.
}

http2_settings settings::get_http2() const {
    std::shared_lock const lock(mutex_);
    return http2_;
}

void settings::set_http2(http2_settings s) {
    std::lock_guard const lock(mutex_);
    http2_ = s;
}

}  // namespace jirapool::mock
