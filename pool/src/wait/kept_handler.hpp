#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace jirapool::detail {

/// A handler of whatever type, kept in place: a coroutine that is suspended has nobody to tell that memory lacks.
template <class Result>
class kept_handler {
public:
    kept_handler() = default;
    kept_handler(kept_handler const&) = delete;
    kept_handler& operator=(kept_handler const&) = delete;
    ~kept_handler() { end(nullptr); }

    template <class Handler>
    void emplace(Handler h) noexcept {
        static_assert(sizeof(Handler) <= sizeof(room_) && std::is_nothrow_move_constructible_v<Handler>);
        ::new (static_cast<void*>(room_)) Handler(std::move(h));
        end_ = [](void* at, Result* r) {
            auto& kept = *static_cast<Handler*>(at);
            auto moved = std::move(kept);
            kept.~Handler();  // NOLINT(bugprone-use-after-move): what is left of it
            if (r != nullptr) std::move(moved)(std::move(*r));
        };
    }
    explicit operator bool() const noexcept { return end_ != nullptr; }
    /// Empty before the handler runs, which may destroy this.
    void call(Result r) { end(&r); }
    void destroy() noexcept { end(nullptr); }

private:
    void end(Result* r) {
        if (auto const f = std::exchange(end_, nullptr)) f(room_, r);
    }

    alignas(void*) std::byte room_[4 * sizeof(void*)];
    void (*end_)(void*, Result*) = nullptr;
};

}  // namespace jirapool::detail
