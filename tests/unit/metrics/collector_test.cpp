#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/names.hpp>

#include "scraped.hpp"
#include "support/catch.hpp"
#include "told_overview.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;
using metrics::collector;
using prometheus::MetricType;

namespace {

MetricType expected(metrics::series_type t) {
    switch (t) {
    case metrics::series_type::counter: return MetricType::Counter;
    case metrics::series_type::gauge: return MetricType::Gauge;
    case metrics::series_type::histogram: return MetricType::Histogram;
    }
    return MetricType::Untyped;
}

template <class Enum>
constexpr std::size_t at(Enum e) {
    return static_cast<std::size_t>(e);
}

double value(prometheus::ClientMetric const& m) {
    return m.counter.value + m.gauge.value + static_cast<double>(m.histogram.sample_count);
}

// What no shard counts: tested with surveys below.
std::set<std::string_view> const not_counted = {
    "jirapool_build_info",     "jirapool_credentials_expiring",         "jirapool_retry_budget_left_ratio",
    "jirapool_tokens",         "jirapool_ratelimit_paused_sites",       "jirapool_app_quota_points",
    "jirapool_tokens_stale",   "jirapool_token_soonest_expiry_seconds", "jirapool_webhook_deliveries_total",
    "jirapool_series_dropped", "jirapool_survey_age_seconds",           "jirapool_token_oldest_age_seconds",
};

/// What a series shows when nothing was counted or seen.
double untouched(std::string_view series) {
    if (series == "jirapool_token_soonest_expiry_seconds") return std::numeric_limits<double>::infinity();
    return series == "jirapool_build_info" || series == "jirapool_retry_budget_left_ratio" ? 1 : 0;
}

/// One number of shard_stats and the series that must show it.
struct route_to_series {
    void (*count)(shard_stats&);
    std::string key;
};

using s = shard_stats;
std::vector<route_to_series> const routes = {
    {[](s& x) { x.sites.add(1); }, R"(jirapool_sites)"},
    {[](s& x) { x.connections[at(connection_kind::service_api_token)].add(1); },
     R"(jirapool_connections{kind="service_api_token"})"},
    {[](s& x) { x.connection_changes[at(connection_kind::service_oauth)][at(connection_change::replaced)].add(); },
     R"(jirapool_connection_changes_total{kind="service_oauth",change="replaced"})"},
    {[](s& x) { x.conditions[at(connection_kind::service_api_token)][at(connection_condition::site_gone)].add(1); },
     R"(jirapool_connection_conditions{kind="service_api_token",condition="site_gone"})"},
    {[](s& x) { x.credentials_refused[at(connection_kind::service_oauth)].set(1); },
     R"(jirapool_credentials_refused{kind="service_oauth"})"},
    {[](s& x) { x.calls[at(connection_kind::service_oauth)][at(route_class::bulk)][at(outcome::limited)].add(); },
     R"(jirapool_calls_total{kind="service_oauth",route_class="bulk",outcome="limited"})"},
    {[](s& x) { x.calls_by_priority[at(priority::background)][at(outcome::wire)].add(); },
     R"(jirapool_calls_by_priority_total{priority="background",outcome="wire"})"},
    {[](s& x) { x.events[at(event::kind::origin_down)].add(); }, R"(jirapool_events_total{kind="origin_down"})"},
    {[](s& x) { x.calls_in_flight.add(1); }, R"(jirapool_calls_in_flight)"},
    {[](s& x) { x.call_duration[at(priority::background)].observe(1ms); },
     R"(jirapool_call_duration_seconds{priority="background"})"},
    {[](s& x) { x.stage_duration[at(stage::first_byte)].observe(1ms); },
     R"(jirapool_call_stage_duration_seconds{stage="first_byte"})"},
    {[](s& x) { x.timeouts[at(stage::lease)].add(); }, R"(jirapool_timeouts_total{stage="lease"})"},
    {[](s& x) { x.checks[at(outcome::refused)].add(); }, R"(jirapool_checks_total{outcome="refused"})"},
    {[](s& x) { x.answers[at(answer_class::anonymous)].add(); }, R"(jirapool_answers_total{class="anonymous"})"},
    {[](s& x) { x.answered_401.add(); }, R"(jirapool_answers_401_total)"},
    {[](s& x) { x.limited[at(limit_reason::burst)].add(); }, R"(jirapool_answers_429_total{reason="burst"})"},
    {[](s& x) { x.resends[at(resend_reason::token)].add(); }, R"(jirapool_resends_total{reason="token"})"},
    {[](s& x) { x.resends_over_budget.add(); }, R"(jirapool_resends_over_budget_total)"},
    {[](s& x) { x.pauses[at(limit_scope::app_quota)][at(limit_reason::global_quota)].add(); },
     R"(jirapool_ratelimit_pauses_total{scope="app_quota",reason="global_quota"})"},
    {[](s& x) { x.limit_waits.add(); }, R"(jirapool_ratelimit_waits_total)"},
    {[](s& x) { x.near_limit.add(); }, R"(jirapool_ratelimit_near_limit_total)"},
    {[](s& x) { x.calls_of_others.add(); }, R"(jirapool_ratelimit_calls_of_others_total)"},
    {[](s& x) { x.calls_of_ours.add(); }, R"(jirapool_ratelimit_calls_of_ours_total)"},
    {[](s& x) { x.retry_after_unreadable.add(); }, R"(jirapool_ratelimit_retry_after_unreadable_total)"},
    {[](s& x) { x.limited_past_deadline.add(); }, R"(jirapool_ratelimit_past_deadline_total)"},
    {[](s& x) { x.shadow_refusals.add(); }, R"(jirapool_ratelimit_shadow_refusals_total)"},
    {[](s& x) { x.shadow_waits.observe(1ms); }, R"(jirapool_ratelimit_shadow_wait_seconds)"},
    {[](s& x) { x.limit_waiting.add(1); }, R"(jirapool_queue_length{queue="permit"})"},
    {[](s& x) { x.queue_length.add(1); }, R"(jirapool_queue_length{queue="channel"})"},
    {[](s& x) { x.limit_queue_full.add(); }, R"(jirapool_queue_rejections_total{queue="permit"})"},
    {[](s& x) { x.queue_full.add(); }, R"(jirapool_queue_rejections_total{queue="channel"})"},
    {[](s& x) { x.site_cap_waits.add(); }, R"(jirapool_site_cap_waits_total)"},
    {[](s& x) { x.token_refreshes[at(refresh_result::permanent)].add(); },
     R"(jirapool_token_refreshes_total{result="permanent"})"},
    {[](s& x) { x.token_refresh_duration.observe(1ms); }, R"(jirapool_token_refresh_duration_seconds)"},
    {[](s& x) { x.token_waits.add(); }, R"(jirapool_token_waits_total)"},
    {[](s& x) { x.token_waits_at_start.add(); }, R"(jirapool_token_waits_at_start_total)"},
    {[](s& x) { x.token_late_rejections.add(); }, R"(jirapool_token_late_rejections_total)"},
    {[](s& x) { x.channels_idle.add(1); }, R"(jirapool_channels{state="idle"})"},
    {[](s& x) { x.channels_active.add(1); }, R"(jirapool_channels{state="active"})"},
    {[](s& x) { x.channels_dialing.add(1); }, R"(jirapool_channels{state="dialing"})"},
    {[](s& x) { x.channels_opened[at(origin_kind::gateway)].add(); },
     R"(jirapool_channels_opened_total{origin="gateway"})"},
    {[](s& x) { x.channels_resumed.add(); }, R"(jirapool_channels_resumed_total)"},
    {[](s& x) { x.channels_closed[at(close_reason::lifetime)].add(); },
     R"(jirapool_channels_closed_total{reason="lifetime"})"},
    {[](s& x) { x.dials[at(dial_purpose::prewarm)][at(origin_kind::site)].add(); },
     R"(jirapool_dials_total{purpose="prewarm",origin="site"})"},
    {[](s& x) { x.dial_backoffs.add(); }, R"(jirapool_dial_backoffs_total)"},
    {[](s& x) { x.dial_failures[at(dial_stage::tls)][at(origin_kind::gateway)].add(); },
     R"(jirapool_dial_failures_total{stage="tls",origin="gateway"})"},
    {[](s& x) { x.dial_timeouts[at(dial_stage::resolve)][at(origin_kind::token_endpoint)].add(); },
     R"(jirapool_dial_timeouts_total{stage="resolve",origin="token_endpoint"})"},
    {[](s& x) { x.dial_duration[at(dial_stage::connect)].observe(1ms); },
     R"(jirapool_dial_duration_seconds{stage="connect"})"},
    {[](s& x) { x.bytes_sent.add(); }, R"(jirapool_sent_bytes_total)"},
    {[](s& x) { x.bytes_received.add(); }, R"(jirapool_received_bytes_total)"},
};

}  // namespace

