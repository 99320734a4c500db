#include "files.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace jirapool::mock {
namespace {

[[noreturn]] void fail(char const* step, std::string const& path, int error) {
    throw std::runtime_error(fmt::format("cannot {} {}: {}", step, path, std::strerror(error)));
}

class descriptor {
public:
    explicit descriptor(int number) noexcept : number_(number) {}
    ~descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;

    int number() const noexcept { return number_; }
    /// As ::close.
    int close() noexcept { return ::close(std::exchange(number_, -1)); }

private:
    int number_;
};

/// A file beside the one that is to be, gone with this object.
class temporary_file {
public:
    temporary_file(std::string const& path, std::string const& content, mode_t mode)
        : name_(fmt::format("{}.{}.tmp", path, ::getpid())) {
        // A leftover of another run may have a wider mode.
        ::unlink(name_.c_str());
        descriptor file(::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (file.number() < 0) fail("create", path, errno);
        for (std::size_t done = 0; done < content.size();) {
            ssize_t const n = ::write(file.number(), content.data() + done, content.size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) give_up(path, errno);
            done += static_cast<std::size_t>(n);
        }
        if (file.close() != 0) give_up(path, errno);
    }
    ~temporary_file() { ::unlink(name_.c_str()); }
    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;

    char const* name() const noexcept { return name_.c_str(); }

private:
    [[noreturn]] void give_up(std::string const& path, int error) {
        ::unlink(name_.c_str());
        fail("write", path, error);
    }

    std::string name_;
};

}  // namespace

void write_file(std::string const& path, std::string const& content, mode_t mode) {
    temporary_file const made(path, content, mode);
    if (::rename(made.name(), path.c_str()) != 0) fail("create", path, errno);
}

bool create_file(std::string const& path, std::string const& content, mode_t mode) {
    temporary_file const made(path, content, mode);
    if (::link(made.name(), path.c_str()) == 0) return true;
    if (errno != EEXIST) fail("create", path, errno);
    return false;
}

std::optional<std::string> read_file(std::string const& path, std::size_t most) {
    descriptor const file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.number() < 0) {
        if (errno == ENOENT) return std::nullopt;
        fail("open", path, errno);
    }
    std::string content;
    char some[4096];
    while (true) {
        ssize_t const n = ::read(file.number(), some, sizeof some);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("read", path, errno);
        if (n == 0) return content;
        content.append(some, static_cast<std::size_t>(n));
        if (content.size() > most) fail("read", path, EFBIG);
    }
}

}  // namespace jirapool::mock
