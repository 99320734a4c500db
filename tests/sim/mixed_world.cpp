#include "mixed_world.hpp"

#include "support/span_book.hpp"

#include <cstdlib>
#include <random>

namespace jirapool::sim {

using namespace std::chrono_literals;

namespace {

model_params world_of(random_engine& random, std::size_t sites) {
    model_params m;
    m.sites = sites;
    m.all_kinds = true;
    m.pairs = random() % 2 == 0;
    m.sites_per_app = 1 + random() % 8;
    m.get_rate = 5;
    m.post_rate = 2;
    if (random() % 2 == 0) m.tenant_quota = uniform(random, 200, 2000);
    if (random() % 2 == 0) m.global_quota = uniform(random, 500, 5000);
    m.token_lifetime = std::chrono::seconds(300 + random() % 3000);
    auto& f = m.faults;
    f.refused_dials = uniform(random, 0, 0.2);
    f.slow_dials = uniform(random, 0, 0.1);
    f.unsent = uniform(random, 0, 0.01);
    f.lost_before = uniform(random, 0, 0.02);
    f.lost_after = uniform(random, 0, 0.02);
    f.cut = uniform(random, 0, 0.01);
    f.stalled = uniform(random, 0, 0.005);
    f.slow = uniform(random, 0, 0.02);
    f.idle_death = uniform(random, 0, 0.5);
    f.transient = uniform(random, 0, 0.05);
    f.odd_429 = uniform(random);
    f.token_down = uniform(random, 0, 0.5);
    f.token_odd = uniform(random, 0, 0.1);
    f.token_stalled = uniform(random, 0, 0.05);
    f.early_401 = uniform(random, 0, 0.002);
    f.name_down = uniform(random, 0, 0.9);
    f.name_slow = uniform(random, 0, 0.5);
    return m;
}

request draw_request(random_engine& random, std::uint64_t id) {
    switch (random() % 8) {
    case 0:
    case 1: return request::post("/rest/api/3/issue?n=" + std::to_string(id)).json("{}");
    case 2: return request::put("/rest/api/3/issue/A-" + std::to_string(random() % 3)).json("{}");
    case 3: return request::get("/rest/api/3/myself").priority(priority::background);
    default: return request::get("/rest/api/3/issue/A-1");
    }
}

}  // namespace

history run_mixed_world(std::uint64_t seed, std::size_t sites, steady_duration length, double calls_per_second,
                        http_versions http) {
    random_engine random(seed);
    auto m = world_of(random, sites);
    client_params p;
    p.pool.max_channels = 1 + random() % 100;
    p.wire.http = http;
    if (http != http_versions::http1) {
        m.streams = 1 + random() % 20;
        m.faults.goes_away = uniform(random, 0, 0.05);
        m.faults.limit_changes = uniform(random, 0, 0.05);
        p.pool.dial_at_stream_limit = random() % 3 != 0;
    }
    auto const book = std::make_shared<support::span_book>(false);
    p.spans = book;
    auto const shards = 1 + random() % 3;
    engine_world w(m, p, seed, shards);
    w.jira().spans = book.get();
    for (std::size_t n = 0; n < sites; ++n)
        if (random() % 8 == 0) w.jira().claim(n, static_cast<std::size_t>(random() % sites));
    w.add_all();
    auto const begun = w.time().now();
    auto end = begun + length;
    auto const asleep_at = begun + length / 2;
    bool slept = random() % 2 == 0;
    bool restored = true;
    std::vector<std::uint8_t> removed(sites);
    std::uint64_t id = 0;
    while (w.time().now() < end) {
        auto const n = static_cast<std::size_t>(random() % sites);
        auto const change = random() % 2000;
        if (change == 0) {
            w.time().step_wall_clock(random() % 2 ? 1h : -1h);
        } else if (change < 10 && !removed[n]) {
            w.replace_secret(n);
        } else if (change < 20 && !removed[n]) {
            w.remove(n);
            removed[n] = 1;
        } else if (removed[n] && random() % 4 == 0) {
            w.add_again(n);
            removed[n] = 0;
        } else if (change < 30) {
            w.jira().claim(n, random() % 2 ? n : static_cast<std::size_t>(random() % sites));
        }
        if (!slept && w.time().now() >= asleep_at) {
            slept = true;
            w.sleep(8h);
            end += 8h;
        }
        // For a quarter of an hour nobody gets a token.
        bool const outage = w.time().now() > begun + length / 3 && w.time().now() < begun + length / 3 + 15min;
        if (outage == restored) {
            restored = !outage;
            w.jira().params().faults.token_down = outage ? 1 : m.faults.token_down;
        }
        auto const timeout = std::chrono::milliseconds(200 + random() % 20'000);
        auto r = draw_request(random, id++);
        if (random() % 10 == 0)
            w.start_and_cancel(n, std::move(r), timeout, std::chrono::microseconds(random() % 500'000));
        else w.start(n, std::move(r), timeout);
        w.time().run_until(w.time().now() + std::chrono::duration_cast<steady_duration>(
                                                std::chrono::duration<double>(2 * uniform(random) / calls_per_second)));
    }
    w.time().run_until(w.time().now() + 60s);
    w.finish();
    for (auto const& problem : book->problems()) w.jira().note(problem);
    if (book->open() != 0) w.jira().note("a span has no end");
    if (book->exchanges() < w.jira().requests) w.jira().note("there are more requests than exchanges' spans");
    return {seed, w.jira().trace, w.time().events(), w.jira().refreshes, w.totals, w.jira().violations};
}

history run_naming_world(std::uint64_t seed) {
    random_engine random(seed);
    constexpr std::size_t sites = 24;
    model_params m;
    m.sites = sites;
    m.all_kinds = true;
    m.pairs = true;
    m.get_rate = 5;
    m.post_rate = 2;
    m.faults.name_down = uniform(random, 0.5, 0.98);
    m.faults.name_slow = uniform(random, 0, 0.5);
    m.faults.slow = uniform(random, 0, 0.1);
    engine_world w(m, {}, seed, 1 + random() % 4);
    for (std::size_t n = 0; n < sites; ++n)
        if (random() % 8 == 0) w.jira().claim(n, static_cast<std::size_t>(random() % sites));
    w.add_all();
    using scope = jira_model::scope;
    static constexpr scope scopes[] = {scope::route, scope::issue, scope::site_unknown, scope::site_no_reason,
                                       scope::account_calls};
    std::uint64_t id = 0;
    for (auto const end = w.time().now() + 3min; w.time().now() < end;) {
        // The personal ones and those of the same sites.
        auto const n = static_cast<std::size_t>(random() % (sites / 4) * 4 + 2 + random() % 2);
        auto const change = random() % 400;
        auto r = draw_request(random, id++);
        if (change < 20) {
            auto const until = w.time().now() + std::chrono::milliseconds(random() % 20'000);
            w.jira().close(scopes[random() % std::size(scopes)], n, r.target(), until);
        } else if (change == 20) {
            w.remove(n);
            w.time().run_until(w.time().now() + 10ms);
            w.add_again(n);
        } else if (change == 21) {
            w.jira().claim(n, random() % 2 ? n : static_cast<std::size_t>(random() % sites));
        }
        w.start(n, std::move(r), std::chrono::milliseconds(200 + random() % 20'000));
        w.time().run_until(w.time().now() + std::chrono::milliseconds(random() % 100));
    }
    w.time().run_until(w.time().now() + 60s);
    w.finish();
    return {seed, w.jira().trace, w.time().events(), w.jira().refreshes, w.totals, w.jira().violations};
}

std::vector<std::uint64_t> seeds(std::size_t count) {
    if (char const* const given = std::getenv("JIRAPOOL_SIM_SEED")) return {std::strtoull(given, nullptr, 10)};
    std::random_device device;
    std::vector<std::uint64_t> all(count);
    for (auto& s : all) s = device();
    return all;
}

}  // namespace jirapool::sim
