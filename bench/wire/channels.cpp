// What open channels cost, and what becomes of calls when all channels die at once. One server process, one client thread.
//   channels_bench idle [CHANNELS]    bytes of each idle channel, then calls over all of them
//   channels_bench kill [CHANNELS]    all channels are reset, each with a read in flight
#include "server_process.hpp"

#include "sim/counting_allocator.hpp"
#include "support/figure.hpp"

#include <jirapool/core/stats.hpp>
#include <jirapool/pool/client.hpp>

#include <boost/asio/io_context.hpp>

#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::bench;
using namespace std::chrono_literals;

namespace {

using wall = std::chrono::steady_clock;

double seconds_since(wall::time_point t) { return std::chrono::duration<double>(wall::now() - t).count(); }

void measured(char const* name, double value) {
    std::printf("%-24s %.10g\n", name, value);
    support::figure(name, value);
}

std::size_t resident_bytes() {
    std::FILE* const f = std::fopen("/proc/self/statm", "r");
    unsigned long size = 0;
    unsigned long resident = 0;
    if (f == nullptr || std::fscanf(f, "%lu %lu", &size, &resident) != 2) std::abort();
    std::fclose(f);
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// As many sites as channels, so that no site's share is in the way.
class many_channels {
public:
    many_channels(server_process const& server, std::size_t channels, std::size_t max_dialing, std::size_t min_idle = 0)
        : jira_(io_, params(server, channels, max_dialing, min_idle)) {
        for (std::size_t i = 0; i < channels; ++i) {
            char cloud[64];
            std::snprintf(cloud, sizeof cloud, "11111111-2222-3333-4444-%012zu", i);
            sites_.push_back(
                jira_.add("c" + std::to_string(i), service_api_token(cloud, secret("0123456789abcdef"))).value());
        }
        io_.poll();
    }

    shard_stats const& stats() { return *stats_; }

    /// One handler after another, and a look behind each, until `done` says so. False: for too long.
    bool run_until(std::function<bool()> const& done) {
        auto const begun = wall::now();
        while (!done()) {
            if (seconds_since(begun) > 60) return false;
            io_.run_one_for(1ms);
            most_dialing_ = std::max(most_dialing_, stats_->channels_dialing.value());
        }
        return true;
    }

    void call(std::size_t site, std::string const& target, std::function<void(bool ok)> then) {
        sites_[site].async_call(request::get(target).timeout(30s), [this, then](result<response> r) {
            bool const ok = r && r->status() == 200;
            if (!ok) ++failed_;
            ++ended_;
            then(ok);
        });
    }
    /// A call of each site at once.
    bool round(std::string const& target) {
        auto const end = ended_ + sites_.size();
        for (std::size_t i = 0; i < sites_.size(); ++i) call(i, target, [](bool) {});
        return run_until([&] { return ended_ == end; });
    }

    std::size_t ended() const noexcept { return ended_; }
    std::size_t failed() const noexcept { return failed_; }
    std::int64_t most_dialing() const noexcept { return most_dialing_; }

private:
    static client_params params(server_process const& server, std::size_t channels, std::size_t max_dialing,
                                std::size_t min_idle) {
        client_params p;
        p.user_agent = "bench/1";
        p.tls.ca_file = server.ca_file();
        p.connect_to.push_back({"", "127.0.0.1", server.port()});
        p.pool.max_channels = channels;
        p.pool.max_dialing = max_dialing;
        p.pool.min_idle = min_idle;
        p.pool.idle_timeout = 600'000ms;
        p.executor_is_serial = true;
        return p;
    }

    asio::io_context io_{1};
    client jira_;
    std::shared_ptr<shard_stats const> stats_ = detail::stats_access::of(jira_).front();
    std::vector<connection> sites_;
    std::size_t ended_ = 0;
    std::size_t failed_ = 0;
    std::int64_t most_dialing_ = 0;
};

int idle(std::size_t channels) {
    server_process const server(-1);
    many_channels jira(server, channels, 64, channels);
    // The first use of the origin has them dialled. What the first call makes once for all is not a channel's.
    bool first = false;
    jira.call(0, "/rest/api/3/myself?bytes=500", [&](bool) { first = true; });
    bool ok = jira.run_until([&] { return first; });
    auto const already = static_cast<double>(jira.stats().channels_idle.value());
    auto const own = sim::live_bytes();
    auto const resident = resident_bytes();
    auto const all = static_cast<std::int64_t>(channels);
    ok = ok && jira.run_until([&] { return jira.stats().channels_idle.value() == all; });
    // Each is used, and then left alone for as long as the pool takes to notice.
    std::string const target = "/rest/api/3/myself?bytes=500&delay_ms=2000";
    ok = ok && jira.round(target);
    auto const used = wall::now();
    ok = ok && jira.run_until([&] { return seconds_since(used) > 12; });
    auto const open = static_cast<double>(jira.stats().channels_idle.value()) - already;
    measured("idle_channels", static_cast<double>(jira.stats().channels_idle.value()));
    measured("idle_own_bytes", static_cast<double>(sim::live_bytes() - own) / open);
    measured("idle_all_bytes", static_cast<double>(resident_bytes() - resident) / open);
    auto const opened = total(jira.stats().channels_opened);
    auto const before = jira.ended();
    for (int i = 0; ok && i < 2; ++i) ok = jira.round(target);
    measured("idle_calls", static_cast<double>(jira.ended() - before));
    measured("idle_failed", static_cast<double>(jira.failed()));
    measured("idle_dialled_anew", static_cast<double>(total(jira.stats().channels_opened) - opened));
    return ok ? 0 : 1;
}

double dial_seconds(shard_stats const& s) {
    double sum = 0;
    for (auto const& stage : s.dial_duration) sum += stage.sum_seconds();
    return sum;
}

int kill(std::size_t channels) {
    constexpr std::size_t max_dialing = 16;
    std::string const target = "/rest/api/3/myself?bytes=500&delay_ms=250";
    server_process const server(-1);
    many_channels jira(server, channels, max_dialing);
    std::vector<double> ends;  // of calls
    auto const begun = wall::now();
    bool over = false;
    std::function<void(std::size_t)> again = [&](std::size_t site) {
        jira.call(site, target, [&, site](bool) {
            ends.push_back(seconds_since(begun));
            if (!over) again(site);
        });
    };
    for (std::size_t i = 0; i < channels; ++i) again(i);
    auto const& s = jira.stats();
    auto const all = static_cast<std::int64_t>(channels);
    auto const run_for = [&](double seconds) {
        auto const from = wall::now();
        return jira.run_until([&] { return seconds_since(from) >= seconds; });
    };
    // Each channel has served, so that what it loses is known to be no server's refusal.
    bool ok = jira.run_until([&] { return s.channels_active.value() == all; }) && run_for(2);

    auto const opened = total(s.channels_opened);
    auto const dialled = dial_seconds(s);
    auto const at_kill = wall::now();
    server.kill_connections();
    ok = ok && jira.run_until([&] { return total(s.channels_opened) >= opened + channels; });
    ok = ok && jira.run_until([&] { return s.channels_active.value() == all; });
    auto const recovery = seconds_since(at_kill);
    // With as many dials at once as there may be, and each as long as it took.
    auto const ideal = (dial_seconds(s) - dialled) / static_cast<double>(max_dialing);
    ok = ok && run_for(2.5);
    over = true;
    ok = ok && jira.run_until([&] { return !ends.empty() && s.calls_in_flight.value() == 0; });

    auto const killed = std::chrono::duration<double>(at_kill - begun).count();
    auto const rate = [&](double from, double to) {
        auto const n = std::count_if(ends.begin(), ends.end(), [&](double t) { return t >= from && t < to; });
        return static_cast<double>(n) / (to - from);
    };
    measured("kill_channels", static_cast<double>(channels));
    measured("kill_dialing_max", static_cast<double>(jira.most_dialing()));
    measured("kill_recovery_ms", recovery * 1e3);
    measured("kill_ideal_ms", ideal * 1e3);
    measured("kill_recovery_of_ideal", recovery / ideal);
    measured("kill_rate_of_before",
             rate(killed + recovery + 0.5, killed + recovery + 2.5) / rate(killed - 1.5, killed));
    measured("kill_resends",
             static_cast<double>(s.resends[static_cast<std::size_t>(resend_reason::channel_lost)].value()));
    measured("kill_calls", static_cast<double>(jira.ended()));
    measured("kill_lost", static_cast<double>(jira.failed()));
    return ok ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    std::string const what = argc > 1 ? argv[1] : "";
    std::size_t const channels = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
    if (what == "idle") return idle(channels > 0 ? channels : 5000);
    if (what == "kill") return kill(channels > 0 ? channels : 500);
    std::fprintf(stderr, "usage: channels_bench idle|kill [CHANNELS]\n");
    return 2;
}
