// Figures of a registry that lives, over TLS against the mock: hidden from ctest, tests/figures.sh lives runs them in a Release build.
#include "fixture.hpp"
#include "support/figure.hpp"

#include <jirapool/pool/connections_watch.hpp>

#include <time.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;

namespace {

constexpr std::size_t at_once = 3'000;  // connections in the file
constexpr std::size_t changed = 100;    // of each sort of change
constexpr int calls_per_second = 1'000;

mock::params large_world() {
    mock::params p;
    p.threads = 1;
    p.sites = 1'000;
    p.personal = 1'034;
    p.service = 1'033;
    p.oauth = 1'033;
    return p;
}

std::string json_of(connection_config const& c) {
    auto const text = [](char const* name, std::string_view v) {
        return "\"" + std::string(name) + "\":\"" + std::string(v) + "\"";
    };
    auto const site = c.cloud() ? text("cloud_id", c.cloud()->str()) : text("site_url", "https://" + c.host());
    std::string who;
    if (c.kind() == connection_kind::personal_api_token) who = text("email", c.principal()) + ",";
    if (c.kind() == connection_kind::service_oauth) who = text("client_id", c.principal()) + ",";
    auto const* const key = c.kind() == connection_kind::service_oauth ? "clientSecret" : "apiKey";
    return "{" + text("id", c.id()) + "," + site + "," + who + text(key, c.key().reveal()) + "}";
}

/// A client on a thread of its own, whose loop makes calls and is looked at.
class world {
public:
    world()
        : f(large_world()), jira(io, serial(f.params)), name("/tmp/jirapool-figures-" + std::to_string(::getpid())) {
        for (auto const& c : f.jira.world().connections()) secrets.push_back(c.secret);
        std::filesystem::create_directory(name);
        thread = std::thread([this] { io.run(); });
    }
    ~world() {
        over = true;
        jira.stop();
        thread.join();
        std::error_code ec;
        std::filesystem::remove_all(name, ec);
    }

    connection_config config(std::size_t i) const {
        return fixture::config_of(f.jira.world(), f.jira.world().connections()[i], secrets[i]);
    }
    void write(std::vector<std::size_t> const& which) const {
        std::string text = "[";
        for (auto const i : which) text += (text.size() == 1 ? "" : ",\n") + json_of(config(i));
        std::ofstream(file() + ".new") << text << "]";
        std::filesystem::rename(file() + ".new", file());
    }
    std::string file() const { return name + "/connections.json"; }

    /// 1,000 calls a second, on each of these in turn.
    void call_on(std::vector<connection> all) {
        asio::post(io, [this, all = std::move(all)]() mutable {
            called = std::move(all);
            if (!calling) next_call();
        });
    }
    void next_call() {
        calling = true;
        tick.expires_after(1ms);
        tick.async_wait([this](boost::system::error_code const& ec) {
            if (ec || over) return;
            auto const due = std::chrono::steady_clock::now() - began;
            while (begun < due / 1s * calls_per_second + due % 1s / 1ms * calls_per_second / 1'000) {
                ++begun;
                called[static_cast<std::size_t>(begun) % called.size()].async_call(
                    request::get("/rest/api/3/myself"), [this](result<response> const& r) {
                        ++ended;
                        if (r && r->status() == 200) return;
                        if (failed++ == 0) first_failure = r ? std::to_string(r->status()) : r.error().describe();
                    });
            }
            next_call();
        });
    }

