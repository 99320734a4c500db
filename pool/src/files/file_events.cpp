#include "files/file_events.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>

namespace jirapool::detail {

namespace {

constexpr std::uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

void let_go(int fd) noexcept {
    if (fd >= 0) ::close(fd);
}

}  // namespace

file_events::file_events(std::chrono::seconds every)
    : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      woken_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    itimerspec when{};
    when.it_interval.tv_sec = when.it_value.tv_sec = every.count();
    // Without inotify (fs.inotify.max_user_instances) the time and the caller's word are left.
    if (timer_ >= 0 && woken_ >= 0 && ::timerfd_settime(timer_, 0, &when, nullptr) == 0) return;
    auto const why = errno;
    let_go(inotify_);
    let_go(timer_);
    let_go(woken_);
    throw std::system_error(why, std::generic_category(), "connections_watch: no descriptor to wait with");
}

file_events::~file_events() {
    let_go(inotify_);
    let_go(timer_);
    let_go(woken_);
}

int file_events::look_at(std::set<watched_file> const& files) {
    if (inotify_ < 0) return EMFILE;
    int why = 0;
    std::map<int, directory> now;
    for (auto const& f : files) {
        // A directory that is looked at already keeps its number.
        int const number = ::inotify_add_watch(inotify_, f.directory.c_str(), changes);
        if (number < 0) {
            if (errno != ENOENT && errno != ENOTDIR) why = errno;
            continue;
        }
        auto& d = now[number];
        d.path = f.directory;
        d.names.insert(f.name);
    }
    for (auto const& [number, d] : directories_)
        if (!now.contains(number)) ::inotify_rm_watch(inotify_, number);
    directories_ = std::move(now);
    return why;
}

bool file_events::concerns_us(int number, std::string_view name) const {
    auto const found = directories_.find(number);
    if (found == directories_.end()) return false;
    auto const& names = found->second.names;
    // The directory itself; and the link that Kubernetes sets anew when it has written all files of a volume ("..data").
    if (name.empty() || name.starts_with("..")) return true;
    return names.contains(name) || (names.contains("") && name.ends_with(".json"));
}

bool file_events::take_changes() {
    alignas(inotify_event) std::array<char, 16 * 1024> buffer{};
    bool ours = false;
    while (true) {
        auto const size = ::read(inotify_, buffer.data(), buffer.size());
        if (size <= 0) return ours;
        for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(size);) {
            inotify_event e{};
            std::memcpy(&e, buffer.data() + at, sizeof e);
            auto const* const name = buffer.data() + at + sizeof e;
            at += sizeof e + e.len;
            if ((e.mask & IN_IGNORED) != 0) continue;  // behind IN_DELETE_SELF, or because we look at it no more
            ours = ours || (e.mask & IN_Q_OVERFLOW) != 0 ||
                   concerns_us(e.wd, std::string_view(name, e.len == 0 ? 0 : ::strnlen(name, e.len)));
        }
    }
}

bool file_events::poll(int milliseconds) {
    std::array<pollfd, 3> all{{{inotify_, POLLIN, 0}, {timer_, POLLIN, 0}, {woken_, POLLIN, 0}}};
    if (::poll(all.data(), all.size(), milliseconds) <= 0) return false;
    bool came = false;
    std::uint64_t count = 0;
    for (int const fd : {timer_, woken_}) came = ::read(fd, &count, sizeof count) > 0 || came;
    return take_changes() || came;
}

void file_events::wait() {
    while (!poll(-1)) {
    }
}

bool file_events::wait(std::chrono::milliseconds at_most) { return poll(static_cast<int>(at_most.count())); }

void file_events::wake() noexcept {
    auto const before = errno;
    std::uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(woken_, &one, sizeof one);
    errno = before;
}

}  // namespace jirapool::detail
