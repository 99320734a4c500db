#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace jirapool::detail {

/// A file that may change, by the directory that it stands in. Without a name: each `*.json` file there.
struct watched_file {
    std::string directory;
    std::string name;
    auto operator<=>(watched_file const&) const = default;
};

/** Waits until one of some files may have changed (inotify), a time has come, or somebody wakes it.

    @par Threads   One thread waits; any may wake it, also a signal handler. */
class file_events {
public:
    /// Throws std::system_error when there is no descriptor for the timer or to be woken by. `every`: 0 means never.
    explicit file_events(std::chrono::seconds every);
    ~file_events();
    file_events(file_events const&) = delete;
    file_events& operator=(file_events const&) = delete;

    /// Looks at these from now on. @return 0, or the errno of what cannot be looked at, but for directories that do not exist.
    int look_at(std::set<watched_file> const& files);

    /// Waits for a change, the time, or to be woken.
    void wait();
    /// @return whether something came meanwhile. Without a wait of `at_most`, none does.
    bool wait(std::chrono::milliseconds at_most);

    void wake() noexcept;

private:
    bool concerns_us(int directory, std::string_view name) const;
    /// Whether one of the events that have come concerns us.
    bool take_changes();
    bool poll(int milliseconds);

    int inotify_ = -1;
    int timer_ = -1;
    int woken_ = -1;
    struct directory {
        std::string path;
        std::set<std::string, std::less<>> names;
    };
    std::map<int, directory> directories_;
};

}  // namespace jirapool::detail