    /// From now on each turn of the loop is measured: the processor's time between two chances for others.
    void look() {
        asio::post(io, [this] { probe(thread_time()); });
    }
    void probe(std::int64_t before) {
        auto const now = thread_time();
        if (looked) longest_turn = std::max<std::int64_t>(longest_turn, now - before);
        looked = true;
        if (over || stop_looking) return;
        asio::post(io, [this, now] { probe(now); });
    }
    static std::int64_t thread_time() {
        timespec t{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    }

    std::uint64_t exchanges() const {
        std::uint64_t n = 0;
        for (auto const& c : detail::stats_access::of(jira)[0]->token_refreshes) n += c.value();
        return n;
    }
    std::uint64_t closed() const {
        std::uint64_t n = 0;
        for (auto const& c : detail::stats_access::of(jira)[0]->channels_closed) n += c.value();
        return n;
    }

    static client_params serial(client_params p) {
        p.executor_is_serial = true;
        p.pool.idle_timeout = 10min;
        p.pool.max_lifetime = 1h;
        p.tokens.exchanges_per_second = 1'000;
        p.pool.background_dials_per_second = 1'000;
        return p;
    }

    fixture f;
    asio::io_context io{1};
    client jira;
    std::string name;
    std::vector<std::string> secrets;
    std::thread thread;
    std::atomic<bool> over{false};
    std::atomic<bool> stop_looking{false};
    // The loop's.
    asio::steady_timer tick{io};
    std::chrono::steady_clock::time_point const began = std::chrono::steady_clock::now();
    std::vector<connection> called;
    bool calling = false;
    bool looked = false;
    std::int64_t longest_turn = 0;
    std::int64_t begun = 0;
    std::atomic<std::int64_t> ended{0};
    std::atomic<std::int64_t> failed{0};
    std::string first_failure;
};

}  // namespace

TEST_CASE("registry: figures of a reload of 3,000 connections under 1,000 calls a second", "[.figures]") {
    world w;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < at_once; ++i) which.push_back(i);
    w.write(which);
    std::atomic<std::size_t> reloads{0};
    watch_params p;
    p.settle = 20ms;
    p.on_reload = [&](reload_report const&) { ++reloads; };
    connections_watch watch(w.jira, w.file(), p);
    REQUIRE(watch.wait_for_first(60s));
    REQUIRE(watch.last()->added == at_once);
    // Those that stay: the world's connections are of one kind behind the other, so each is among all three sorts of change.
    std::vector<connection> stay;
    std::vector<std::size_t> next;
    std::size_t oauth_changed = 0;
    for (std::size_t i = 0; i < which.size(); ++i) {
        auto const id = w.f.jira.world().connections()[i].id;
        bool const gone = i % 30 == 0;
        bool const replaced = i % 30 == 1;
        if (gone) continue;
        next.push_back(i);
        if (replaced) {
            w.secrets[i] += "2";
            w.f.jira.add_secret(i, w.secrets[i]);
            oauth_changed += w.config(i).kind() == connection_kind::service_oauth ? 1 : 0;
        } else {
            stay.push_back(*w.jira.find(id));
        }
    }
    for (std::size_t i = at_once; i < at_once + changed; ++i) {
        next.push_back(i);
        oauth_changed += w.config(i).kind() == connection_kind::service_oauth ? 1 : 0;
    }
    REQUIRE(next.size() == at_once);

    // Each has its token and its channel before.
    w.call_on(stay);
    REQUIRE(eventually([&] { return w.ended > 8'000; }, 60s));
    REQUIRE(w.failed == 0);
    auto const exchanged = w.exchanges();
    auto const closed = w.closed();
    w.look();
    auto const before = w.ended.load();
    auto const read = reloads.load();
    w.write(next);
    REQUIRE(eventually([&] { return reloads > read; }, 30s));
    auto const r = *watch.last();
    CHECK(r.added == changed);
    CHECK(r.removed == changed);
    CHECK(r.replaced == changed);
    CHECK(r.unchanged == at_once - 2 * changed);
    REQUIRE(eventually([&] { return w.ended > before + 6'000; }, 60s));
    w.stop_looking = true;
    REQUIRE(eventually([&] { return w.ended > before + 6'100; }, 60s));

    INFO(w.first_failure);
    CHECK(w.failed == 0);
    figure("reload_failed_calls", static_cast<double>(w.failed));
    CHECK(w.exchanges() - exchanged == oauth_changed);
    figure("reload_tokens_lost", static_cast<double>(w.exchanges() - exchanged) - static_cast<double>(oauth_changed));
    CHECK(w.closed() == closed);
    figure("reload_channels_closed", static_cast<double>(w.closed() - closed));
    figure("reload_longest_turn_ms", static_cast<double>(w.longest_turn) * 1e-6);
    CHECK(static_cast<double>(w.longest_turn) * 1e-6 <= 5);
}

TEST_CASE("registry: figures of all 3,000 secrets renewed one by one under 1,000 calls a second", "[.figures]") {
    world w;
    std::vector<connection> all;
    for (std::size_t i = 0; i < at_once; ++i) all.push_back(w.jira.add(w.config(i)).value());
    auto const has_all_tokens = [&] { return w.exchanges() >= at_once - 1'034 - 1'033; };
    REQUIRE(eventually(has_all_tokens, 60s));
    w.call_on(all);
    REQUIRE(eventually([&] { return w.ended > 3'000; }, 60s));
    REQUIRE(w.failed == 0);
    // As an owner does it: a second secret is made, the connection takes it, and the first one is deleted a while later.
    constexpr std::size_t behind = 300;
    for (std::size_t i = 0; i < at_once + behind; ++i) {
        if (i < at_once) {
            w.secrets[i] += "2";
            w.f.jira.add_secret(i, w.secrets[i]);
            REQUIRE(w.jira.replace(w.config(i)).has_value());
        }
        if (i >= behind) w.f.jira.replace_secret(i - behind, w.secrets[i - behind]);
        auto const now = w.ended.load();
        if (i % 2 == 0) REQUIRE(eventually([&] { return w.ended > now + 4; }, 10s));
    }
    auto const now = w.ended.load();
    REQUIRE(eventually([&] { return w.ended > now + static_cast<std::int64_t>(at_once) + 100; }, 30s));
    INFO(w.first_failure);
    CHECK(w.failed == 0);
    figure("rotation_failed_calls", static_cast<double>(w.failed));
    figure("rotation_calls", static_cast<double>(w.ended));
}
