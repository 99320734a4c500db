#include <jirapool/pool/files.hpp>

#include "files/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <new>
#include <utility>
#include <vector>

namespace jirapool {

namespace {

error_code last_error() noexcept { return {errno, boost::system::generic_category()}; }

// Names that are taken, by a program of our number that was killed, before we give up.
constexpr int max_names = 1000;

failure cannot(char const* what, std::string const& path, error_code const& why) {
    return failure(why).with_rule("cannot " + std::string(what) + " " + path + ": " + why.message());
}

/// The system would take what is before it for the path.
bool has_nul(std::string const& path) noexcept { return path.find('\0') != std::string::npos; }

char const* kind_of(mode_t mode) noexcept {
    if (S_ISLNK(mode)) return "a symbolic link";
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    return "a device";
}

/// No code: a file may be renamed to `path`, where there is nothing yet or a regular file. A pipe or a device is not what it
/// holds, and nobody reads it any more once it is replaced. A link is refused and not followed: who can write to the folder
/// would choose what is overwritten, and where the part file goes.
failure why_not_replaceable(std::string const& path) {
    if (has_nul(path)) return {errc::invalid_argument, "cannot write to a path with a NUL in it"};
    struct stat s{};
    if (::lstat(path.c_str(), &s) != 0) return errno == ENOENT ? failure() : cannot("write", path, last_error());
    if (S_ISREG(s.st_mode)) return {};
    return {errc::invalid_argument,
            "cannot write " + path + ": it is " + kind_of(s.st_mode) + ", and only a regular file is replaced"};
}

}  // namespace

namespace detail {

class open_file {
public:
    explicit open_file(int descriptor) noexcept : descriptor_(descriptor) {}
    ~open_file() { ::close(descriptor_); }
    open_file(open_file const&) = delete;
    open_file& operator=(open_file const&) = delete;
    int descriptor() const noexcept { return descriptor_; }

private:
    int descriptor_;
};

/// A file that is not in its place yet. Goes with its owner, unless it was moved there.
class part_file {
public:
    explicit part_file(std::string path) : path_(std::move(path)) {}
    ~part_file() {
        [[maybe_unused]] auto const unread = close();
        if (!name_.empty()) ::unlink(name_.c_str());
    }
    part_file(part_file const&) = delete;
    part_file& operator=(part_file const&) = delete;

    failure append(std::string_view bytes) {
        if (descriptor_ < 0)
            if (auto f = open(); f.code()) return f;
        while (!bytes.empty()) {
            auto const n = ::write(descriptor_, bytes.data(), bytes.size());
            if (n >= 0) bytes.remove_prefix(static_cast<std::size_t>(n));
            else if (errno != EINTR) return cannot("write", path_, last_error());
        }
        return {};
    }

    failure finish() {
        if (auto f = append({}); f.code()) return f;  // a body of no bytes is a file as well
        if (auto const ec = close()) return cannot("write", path_, ec);
        // Once more: the download may have taken an hour.
        if (auto f = why_not_replaceable(path_); f.code()) return f;
        if (std::rename(name_.c_str(), path_.c_str()) != 0) return cannot("write", path_, last_error());
        name_.clear();
        return {};
    }

private:
    failure open() {
        if (auto f = why_not_replaceable(path_); f.code()) return f;
        static std::atomic<std::uint64_t> next{0};
        for (int i = 0; i < max_names; ++i) {
            auto name = path_ + ".part-" + std::to_string(::getpid()) + "-" + std::to_string(next++);
            descriptor_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            if (descriptor_ >= 0) {
                name_ = std::move(name);
                return {};
            }
            if (errno != EEXIST) break;
        }
        return cannot("write", path_, last_error());
    }

    // Some file systems say only here that there was no room.
    error_code close() noexcept {
        if (descriptor_ < 0 || ::close(std::exchange(descriptor_, -1)) == 0) return {};
        return last_error();
    }

