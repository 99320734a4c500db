// Figures of what metrics cost and whether they are right, over TLS against the mock: hidden from ctest, tests/figures.sh metrics runs them
// in a Release build.
#include "fixture.hpp"
#include "support/figure.hpp"

#include <jirapool/core/overview.hpp>
#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/exposition.hpp>

#include <boost/asio/post.hpp>

#include <time.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;

namespace {

connection_config some_connection(std::size_t n) {
    char cloud[40];
    std::snprintf(cloud, sizeof cloud, "%08zx-0000-4000-8000-000000000000", n);
    return make_connection_config("c" + std::to_string(n), service_api_token(cloud, secret("key"))).value();
}

/// The CPU time of this thread: what others of the machine do in between is not in it.
std::chrono::nanoseconds cpu_of_thread() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

std::size_t lines_of(std::string const& text) {
    std::size_t n = 0;
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) n += text[at] == '#' ? 0 : 1;
    return n;
}

/// The stretches of CPU that a loop spends between two turns of a handler that posts itself again, but for those in which nothing happens.
class turns {
public:
    explicit turns(asio::io_context& io) : io_(io) { again(); }
    /// In microseconds, the longest last: those since it was asked the last time.
    std::vector<double> take() {
        std::vector<double> taken;
        {
            std::lock_guard const lock(mutex_);
            taken.swap(seen_);
        }
        std::sort(taken.begin(), taken.end());
        return taken;
    }
    /// Turns so far, those in which nothing happens too.
    std::uint64_t count() const { return count_; }
    void stop() { over_ = true; }

private:
    void again() {
        asio::post(io_, [this] {
            constexpr std::chrono::microseconds nothing{5};
            if (auto const took = cpu_of_thread() - last_; last_ != last_.zero() && took > nothing) {
                std::lock_guard const lock(mutex_);
                seen_.push_back(static_cast<double>(took.count()) / 1000);
            }
            ++count_;
            last_ = cpu_of_thread();
            if (!over_) again();
        });
    }
    asio::io_context& io_;
    std::chrono::nanoseconds last_{};
    std::mutex mutex_;
    std::vector<double> seen_;
    std::atomic<std::uint64_t> count_{0};
    std::atomic<bool> over_{false};
};

}  // namespace

TEST_CASE("metrics figures: a scrape's series, size and time, whatever the number of sites", "[.figures]") {
    std::size_t series = 0;
    for (std::size_t const sites : {std::size_t{10}, std::size_t{10'000}, std::size_t{100'000}}) {
        asio::io_context io;
        client_params p;
        p.executor_is_serial = true;
        client jira(io, p);
        auto const view = jira.overview();
        std::thread runs([&] { io.run(); });
        for (std::size_t n = 0; n < sites; ++n) jira.add(some_connection(n)).value();
        REQUIRE(eventually([&] { return jira.totals().sites == sites; }, 120s));
        metrics::collector const numbers(view);
        view->look(10s);  // what is seen the first time was in no cache
        turns loop(io);
        std::vector<double> took;
        std::string text;
        loop.take();
        auto const before = loop.count();
        for (int i = 0; i < 21; ++i) {
            auto const began = std::chrono::steady_clock::now();
            text = metrics::expose(numbers.families(), metrics::exposition_format::text);
            took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
            view->look(10s);
        }
        std::sort(took.begin(), took.end());
        auto const turn = loop.take();
        // The longest are the machine's own, with its interrupts in them: as long in as many turns without any survey.
        auto const with = loop.count();
        REQUIRE(eventually([&] { return loop.count() - with >= with - before; }, 120s));
        auto const without = loop.take();
        auto const name = std::to_string(sites);
        figure("scrape_ms_" + name + "_sites", took[took.size() / 2]);
        figure("scrape_bytes_" + name + "_sites", static_cast<double>(text.size()));
        figure("scrape_series_" + name + "_sites", static_cast<double>(lines_of(text)));
        REQUIRE(!turn.empty());
        figure("survey_turn_us_p99_" + name + "_sites", turn[turn.size() * 99 / 100]);
        figure("survey_turn_us_worst_" + name + "_sites", turn.back());
        figure("idle_turn_us_worst_" + name + "_sites", without.empty() ? 0 : without.back());
        if (series == 0) series = lines_of(text);
        CHECK(lines_of(text) == series);
        auto const all = view->sites(10s);
        CHECK(all.size() == sites);
        loop.stop();
        jira.stop();
        io.stop();
        runs.join();
    }
}

