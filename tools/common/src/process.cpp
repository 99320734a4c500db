#include <jirapool/tools/process.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
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

void forbid_dumps() noexcept {
#if !defined(JIRAPOOL_SANITIZED)
    char const* const allowed = std::getenv("JIRAPOOL_DUMPABLE");
    if (!allowed || std::strcmp(allowed, "1") != 0) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

bool write_output(std::string const& path, std::string const& text) {
    bool const standard = path == "-";
    int const fd = standard ? STDOUT_FILENO : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    bool ok = true;
    for (std::size_t done = 0; ok && done < text.size();) {
        auto const n = ::write(fd, text.data() + done, text.size() - done);
        if (n >= 0) done += static_cast<std::size_t>(n);
        else if (errno != EINTR) ok = false;
    }
    int const error = errno;
    if (!standard && ::close(fd) != 0 && ok) return false;
    errno = error;
    return ok;
}

}  // namespace jirapool::tools
