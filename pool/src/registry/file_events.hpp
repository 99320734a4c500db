#pragma once

#include "wait/clock.hpp"

#include <jirapool/core/time.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace jirapool::detail {

/// What may change.
struct watched_place {
    // In the order in which they get what inotify has left.
    enum class kind : std::uint8_t {
        name,   ///< what has this name in this directory: it is made, written, renamed, taken away
        json,   ///< all `*.json` files of this directory
        above,  ///< as `name`, of a directory on the way to what matters
        file,   ///< the file of this path itself, under whatever names it is written
    };
    kind what;
    std::string path;  ///< the directory's, or the file's
    std::string name;
    auto operator<=>(watched_place const&) const = default;
};

/** Waits until one of some places may have changed (inotify), a time has come, or somebody wakes it.

    @par Threads   One thread waits; any may wake it, also a signal handler. */
class file_events {
public:
    /// Throws std::system_error when there is no descriptor for the timer or to be woken by. `every`: 0 means never.
    file_events(engine_clock const& clock, std::chrono::seconds every);
    ~file_events();
    file_events(file_events const&) = delete;
    file_events& operator=(file_events const&) = delete;

    /// Looks at these from now on. @return 0, or the errno of a `name` or `json` that is there and cannot be looked at.
    int look_at(std::set<watched_place> const& places);

    /// Waits for a change, the time, or to be woken. @return false when none came before `end`.
    bool wait_until(steady_time end);

    void wake() noexcept;

private:
    struct watch {
        bool whole = false;  // all that happens to it
        bool json = false;
        std::set<std::string, std::less<>> names;
    };
    static bool concerns_us(watch const& w, std::string_view name) noexcept;
    /// Whether one of the events that have come concerns us.
    bool take_changes();
    bool take_all();

    engine_clock const& clock_;
    int inotify_ = -1;
    int timer_ = -1;
    int woken_ = -1;
    std::map<int, watch> watches_;
};

}  // namespace jirapool::detail