    std::string path_;
    std::string name_;
    int descriptor_ = -1;
};

namespace {

/// What a thread does for a sink. Owns all of it: the call may be over.
struct write_job {
    std::shared_ptr<part_file> file;
    std::shared_ptr<part_file> discarded;
    std::string bytes;
    bool last = false;
    failure result;

    void run() noexcept {
        discarded.reset();
        try {
            result = last ? file->finish() : file->append(bytes);
        } catch (std::bad_alloc const&) {
            result = failure(make_error_code(boost::system::errc::not_enough_memory));
        }
        // Here and not when the thread comes to it: who waits for us may want the part to be gone with its sink.
        file.reset();
    }
};

struct read_job {
    std::shared_ptr<open_file> file;
    std::vector<char> bytes;
    std::uint64_t at = 0;
    std::size_t got = 0;
    error_code result;

    void run() noexcept {
        for (;;) {
            auto const n = ::pread(file->descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(at));
            if (n >= 0) got = static_cast<std::size_t>(n);
            else if (errno == EINTR) continue;
            else result = last_error();
            return;
        }
    }
};

asio::awaitable<failure> write_on_disk(std::shared_ptr<part_file> file, std::shared_ptr<part_file> discarded,
                                       std::string bytes, bool last) {
    auto const job = std::make_shared<write_job>();
    job->file = std::move(file);
    job->discarded = std::move(discarded);
    job->bytes = std::move(bytes);
    job->last = last;
    std::function<void()> work = [job] { job->run(); };
    error_code const ec = co_await on_disk(std::move(work));
    if (ec) co_return failure(ec);
    co_return job->result;
}

}  // namespace

}  // namespace detail

file_sink::file_sink(std::string path) : path_(std::move(path)) {}
file_sink::~file_sink() = default;

error_code file_sink::begin(response const&) {
    void_ = std::exchange(file_, std::make_shared<detail::part_file>(path_));
    return {};
}

asio::awaitable<error_code> file_sink::write(std::string_view piece) {
    auto writing = detail::write_on_disk(file_, std::move(void_), std::string(piece), false);
    failure const f = co_await std::move(writing);
    why_ = f.rule();
    co_return f.code();
}

asio::awaitable<error_code> file_sink::end() {
    auto ending = detail::write_on_disk(file_, std::move(void_), {}, true);
    failure const f = co_await std::move(ending);
    why_ = f.rule();
    co_return f.code();
}

file_source::file_source(std::shared_ptr<detail::open_file> f, std::string path, std::uint64_t size) noexcept
    : file_(std::move(f)), path_(std::move(path)), size_(size) {}
file_source::~file_source() = default;

result<std::shared_ptr<file_source>> file_source::open(std::string const& path) {
    if (has_nul(path)) return failure(errc::invalid_argument, "must hold no NUL").with_field("path");
    // A pipe would wait for who writes to it.
    int const descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return cannot("read", path, last_error()).with_field("path");
    auto file = std::make_shared<detail::open_file>(descriptor);
    struct stat s{};
    if (::fstat(descriptor, &s) != 0) return cannot("read", path, last_error()).with_field("path");
    if (!S_ISREG(s.st_mode))
        return failure(errc::invalid_argument, "must be a regular file, and " + path + " is " + kind_of(s.st_mode))
            .with_field("path");
    return std::shared_ptr<file_source>(new file_source(std::move(file), path, static_cast<std::uint64_t>(s.st_size)));
}

asio::awaitable<result<std::size_t>> file_source::read(char* to, std::size_t max) {
    auto const job = std::make_shared<detail::read_job>();
    job->file = file_;
    job->bytes.resize(max);
    job->at = at_;
    std::function<void()> work = [job] { job->run(); };
    error_code ec = co_await detail::on_disk(std::move(work));
    if (!ec) ec = job->result;
    if (ec) co_return cannot("read", path_, ec);
    std::copy_n(job->bytes.data(), job->got, to);
    at_ += job->got;
    co_return job->got;
}

bool file_source::rewind() noexcept {
    at_ = 0;
    return true;
}

}  // namespace jirapool
