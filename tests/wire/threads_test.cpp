#include "fixture.hpp"
#include "support/figure.hpp"

#include <jirapool/metrics/collector.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <future>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr unsigned shards = 4;

mock::params busy_world() {
    mock::params p;
    p.sites = 24;
    p.personal = 24;
    p.service = 24;
    p.oauth = 24;
    p.burst_scale = 1000;
    return p;
}

std::vector<connection> add_all(runtime& jira, fixture const& f) {
    std::vector<connection> all;
    for (auto const& c : f.jira.world().connections()) all.push_back(jira.add(f.config(c.id)).value());
    return all;
}

/// A call of one connection starts, on its shard's thread, a call of the next connection: from each shard into each.
class relay {
public:
    relay(std::vector<connection> c, std::size_t calls)
        : connections_(std::move(c)), left_(static_cast<std::ptrdiff_t>(calls)) {}

    /// Until all calls were made; `runners` of them at a time.
    void run(std::size_t runners) {
        running_ = runners;
        auto ended = ended_.get_future();
        for (std::size_t i = 0; i < runners; ++i) step(i * 5);
        ended.wait();
    }

    std::set<std::pair<std::thread::id, std::thread::id>> ways() const {
        std::lock_guard const lock(mutex_);
        return ways_;
    }
    std::size_t failed() const noexcept { return failed_; }
    std::size_t crossed() const noexcept { return crossed_; }

private:
    void step(std::size_t at) {
        if (left_.fetch_sub(1) <= 0) {
            if (--running_ == 0) ended_.set_value();
            return;
        }
        auto const from = std::this_thread::get_id();
        // 7 has no factor in common with the number of connections, so that each meets each kind and shard.
        auto const next = (at + 7) % connections_.size();
        connections_[next].async_call(request::get("/rest/api/3/myself"), [this, from, next](result<response> r) {
            if (!r || r->status() != 200) ++failed_;
            auto const to = std::this_thread::get_id();
            if (from != to) ++crossed_;
            {
                std::lock_guard const lock(mutex_);
                ways_.emplace(from, to);
            }
            step(next);
        });
    }

    std::vector<connection> connections_;
    std::atomic<std::ptrdiff_t> left_;
    std::atomic<std::size_t> running_{0};
    std::atomic<std::size_t> failed_{0};
    std::atomic<std::size_t> crossed_{0};
    std::promise<void> ended_;
    mutable std::mutex mutex_;
    std::set<std::pair<std::thread::id, std::thread::id>> ways_;
};

std::uint64_t calls_of(shard_stats const& s) { return total(s.calls); }

}  // namespace

TEST_CASE("threads: calls go from each of four shards into each other one and come back whole") {
    fixture f(busy_world());
    f.params.limits.mode = limiting::off;
    runtime jira(shards, f.params);
    constexpr std::size_t calls = 4000;
    relay r(add_all(jira, f), calls);
    r.run(32);
    CHECK(r.failed() == 0);
    std::uint64_t made = 0;
    for (auto const& s : detail::stats_access::of(jira)) {
        CHECK(calls_of(*s) > calls / 20);
        made += calls_of(*s);
    }
    CHECK(made == calls);
    // The test's own thread begins the first ones.
    auto const here = std::this_thread::get_id();
    auto const ways = r.ways();
    auto const between = std::count_if(ways.begin(), ways.end(),
                                       [&](auto const& w) { return w.first != here && w.first != w.second; });
    CHECK(between == shards * (shards - 1));
    CHECK(r.crossed() > calls / 4);
    support::figure("tsan_calls_crossed_shards", static_cast<double>(r.crossed()));
    support::figure("tsan_ways_between_shards", static_cast<double>(between));
    std::printf("threads: %zu of %zu calls crossed shards, %td ways\n", r.crossed(), calls, between);
    auto const s = f.jira.snapshot();
    CHECK(s.isolation_violations == 0);
    CHECK(s.sni_mismatches == 0);
}

TEST_CASE("threads: adding, replacing, removing, finding, counting and draining go beside calls from any thread") {
    auto world = busy_world();
    world.token_lifetime = 2s;
    world.faulty.latency_jitter = 5ms;
    world.faulty.error_rate = 0.02;
    world.faulty.close_rate = 0.05;
    fixture f(world);
    f.params.limits.mode = limiting::off;
    f.params.pool.max_lifetime = 1000ms;
    event_log const log(f.params);
    runtime jira(shards, f.params);
    auto const all = add_all(jira, f);
    std::atomic<bool> over{false};
    std::atomic<std::size_t> unexpected{0};

    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            for (std::size_t i = 0; i < 150; ++i) {
                std::vector<std::future<result<response>>> calls;
                for (std::size_t k = 0; k < 8; ++k)
                    calls.push_back(all[(31 * t + 8 * i + k) % all.size()].async_call(
                        request::get("/rest/api/3/myself").timeout(i % 10 == 0 ? 2ms : 30'000ms), asio::use_future));
                for (auto& c : calls) {
                    auto const r = c.get();
                    if (r || r.error().code() == errc::timeout || r.error().code() == errc::connection_removed ||
                        r.error().code() == errc::token_unavailable || r.error().code() == errc::channel_lost)
                        continue;
                    ++unexpected;
                }
                // Of every third connection, so that no two threads meet at one.
                auto const id = all[(3 * i + t) % all.size()].id();
                if (i % 3 == 0) {
                    if (!jira.remove(id) || !jira.add(f.config(id))) ++unexpected;
                } else if (!jira.replace(f.config(id))) {
                    ++unexpected;
                }
                if (!jira.find(id) || jira.size() > all.size()) ++unexpected;
            }
        });
    std::thread scraper([&] {
        metrics::collector const numbers(jira.overview());
        while (!over)
            if (numbers.Collect().empty()) ++unexpected;
    });
    for (auto& t : threads) t.join();
    over = true;
    scraper.join();
    CHECK(unexpected == 0);
    std::vector<std::future<result<response>>> last;
    for (auto const& c : all) last.push_back(c.async_call(request::get("/rest/api/3/myself"), asio::use_future));
    CHECK(jira.async_drain(20s, asio::use_future).get());
    for (auto& c : last) c.get();
    auto const s = f.jira.snapshot();
    CHECK(s.isolation_violations == 0);
    CHECK(s.sni_mismatches == 0);
    CHECK(s.requests > 2000);
}