TEST_CASE("metrics figures: in the worst trouble there are no more series than the ceiling lets", "[.figures]") {
    asio::io_context io;
    client_params p;
    p.executor_is_serial = true;
    p.connect_to.push_back({"", "127.0.0.1", 1});  // nobody listens
    p.retries.max_exchanges = 1;
    client jira(io, p);
    auto const view = jira.overview();
    metrics::collector const numbers(view);
    std::thread runs([&] { io.run(); });
    view->look(10s);
    auto const before = lines_of(metrics::expose(numbers.families(), metrics::exposition_format::text));
    std::vector<connection> all;
    for (std::size_t n = 0; n < 1'000; ++n) all.push_back(jira.add(some_connection(n)).value());
    std::vector<std::future<result<response>>> calls;
    for (auto const& c : all)
        calls.push_back(c.async_call(request::get("/rest/api/3/myself").timeout(3s), asio::use_future));
    for (auto& c : calls) c.get();
    view->look(10s);
    auto const families = numbers.families();
    auto const after = lines_of(metrics::expose(families, metrics::exposition_format::text));
    figure("series_added_by_trouble", static_cast<double>(after - before));
    auto const dropped = std::find_if(families.begin(), families.end(),
                                      [](auto const& f) { return f.name == "jirapool_series_dropped"; });
    figure("series_dropped_told", dropped->numbers.front().value);
    CHECK(dropped->numbers.front().value > 900);
    CHECK(after > before + 500);
    jira.stop();
    io.stop();
    runs.join();
}

TEST_CASE("metrics figures: after 100,000 mixed calls with faults the counters are the mock's own", "[.figures]") {
    mock::params world;
    world.threads = 1;
    world.sites = 60;
    world.personal = world.service = world.oauth = 60;
    world.burst_scale = 0.5;  // some 429s
    world.faulty.error_rate = 0.01;
    fixture f(world);
    f.params.retries.budget_ratio = 1;
    f.params.retries.backoff = 10ms;
    runtime jira(2, f.params);
    std::vector<connection> all;
    for (auto const& c : f.jira.world().connections()) all.push_back(jira.add(f.config(c.id)).value());

    constexpr std::size_t count = 100'000;
    constexpr std::size_t at_once = 200;
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::map<int, std::uint64_t> got;  // by the answer's status; 0: none
    std::promise<void> done;
    std::atomic<std::size_t> ended{0};
    std::function<void()> one = [&] {
        auto const i = next++;
        if (i >= count) return;
        auto const& c = all[i % all.size()];
        auto r = i % 10 == 0 ? request::post("/rest/api/3/search/jql").json(R"({"jql":"project = PROJ"})")
                 : i % 10 == 1
                     ? request::put("/rest/api/3/issue/PROJ-" + std::to_string(1 + i % 40)).json(R"({"fields":{}})")
                 : i % 10 == 2 ? request::get("/rest/api/3/issue/NOPE-1")
                               : request::get("/rest/api/3/issue/PROJ-" + std::to_string(1 + i % 40));
        c.async_call(std::move(r).timeout(60s).priority(i % 3 == 0 ? priority::background : priority::interactive),
                     [&](result<response> const& end) {
                         {
                             std::lock_guard const lock(mutex);
                             ++got[end ? end->status() : 0];
                         }
                         one();  // before: behind the last end nothing of this is there any more
                         if (++ended == count) done.set_value();
                     });
    };
    for (std::size_t i = 0; i < at_once; ++i) one();
    REQUIRE(done.get_future().wait_for(400s) == std::future_status::ready);

    auto const s = f.jira.snapshot();
    std::uint64_t differences = 0;
    auto const same = [&](char const* what, std::uint64_t ours, std::uint64_t theirs) {
        INFO(what << ": counted " << ours << ", the mock " << theirs);
        CHECK(ours == theirs);
        if (ours != theirs) ++differences;
    };
    std::uint64_t answers = 0;
    std::uint64_t limited = 0;
    std::uint64_t answered_401 = 0;
    std::uint64_t tokens = 0;
    std::uint64_t calls = 0;
    std::uint64_t by_priority = 0;
    std::uint64_t observed = 0;
    std::uint64_t opened = 0;
    std::array<std::uint64_t, outcome_count> outcomes{};
    for (auto const& shard : detail::stats_access::of(jira)) {
        answers += total(shard->answers);
        limited += total(shard->limited);
        answered_401 += shard->answered_401.value();
        tokens += total(shard->token_refreshes);
        calls += total(shard->calls);
        by_priority += total(shard->calls_by_priority);
        opened += total(shard->channels_opened);
        for (auto const& h : shard->call_duration)
            for (std::size_t b = 0; b <= histogram::bounds.size(); ++b) observed += h.bucket(b);
        for (auto const& kind : shard->calls)
            for (auto const& of_class : kind)
                for (std::size_t o = 0; o < outcome_count; ++o) outcomes[o] += of_class[o].value();
    }
    // Checks of connections are no calls, and tenant_info is no answer of Jira's.
    std::uint64_t tenant_info = 0;
    for (auto const& [route, n] : s.by_route)
        if (route.find("tenant_info") != std::string::npos) tenant_info += n;
    same("answers", answers, s.site_requests + s.gateway_requests - tenant_info);
    same("429s", limited, s.limited_total);
    same("401s", answered_401, s.unauthorized);
    same("token exchanges", tokens, s.token_exchanges);
    same("calls", calls, count);
    same("calls by priority", by_priority, count);
    same("durations", observed, count);
    same("channels", opened, s.handshakes);
    std::array<std::uint64_t, outcome_count> expected{};
    for (auto const& [status, n] : got)
        if (status != 0) expected[static_cast<std::size_t>(outcome_of(status))] += n;
    for (auto const o : {outcome::success, outcome::redirect, outcome::client_error, outcome::server_error})
        same(to_string(o), outcomes[static_cast<std::size_t>(o)], expected[static_cast<std::size_t>(o)]);
    CHECK(s.limited_total > 0);
    CHECK(s.injected_errors > 500);
    figure("counters_unlike_the_mock", static_cast<double>(differences));
    figure("counted_calls", static_cast<double>(calls));
    figure("counted_429s", static_cast<double>(limited));
}
