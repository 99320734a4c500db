#include <jirapool/tools/process.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define JIRAPOOL_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JIRAPOOL_SANITIZED 1
#endif

namespace jirapool::tools {
namespace {

/// A terminal or pipe that another program made non-blocking is waited for.
bool may_go_on(int descriptor, short events) noexcept {
    if (errno == EINTR) return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
    pollfd p{descriptor, events, 0};
    return ::poll(&p, 1, -1) >= 0 || errno == EINTR;
}

}  // namespace

void forbid_dumps() noexcept {
#if !defined(JIRAPOOL_SANITIZED)
    char const* const allowed = std::getenv("JIRAPOOL_DUMPABLE");
    if (!allowed || std::strcmp(allowed, "1") != 0) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void guard_streams() noexcept {
    // In this order: open takes the lowest number, which is the closed one. Opened the wrong way round, so that its use fails.
    for (int const stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(stream, F_GETFD) < 0) ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    std::signal(SIGPIPE, SIG_IGN);
}

bool write_all(int descriptor, std::string_view text) noexcept {
    while (!text.empty()) {
        auto const n = ::write(descriptor, text.data(), text.size());
        if (n >= 0) text.remove_prefix(static_cast<std::size_t>(n));
        else if (!may_go_on(descriptor, POLLOUT)) return false;
    }
    return true;
}

bool read_all(int descriptor, std::string& to) {
    char piece[16384];
    for (;;) {
        auto const n = ::read(descriptor, piece, sizeof piece);
        if (n == 0) return true;
        if (n > 0) to.append(piece, static_cast<std::size_t>(n));
        else if (!may_go_on(descriptor, POLLIN)) return false;
    }
}

void tell(std::string_view text) noexcept { write_all(STDERR_FILENO, text); }

bool print(char const* tool, std::string_view text) {
    if (write_all(STDOUT_FILENO, text)) return true;
    tell(std::string(tool) + ": cannot write to standard output: " + std::strerror(errno) + "\n");
    return false;
}

output_file::~output_file() {
    if (owned_) ::close(descriptor_);
}

bool output_file::open(std::string const& path) {
    owned_ = path != "-";
    // Without O_TRUNC: a run that does not come to its end leaves what was there.
    descriptor_ = owned_ ? ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : STDOUT_FILENO;
    if (descriptor_ < 0) owned_ = false;
    // A closed standard output is seen here already; a full disk only later.
    return descriptor_ >= 0 && ::write(descriptor_, "", 0) == 0;
}

bool output_file::write(std::string_view text) noexcept {
    struct stat s{};
    if (owned_ && ::fstat(descriptor_, &s) == 0 && S_ISREG(s.st_mode) && ::ftruncate(descriptor_, 0) != 0) return false;
    if (!write_all(descriptor_, text)) return false;
    // Some file systems say only here that there was no room.
    if (!owned_) return true;
    owned_ = false;
    return ::close(descriptor_) == 0;
}

}  // namespace jirapool::tools
