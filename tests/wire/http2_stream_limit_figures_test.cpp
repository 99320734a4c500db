// Whether calls come through whatever number of streams a server allows: hidden from ctest, tests/figures.sh http2 runs it in a Release
// build.
#include "load.hpp"
#include "support/figure.hpp"
#include "support/sanitized.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;

namespace {

// A call that takes longer was forgotten, and something else woke it: the pool looks at its channels each 5 s.
constexpr auto too_long = test::sanitized ? 10s : 4s;
// Where the limit changes, a call may be refused several times, and waits in between.
constexpr auto too_long_where_it_changes = 25s;

mock::params world_that_allows(std::uint32_t streams) {
    mock::params p;
    // As many as calls come at once, so that it is the streams they wait for, and not the rate that Jira allows a site.
    p.sites = p.service = 300;
    p.personal = p.oauth = 0;
    p.burst_scale = 1000;
    p.faulty.latency = streams == 1 ? 1ms : 10ms;  // so that as many run at once
    p.http2.max_concurrent_streams = streams;
    return p;
}

/// Calls that come in crowds: behind the last of one nothing happens any more that would wake who was forgotten.
class crowds {
    std::chrono::milliseconds const longest_;

public:
    crowds(std::uint32_t streams, bool dials, std::chrono::milliseconds longest)
        : longest_(longest), f(world_that_allows(streams)), jira(1, over_http2(f.params, dials)) {
        for (auto const& c : f.jira.world().connections()) all_.push_back(jira.add(f.config(c.id)).value());
    }
    /// False: some do not end.
    bool come(std::size_t size) {
        open_ = size;
        for (std::size_t i = 0; i < size; ++i) {
            auto const begun = std::chrono::steady_clock::now();
            all_[i % all_.size()].async_call(request::get("/rest/api/3/issue/PROJ-1").timeout(30s),
                                             [this, begun](result<response> const& end) {
                                                 on_end(std::chrono::steady_clock::now() - begun, end);
                                                 --open_;
                                             });
        }
        return eventually([&] { return open_ == 0; }, 60s);
    }

    fixture f;
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> stuck{0};
    std::atomic<std::int64_t> slowest_ms{0};
    std::mutex mutex;
    std::map<std::string, int> failures;
    runtime jira;

private:
    static client_params over_http2(client_params p, bool dials) {
        p.wire.http = http_versions::http2;
        p.pool.dial_at_stream_limit = dials;
        return p;
    }
    void on_end(std::chrono::steady_clock::duration took, result<response> const& end) {
        ++calls;
        if (took >= longest_) ++stuck;
        slowest_ms = std::max<std::int64_t>(slowest_ms, took / 1ms);
        if (end && end->ok()) return;
        ++failed;
        std::lock_guard const lock(mutex);
        ++failures[end ? std::to_string(end->status()) : end.error().rule()];
    }

    std::vector<connection> all_;
    std::atomic<std::size_t> open_{0};
};

/// Where it `changes`, `limit` is what it is first.
void measure(std::string const& name, std::uint32_t limit, bool changes) {
    double calls = 0;
    double stuck = 0;
    double failed = 0;
    double exceeded = 0;
    double refused = 0;
    double slowest = 0;
    for (bool const dials : {true, false}) {
        INFO(name << (dials ? ", and dials" : ", and waits"));
        crowds c(limit, dials, changes ? too_long_where_it_changes : too_long);
        std::mt19937 random(7);
        auto const up_to = [&](std::uint32_t most) {
            return std::uniform_int_distribution<std::uint32_t>(1, most)(random);
        };
        std::atomic<bool> over{false};
        std::thread changer;
        if (changes) {
            changer = std::thread([&] {
                std::mt19937 own(11);
                // Now and then none at all.
                std::uniform_int_distribution<std::uint32_t> limits(0, 150);
                for (std::uint64_t seen = 0; !over;) {
                    mock::http2_settings s = c.f.jira.get_http2();
                    s.max_concurrent_streams = own() % 4 != 0 ? limits(own) : limits(own) % 4;
                    c.f.jira.set_http2(s);
                    // Behind some calls, or a moment in which there are none as nothing is allowed.
                    (void)eventually([&] { return over || c.calls > seen + 300; }, 50ms);
                    seen = c.calls;
                }
            });
        }
        std::size_t const rounds = test::sanitized ? 10 : changes ? 50 : 100;
        auto const largest = limit == 1 ? 60u : 300u;
        bool all_ended = true;
        for (std::size_t i = 0; i < rounds && all_ended; ++i)
            all_ended = c.come(i % 4 != 3 ? up_to(largest) : up_to(10));
        over = true;
        if (changer.joinable()) changer.join();
        c.jira.stop();
        auto const s = c.f.jira.snapshot();
        std::string told;
        for (auto const& [what, times] : c.failures) told += "\n" + std::to_string(times) + " " + what;
        INFO(told);
        CHECK(all_ended);
        CHECK(c.failed == 0);
        CHECK(c.stuck == 0);
        CHECK(s.bad_requests == 0);
        if (!changes) CHECK(s.streams_max_open <= limit);
        // Else nobody waited at the limit.
        if (!changes) CHECK(s.streams_max_open >= limit);
        calls += static_cast<double>(c.calls);
        stuck += static_cast<double>(c.stuck) + (all_ended ? 0 : 1);
        failed += static_cast<double>(c.failed);
        exceeded += static_cast<double>(s.bad_requests);
        refused += static_cast<double>(s.resets_sent);
        slowest = std::max(slowest, static_cast<double>(c.slowest_ms));
    }
    auto const show = [&](char const* what, double value) {
        figure("http2_stream_limit_" + std::string(what) + name, value);
    };
    show("calls_", calls);
    show("stuck_", stuck);
    show("failed_", failed);
    show("exceeded_", exceeded);
    show("refused_", refused);
    show("slowest_ms_", slowest);
}

}  // namespace

TEST_CASE("load figures: one stream at a time lets all calls through", "[.figures]") { measure("1", 1, false); }

TEST_CASE("load figures: a hundred streams at a time let all calls through", "[.figures]") {
    measure("100", 100, false);
}

TEST_CASE("load figures: a number of streams that changes all the time lets all calls through", "[.figures]") {
    measure("changing", 150, true);
}
