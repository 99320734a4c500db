#include "registry/file_events.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>

namespace jirapool::detail {

namespace {

constexpr std::uint32_t changes_of_directories = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |
                                                 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// Also while whoever writes keeps it open.
constexpr std::uint32_t changes_of_files = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

void let_go(int fd) noexcept {
    if (fd >= 0) ::close(fd);
}

}  // namespace

file_events::file_events(engine_clock const& clock, std::chrono::seconds every)
    : clock_(clock),
      inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
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

int file_events::look_at(std::set<watched_place> const& places) {
    using kind = watched_place::kind;
    if (inotify_ < 0) return EMFILE;
    int why = 0;
    std::map<int, watch> now;
    for (auto const& p : places) {
        // What is looked at already keeps its number.
        bool const is_file = p.what == kind::file;
        int const number = ::inotify_add_watch(inotify_, p.path.c_str(),
                                               is_file ? changes_of_files : changes_of_directories);
        if (number < 0) {
            bool const matters = p.what == kind::name || p.what == kind::json;
            if (matters && errno != ENOENT && errno != ENOTDIR) why = errno;
            continue;
        }
        auto& w = now[number];
        w.whole = w.whole || is_file;
        w.json = w.json || p.what == kind::json;
        if (!p.name.empty()) w.names.insert(p.name);
    }
    for (auto const& [number, w] : watches_)
        if (!now.contains(number)) ::inotify_rm_watch(inotify_, number);
    watches_ = std::move(now);
    return why;
}

bool file_events::concerns_us(watch const& w, std::string_view name) noexcept {
    // Without a name it is the directory itself.
    return w.whole || name.empty() || w.names.contains(name) || (w.json && name.ends_with(".json"));
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
            auto const found = watches_.find(e.wd);
            ours = ours || (e.mask & IN_Q_OVERFLOW) != 0 ||
                   (found != watches_.end() &&
                    concerns_us(found->second, std::string_view(name, e.len == 0 ? 0 : ::strnlen(name, e.len))));
        }
    }
}

bool file_events::take_all() {
    bool came = false;
    std::uint64_t count = 0;
    for (int const fd : {timer_, woken_}) came = ::read(fd, &count, sizeof count) > 0 || came;
    return take_changes() || came;
}

bool file_events::wait_until(steady_time end) {
    using namespace std::chrono_literals;
    while (true) {
        std::array<pollfd, 3> all{{{inotify_, POLLIN, 0}, {timer_, POLLIN, 0}, {woken_, POLLIN, 0}}};
        // A long wait is one of many: what comes meanwhile may not concern us.
        auto const left = std::chrono::ceil<std::chrono::milliseconds>(std::min<steady_duration>(end - clock_.now(),
                                                                                                 1h));
        if (::poll(all.data(), all.size(), static_cast<int>(std::max(left, 0ms).count())) > 0 && take_all())
            return true;
        if (clock_.now() >= end) return false;
    }
}

void file_events::wake() noexcept {
    auto const before = errno;
    std::uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(woken_, &one, sizeof one);
    errno = before;
}

}  // namespace jirapool::detail
