// What calls in flight and idle sites hold of the client's memory and channels, over both versions of HTTP: hidden from ctest,
// tests/figures.sh http2 runs it in a Release build.
#include "load.hpp"
#include "support/figure.hpp"
#include "support/sanitized.hpp"

#include <fstream>
#include <optional>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;

namespace {

constexpr std::size_t site_count = 1'000;

mock::params many_sites() {
    mock::params p;
    p.sites = p.service = site_count;
    p.personal = p.oauth = 0;
    return p;
}

double resident_bytes() {
    std::ifstream in("/proc/self/statm");
    double all = 0;
    double resident = 0;
    in >> all >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

/// A client on the test's own thread, with a call of each site at once.
class crowd {
public:
    crowd(mock_process const& there, client_params p) : jira(io, std::move(p)) {
        for (auto const& c : there.world().connections())
            all.push_back(jira.add(fixture::config_of(there.world(), c)).value());
        io.poll();
    }
    void call_each() {
        for (auto const& c : all) {
            ++open;
            c.async_call(request::get("/rest/api/3/myself").timeout(5min), [this](result<response> const& r) {
                --open;
                if (!r || !r->ok()) ++failed;
            });
        }
    }
    template <class Condition>
    bool run_until(Condition const& done) {
        auto const end = std::chrono::steady_clock::now() + 60s;
        while (!done()) {
            if (std::chrono::steady_clock::now() > end) return false;
            io.run_one_for(1ms);
        }
        return true;
    }
    std::size_t channels() const {
        auto const& s = *stats;
        return static_cast<std::size_t>(s.channels_idle.value() + s.channels_active.value());
    }

    asio::io_context io{1};
    client jira;
    std::shared_ptr<shard_stats const> stats = detail::stats_access::of(jira).front();
    std::vector<connection> all;
    std::size_t open = 0;
    std::size_t failed = 0;
};

/// What a thousand calls in flight take beside what the first call of all makes once.
double bytes_in_flight(mock_process const& there, http_versions http) {
    auto p = there.params(http);
    p.pool.max_channels = site_count;  // over HTTP/1.1 each call has one
    crowd c(there, p);
    bool first = false;
    c.all.front().async_call(request::get("/rest/api/3/issue/PROJ-1"), [&](result<response> const&) { first = true; });
    if (!c.run_until([&] { return first; })) return -1;
    auto const before = resident_bytes();
    c.call_each();
    // All of them have been asked, and none is answered.
    auto const asked = [&] { return there.requests() == 1 + site_count; };
    if (!c.run_until(asked) || c.open != site_count) return -1;
    return resident_bytes() - before;
}

double channels_of_idle_sites(mock_process const& there, http_versions http) {
    crowd c(there, there.params(http));
    c.call_each();
    if (!c.run_until([&] { return c.open == 0 && c.stats->channels_active.value() == 0; }) || c.failed != 0) return -1;
    return static_cast<double>(c.channels());
}

double required(std::optional<double> const& of_process) {
    REQUIRE(of_process);
    REQUIRE(*of_process > 0);
    return *of_process;
}

}  // namespace

TEST_CASE("load figures: a thousand calls in flight take a quarter of the memory that they take over HTTP/1.1",
          "[.figures]") {
    allow_all_descriptors();
    double bytes[2] = {};
    for (auto const http : {http_versions::http1, http_versions::http2}) {
        auto world = many_sites();
        world.intercept = [](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
            if (!r.target.ends_with("/myself")) return std::nullopt;
            mock::scripted_reply none;
            none.never_answer = true;
            return none;
        };
        mock_process const there(std::move(world));
        bytes[http == http_versions::http2] = required(in_own_process([&] { return bytes_in_flight(there, http); }));
    }
    figure("http1_memory_1000_in_flight_bytes", bytes[0]);
    figure("http2_memory_1000_in_flight_bytes", bytes[1]);
    figure("http2_memory_share_1000_in_flight", bytes[1] / bytes[0]);
    if (!test::sanitized) CHECK(bytes[1] / bytes[0] <= 0.25);
}

TEST_CASE("load figures: a thousand idle sites keep few channels", "[.figures]") {
    allow_all_descriptors();
    mock_process const there(many_sites());
    double channels[2] = {};
    for (auto const http : {http_versions::http1, http_versions::http2})
        channels[http == http_versions::http2] = required(in_own_process([&] {
            return channels_of_idle_sites(there, http);
        }));
    figure("http1_channels_1000_idle_sites", channels[0]);
    figure("http2_channels_1000_idle_sites", channels[1]);
    CHECK(channels[1] < channels[0]);
}
