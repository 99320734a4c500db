#pragma once

#include <jirapool/pool/params.hpp>

#include <cstdint>
#include <ctime>
#include <string>

namespace jirapool::bench {

/// What a client has to do, and with whom.
struct task {
    std::uint16_t port = 0;
    std::string ca_file;
    std::size_t body = 1024;
    std::size_t calls = 0;
    std::size_t warm_up = 0;  ///< calls before the clock starts: dials, first answers, full caches
    // For run_ours alone.
    http_versions http = http_versions::http1;
    std::size_t at_once = 64;  ///< calls
    std::size_t max_channels = 64;
    bool limits =
        true;  ///< off where the server says nothing of limits, and what is believed then would hold calls back
    void (*at_edge)() = nullptr;  ///< called when the measured calls begin, and when they have ended
};
inline constexpr int channels = 64;
/// The cloud ID of one of as many sites.
std::string cloud_id(int n);
inline constexpr char const* host = "api.atlassian.com";

inline double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Each makes the calls over 64 channels at once and returns the CPU seconds that the measured ones took. Throws when one fails.
double run_ours(task const& t);
double run_ours_crossing(task const& t);
double run_bare(task const& t);
double run_beast(task const& t);

/// Answers GET /…?bytes=N&delay_ms=D with N bytes, as Jira's gateway would, until it is killed. `listener` does not block.
/// SIGUSR1 makes it reset every connection.
[[noreturn]] void serve(int listener, std::string const& certificate, std::string const& key);

}  // namespace jirapool::bench
