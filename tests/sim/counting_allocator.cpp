#include "counting_allocator.hpp"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace {

std::size_t live = 0;  // the simulator has one thread

void* counted(void* p) {
    if (p == nullptr) throw std::bad_alloc();
    live += malloc_usable_size(p) + sizeof(std::size_t);  // and glibc's own word in front
    return p;
}

void release(void* p) noexcept {
    if (p == nullptr) return;
    live -= malloc_usable_size(p) + sizeof(std::size_t);
    std::free(p);
}

}  // namespace

std::size_t jirapool::sim::live_bytes() noexcept { return live; }

void* operator new(std::size_t size) { return counted(std::malloc(size)); }
void* operator new[](std::size_t size) { return counted(std::malloc(size)); }
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    void* const p = std::malloc(size);
    return p ? counted(p) : nullptr;
}
void* operator new[](std::size_t size, std::nothrow_t const& tag) noexcept { return operator new(size, tag); }
void* operator new(std::size_t size, std::align_val_t align) {
    return counted(std::aligned_alloc(static_cast<std::size_t>(align), size));
}
void* operator new[](std::size_t size, std::align_val_t align) {
    return counted(std::aligned_alloc(static_cast<std::size_t>(align), size));
}
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { release(p); }
void operator delete[](void* p, std::nothrow_t const&) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { release(p); }
