#pragma once

#include <cstddef>
#include <new>

namespace jirapool::detail {

/** Room for one pending operation of Asio, so that starting it cannot fail for want of memory: behind the suspension of a
    coroutine an exception finds nobody who would handle it. Must outlive the operation. */
class handler_memory {
public:
    handler_memory() = default;
    handler_memory(handler_memory const&) = delete;
    handler_memory& operator=(handler_memory const&) = delete;

    void* allocate(std::size_t size) {
        if (used_ || size > sizeof storage_) return ::operator new(size);
        used_ = true;
        return storage_;
    }
    void deallocate(void* p) noexcept {
        if (p == storage_) used_ = false;
        else ::operator delete(p);
    }

private:
    // More than a wait for a descriptor takes; what does not fit comes from the heap.
    alignas(std::max_align_t) std::byte storage_[256];
    bool used_ = false;
};

/// What a handler returns from get_allocator.
template <class T = void>
class handler_allocator {
public:
    using value_type = T;

    explicit handler_allocator(handler_memory& m) noexcept : memory_(&m) {}
    template <class U>
    handler_allocator(handler_allocator<U> const& other) noexcept : memory_(other.memory_) {}

    T* allocate(std::size_t n) { return static_cast<T*>(memory_->allocate(n * sizeof(T))); }
    void deallocate(T* p, std::size_t) noexcept { memory_->deallocate(p); }

    template <class U>
    bool operator==(handler_allocator<U> const& other) const noexcept {
        return memory_ == other.memory_;
    }

private:
    template <class>
    friend class handler_allocator;
    handler_memory* memory_;
};

}  // namespace jirapool::detail
