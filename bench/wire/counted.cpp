// Stands in front of the C library's functions and counts. Not in a program that valgrind is to count for: it would not see them.
#include "counted.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <cstddef>

extern "C" {
// glibc's names of what it is itself. NOLINTBEGIN(bugprone-reserved-identifier)
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* p, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
// NOLINTEND(bugprone-reserved-identifier)
}

namespace {

// Of one thread at a time: who measures has one.
jirapool::bench::counts all;

template <class... Arguments>
long asked(long number, Arguments... arguments) {
    ++all.system_calls;
    return ::syscall(number, arguments...);
}

}  // namespace

jirapool::bench::counts jirapool::bench::counted() noexcept { return all; }

extern "C" {

ssize_t recv(int s, void* to, std::size_t size, int flags) {
    return asked(SYS_recvfrom, s, to, size, flags, nullptr, nullptr);
}
ssize_t send(int s, void const* from, std::size_t size, int flags) {
    return asked(SYS_sendto, s, from, size, flags, nullptr, 0);
}
ssize_t recvmsg(int s, msghdr* m, int flags) { return asked(SYS_recvmsg, s, m, flags); }
ssize_t sendmsg(int s, msghdr const* m, int flags) { return asked(SYS_sendmsg, s, m, flags); }
ssize_t read(int fd, void* to, std::size_t size) { return asked(SYS_read, fd, to, size); }
ssize_t write(int fd, void const* from, std::size_t size) { return asked(SYS_write, fd, from, size); }
int epoll_wait(int fd, epoll_event* events, int most, int timeout) {
    return static_cast<int>(asked(SYS_epoll_pwait, fd, events, most, timeout, nullptr, 0));
}
int epoll_ctl(int fd, int what, int descriptor, epoll_event* event) noexcept {
    return static_cast<int>(asked(SYS_epoll_ctl, fd, what, descriptor, event));
}
int timerfd_settime(int fd, int flags, itimerspec const* at, itimerspec* before) noexcept {
    return static_cast<int>(asked(SYS_timerfd_settime, fd, flags, at, before));
}

void* malloc(std::size_t size) noexcept {
    ++all.allocations;
    return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
    ++all.allocations;
    return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t size) noexcept {
    ++all.allocations;
    return __libc_realloc(p, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    ++all.allocations;
    return __libc_memalign(alignment, size);
}
}
