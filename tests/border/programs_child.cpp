// Runs programs one after another in a process that any of them may end.
#include "programs_world.hpp"

#include "support/process_threads.hpp"
#include "wire/fixture.hpp"

#include <unistd.h>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <optional>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace jirapool::border_test {

namespace {

/// Ends the process when a program takes too long: something waits for ever.
class watchdog {
public:
    explicit watchdog(progress& p) : p_(p), thread_([this] { watch(); }) {}
    ~watchdog() {
        {
            std::lock_guard const lock(mutex_);
            over_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

private:
    void watch() {
        std::unique_lock lock(mutex_);
        for (std::uint64_t last = 0;;) {
            if (changed_.wait_for(lock, 30s, [this] { return over_; })) return;
            auto const now = std::atomic_ref(p_.begun).load();
            if (now == last) {
                std::snprintf(p_.complaint, sizeof p_.complaint, "step %llu does not return\n",
                              static_cast<unsigned long long>(std::atomic_ref(p_.step).load()));
                std::abort();
            }
            last = now;
        }
    }

    progress& p_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;
};

void run(program const& steps, surroundings& around, progress& p) {
    around.jira().start();
    around.jira().set_faults({});
    world w(around, p);
    for (auto const& s : steps) {
        std::atomic_ref(p.step).fetch_add(1);
        if (step_kinds()[s.kind].run(w, s)) ++p.steps[s.kind];
    }
}

}  // namespace

namespace {

void run_all(std::vector<program> const& all, progress& p) {
    surroundings around;
    watchdog const dog(p);
    bool const look_for_leaks = std::getenv("JIRAPOOL_PROGRAMS_LEAKS") != nullptr;
    for (auto const& steps : all) {
        std::atomic_ref(p.step).store(0);
        std::atomic_ref(p.begun).fetch_add(1);
        run(steps, around, p);
#if defined(__SANITIZE_ADDRESS__)
        if (look_for_leaks && __lsan_do_recoverable_leak_check() != 0)
            std::snprintf(p.complaint, sizeof p.complaint, "it leaks\n");
#else
        (void)look_for_leaks;
#endif
        if (p.complaint[0] != 0) ::_exit(3);
        std::atomic_ref(p.finished).fetch_add(1);
    }
}

}  // namespace

void run_programs(std::vector<program> const& all, progress& p) {
    users_thread = true;
    auto const before = support::process_threads();
    run_all(all, p);
    // A runtime that its own handler destroyed leaves a thread that nobody can join.
    (void)wire_test::eventually([&] { return support::process_threads() <= before; });
}

}  // namespace jirapool::border_test