TEST_CASE("collector: every series is there before anything was counted, with its type, help and labels") {
    auto const families = collector(counted({std::make_shared<shard_stats>()})).Collect();

    REQUIRE(families.size() == metrics::all_series.size() + metrics::all_named_series.size());
    std::size_t samples = 0;
    for (std::size_t k = 0; k < metrics::all_series.size(); ++k) {
        auto const& row = metrics::all_series[k];
        auto const& family = families[k];
        INFO(row.name);
        CHECK(family.name == row.name);
        CHECK(family.help == row.help);
        CHECK(family.type == expected(row.type));
        REQUIRE(family.metric.size() == row.metric_count());
        for (std::size_t n = 0; n < family.metric.size(); ++n) {
            auto const& metric = family.metric[n];
            auto const index = row.indexes_of(n);
            std::size_t expected_labels = 0;
            for (std::size_t l = 0; l < row.labels.size(); ++l) {
                if (row.labels[l].name.empty()) continue;
                REQUIRE(metric.label.size() > expected_labels);
                CHECK(metric.label[expected_labels].name == row.labels[l].name);
                CHECK(metric.label[expected_labels].value == row.labels[l].value(index[l]));
                ++expected_labels;
            }
            CHECK(metric.label.size() == expected_labels);
            CHECK(value(metric) == untouched(row.name));
            samples += row.type == metrics::series_type::histogram ? metric.histogram.bucket.size() + 2 : 1;
        }
    }
    CHECK(samples == metrics::sample_count);
    CHECK(by_key(families).count("jirapool_build_info{version=\"" + std::string(metrics::version()) + "\"}") == 1);
}

