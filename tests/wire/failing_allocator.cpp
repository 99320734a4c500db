#include "failing_allocator.hpp"

#include <malloc.h>
#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t left = 0;     // until the first that fails, and with it; 0: it has come to that
thread_local std::size_t to_fail = 0;  // in a row
thread_local bool of_nothrow = false;
thread_local bool of_asio = false;

void* checked(void* p) {
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

/// Whether this is the allocation that fails.
bool counted_out() noexcept {
    if (left > 0) --left;
    if (left > 0 || to_fail == 0) return false;
    --to_fail;
    return true;
}

void count() {
    if (counted_out()) throw std::bad_alloc();
}

}  // namespace

namespace jirapool::wire_test {

failing_allocation::failing_allocation(std::size_t n, bool nothrow_too, std::size_t in_a_row) noexcept {
    left = n;
    to_fail = in_a_row;
    of_nothrow = nothrow_too;
    of_asio = in_a_row == 1;
}
failing_allocation::~failing_allocation() { left = to_fail = 0; }
bool failing_allocation::failed() const noexcept { return left == 0; }

}  // namespace jirapool::wire_test

// This is what asio::aligned_new calls.
extern "C" void* aligned_alloc(std::size_t align, std::size_t size) {
    return of_asio && counted_out() ? nullptr : memalign(align, size);
}

void* operator new(std::size_t size) {
    count();
    return checked(std::malloc(size));
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new(std::size_t size, std::align_val_t align) {
    count();
    auto const a = static_cast<std::size_t>(align);
    return checked(memalign(a, (size + a - 1) / a * a));
}
void* operator new[](std::size_t size, std::align_val_t align) { return operator new(size, align); }
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    if (of_nothrow && counted_out()) return nullptr;
    return std::malloc(size);
}
void* operator new[](std::size_t size, std::nothrow_t const& t) noexcept { return operator new(size, t); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete[](void* p, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