TEST_CASE("collector: each number of a shard is shown by its own series and no other") {
    for (auto const& r : routes) {
        INFO(r.key);
        auto const shard = std::make_shared<shard_stats>();
        r.count(*shard);
        auto const scraped = by_key(collector(counted({shard})));
        REQUIRE(scraped.count(r.key) == 1);
        for (auto const& [key, metric] : scraped) {
            INFO(key);
            CHECK(value(metric) == (key == r.key ? 1 : untouched(key.substr(0, key.find('{')))));
        }
    }
    for (auto const& row : metrics::all_series) {  // none was forgotten above
        INFO(row.name);
        bool const has_route = std::any_of(routes.begin(), routes.end(),
                                           [&](auto const& r) { return r.key.substr(0, r.key.find('{')) == row.name; });
        CHECK(has_route != not_counted.contains(row.name));
    }
}

TEST_CASE("collector: shards are summed, and null pointers passed over") {
    auto const a = std::make_shared<shard_stats>();
    auto const b = std::make_shared<shard_stats>();
    a->bytes_sent.add(5'000'000'000);
    b->bytes_sent.add(7);
    a->channels_idle.add(3);
    b->channels_idle.add(-1);  // a moment between two writes: the sum is what counts
    a->call_duration[0].observe(3ms);
    b->call_duration[0].observe(3ms);
    b->call_duration[0].observe(7s);

    auto const scraped = by_key(collector(counted({a, nullptr, b})));

    CHECK(scraped.at("jirapool_sent_bytes_total").counter.value == 5'000'000'007.0);
    CHECK(scraped.at(R"(jirapool_channels{state="idle"})").gauge.value == 2);
    auto const& h = scraped.at(R"(jirapool_call_duration_seconds{priority="interactive"})").histogram;
    CHECK(h.sample_count == 3);
    CHECK(std::abs(h.sample_sum - 7.006) < 1e-9);
}

TEST_CASE("collector: without shards every series is there and 0") {
    auto const scraped = by_key(collector(counted({})));
    CHECK(scraped.size() > metrics::all_series.size());
    CHECK(scraped.at("jirapool_calls_in_flight").gauge.value == 0);
    CHECK(scraped.at(R"(jirapool_call_duration_seconds{priority="interactive"})").histogram.sample_count == 0);
}

TEST_CASE("collector: buckets are cumulative, include their bound and end with all of them") {
    auto const shard = std::make_shared<shard_stats>();
    shard->call_duration[0].observe(1ms);  // on the first bound
    shard->call_duration[0].observe(1ms + 1ns);
    shard->call_duration[0].observe(400ms);
    shard->call_duration[0].observe(31s);  // over the last

    auto const h =
        by_key(collector(counted({shard}))).at(R"(jirapool_call_duration_seconds{priority="interactive"})").histogram;

    REQUIRE(h.bucket.size() == histogram::bounds.size() + 1);
    CHECK(h.bucket[0].upper_bound == 0.001);
    CHECK(h.bucket[0].cumulative_count == 1);
    CHECK(h.bucket[1].cumulative_count == 2);
    for (std::size_t i = 1; i < h.bucket.size(); ++i) {
        CHECK(h.bucket[i].upper_bound > h.bucket[i - 1].upper_bound);
        CHECK(h.bucket[i].cumulative_count >= h.bucket[i - 1].cumulative_count);
    }
    CHECK(h.bucket[h.bucket.size() - 2].cumulative_count == 3);
    CHECK(std::isinf(h.bucket.back().upper_bound));
    CHECK(h.bucket.back().cumulative_count == 4);
    CHECK(h.sample_count == 4);
    CHECK(std::abs(h.sample_sum - 31.402000001) < 1e-9);
}

TEST_CASE("collector: counters never fall and histograms stay whole while a shard counts and two threads scrape") {
    auto const shard = std::make_shared<shard_stats>();
    collector const c(counted({shard}));
    std::atomic<bool> enough{false};
    std::thread writer([&] {
        while (!enough) {
            shard->channels_opened[0].add();
            shard->call_duration[0].observe(2ms);
        }
    });
    std::atomic<unsigned> fallen{0};
    std::atomic<unsigned> broken{0};
    auto const scrape = [&] {
        double last = 0;
        double last_sum = 0;
        for (unsigned changes = 0; changes < 20;) {  // the contention that is wanted: the shard moved between scrapes
            auto const scraped = by_key(c);
            double const now = scraped.at(R"(jirapool_channels_opened_total{origin="site"})").counter.value;
            auto const& h = scraped.at(R"(jirapool_call_duration_seconds{priority="interactive"})").histogram;
            if (now < last || h.sample_sum < last_sum) ++fallen;
            if (h.bucket.back().cumulative_count != h.sample_count) ++broken;
            if (now > last) ++changes;
            last = now;
            last_sum = h.sample_sum;
        }
    };
    std::thread other(scrape);
    scrape();
    other.join();
    enough = true;
    writer.join();
    CHECK(fallen == 0);
    CHECK(broken == 0);
}

TEST_CASE("collector: without an overview, or with one that is null, there is none") {
    CHECK_THROWS_AS(collector(std::shared_ptr<overview const>()), std::invalid_argument);
    CHECK_THROWS_AS(collector(std::vector<std::shared_ptr<overview const>>{counted({}), nullptr}),
                    std::invalid_argument);
    collector c(counted({}));
    CHECK_THROWS_AS(c.add_deliveries(nullptr), std::invalid_argument);
}

namespace {

connection_snapshot in_trouble(std::string id, int since) {
    connection_snapshot c;
    c.id = std::move(id);
    c.site = "acme.atlassian.net";
    c.status.condition = connection_condition::credential_rejected;
    c.status.cause = condition_cause::unauthorized;
    c.status.since = wall_time(std::chrono::seconds(since));
    return c;
}

std::shared_ptr<survey> some_survey(std::string const& site, std::uint64_t calls) {
    auto s = std::make_shared<survey>();
    site_snapshot followed;
    followed.site = site;
    followed.waiting = 4;
    followed.others = 0.25;
    followed.paused_until = wall_time(77s);
    followed.quota = budget_left{10, 100};
    followed.calls.emplace();
    (*followed.calls)[at(call_fault::limit)] = calls;
    site_snapshot not_followed;
    not_followed.site = "quiet";
    s->sites = {followed, not_followed};
    s->in_trouble = {in_trouble("bad-" + site, 1234)};
    auto ending_one = in_trouble("ends-" + site, 0);
    ending_one.expires = wall_time(9999s);
    s->expiring = {ending_one};
    s->endings = {1, 2, 3, 4};
    s->calls_of_others[at(call_fault::none)] = 1000;
    s->paused_sites = 5;
    s->retry_budget_left = site == "a" ? 0.5 : 0.75;
    s->tokens = 7;
    s->stale_tokens = 2;
    s->soonest_expiry = site == "a" ? 30s : 20s;
    s->oldest_token = site == "a" ? 70s : 40s;
    s->loop_time = site == "a" ? 3ms : 1ms;
    s->untold = 6;
    return s;
}

}  // namespace

TEST_CASE("collector: what the shards saw, summed, and each followed site and connection in trouble by name") {
    auto const o = std::make_shared<told_overview>();
    o->surveys = {some_survey("a", 3), nullptr, some_survey("b", 8)};
    o->all_paces = {{250ms, 2s}, {1ms, std::nullopt}};
    o->all_bounds = {{"max_channels", 256}};
    o->quota = budget_left{400, 1000};
    collector c(o);
    auto const deliveries = std::make_shared<delivery_counts>();
    deliveries->add(delivery_result::repeated);
    c.add_deliveries(deliveries);
    c.add_deliveries(deliveries);
    auto const scraped = by_key(c);
    std::vector<std::pair<std::string, double>> const expected_values = {
        {R"(jirapool_credentials_expiring{within="30d"})", 2},
        {R"(jirapool_credentials_expiring{within="7d"})", 4},
        {R"(jirapool_credentials_expiring{within="1d"})", 6},
        {R"(jirapool_credentials_expiring{within="over"})", 8},
        {"jirapool_retry_budget_left_ratio", 0.5},
        {"jirapool_ratelimit_paused_sites", 10},
        {R"(jirapool_app_quota_points{state="used"})", 600},
        {R"(jirapool_app_quota_points{state="left"})", 400},
        {"jirapool_tokens", 14},
        {"jirapool_tokens_stale", 4},
        {"jirapool_token_soonest_expiry_seconds", 20},
        {"jirapool_token_oldest_age_seconds", 70},
        {R"(jirapool_webhook_deliveries_total{result="repeated"})", 2},
        {R"(jirapool_webhook_deliveries_total{result="handled"})", 0},
        {"jirapool_survey_age_seconds", 2},
        {"jirapool_series_dropped", 12},
        {R"(jirapool_shard_lag_seconds{shard="0"})", 0.25},
        {R"(jirapool_shard_lag_seconds{shard="1"})", 0.001},
        {R"(jirapool_shard_loop_seconds{shard="0"})", 0.003},
        {R"(jirapool_shard_loop_seconds{shard="2"})", 0.001},
        {R"(jirapool_limit{name="max_channels"})", 256},
        {R"(jirapool_site_calls_total{site="a",fault="limit"})", 3},
        {R"(jirapool_site_calls_total{site="a",fault="none"})", 0},
        {R"(jirapool_site_calls_total{site="b",fault="limit"})", 8},
        {R"(jirapool_site_calls_total{site="other",fault="none"})", 2000},
        {R"(jirapool_site_waiting_calls{site="a"})", 4},
        {R"(jirapool_site_paused_until_timestamp_seconds{site="b"})", 77},
        {R"(jirapool_site_neighbour_share_ratio{site="b"})", 0.25},
        {R"(jirapool_site_quota_points{site="a",state="used"})", 90},
        {R"(jirapool_site_quota_points{site="a",state="left"})", 10},
        {R"(jirapool_connection_trouble_since_timestamp_seconds{connection="bad-a",site="acme.atlassian.net",kind="personal_api_token",condition="credential_rejected",cause="unauthorized"})",
         1234},
        {R"(jirapool_connection_expires_timestamp_seconds{connection="ends-b"})", 9999},
    };
    for (auto const& [key, expected_value] : expected_values) {
        INFO(key);
        REQUIRE(scraped.count(key) == 1);
        CHECK(std::abs(value(scraped.at(key)) - expected_value) < 1e-9);
    }
    CHECK(scraped.count(R"(jirapool_site_waiting_calls{site="quiet"})") == 0);
}

TEST_CASE("collector: several clients are one") {
    auto const a = std::make_shared<told_overview>();
    auto const b = std::make_shared<told_overview>();
    auto const stats = std::make_shared<shard_stats>();
    stats->sites.set(2);
    a->all_stats = {stats};
    b->all_stats = {stats, stats};
    a->surveys = {some_survey("a", 3)};
    b->surveys = {some_survey("b", 8)};
    a->all_paces = {{1ms, 1s}};
    b->all_paces = {{2ms, 3s}};
    a->all_bounds = {{"max_channels", 256}, {"shards", 1}};
    b->all_bounds = {{"max_channels", 100}, {"max_queue", 9}};
    b->quota = budget_left{1, 10};
    a->all_connections = {in_trouble("z", 1)};
    b->all_connections = {in_trouble("y", 1)};
    a->all_sites = {{}, {}};
    b->all_sites = {{}};
    collector const c(std::vector<std::shared_ptr<overview const>>{a, b});
    auto const scraped = by_key(c);
    CHECK(value(scraped.at("jirapool_sites")) == 6);
    CHECK(value(scraped.at("jirapool_tokens")) == 14);
    CHECK(value(scraped.at("jirapool_survey_age_seconds")) == 3);
    CHECK(value(scraped.at(R"(jirapool_shard_lag_seconds{shard="1"})")) == 0.002);
    CHECK(value(scraped.at(R"(jirapool_limit{name="max_channels"})")) == 356);
    CHECK(value(scraped.at(R"(jirapool_limit{name="max_queue"})")) == 9);
    CHECK(value(scraped.at(R"(jirapool_app_quota_points{state="left"})")) == 1);
    auto const connections = c.source()->connections();
    REQUIRE(connections.size() == 2);
    CHECK(connections[0].id == "y");
    CHECK(c.source()->sites(0ms).size() == 3);
}
