#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/names.hpp>

#include "scraped.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
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
    {[](s& x) { x.conditions[at(connection_condition::site_gone)].add(1); },
     R"(jirapool_connection_conditions{condition="site_gone"})"},
    {[](s& x) { x.credentials_refused.set(1); }, R"(jirapool_credentials_refused)"},
    {[](s& x) { x.calls[at(connection_kind::service_oauth)][at(outcome::limited)].add(); },
     R"(jirapool_calls_total{kind="service_oauth",outcome="limited"})"},
    {[](s& x) { x.calls_in_flight.add(1); }, R"(jirapool_calls_in_flight)"},
    {[](s& x) { x.call_duration.observe(1ms); }, R"(jirapool_call_duration_seconds)"},
    {[](s& x) { x.stage_duration[at(stage::first_byte)].observe(1ms); },
     R"(jirapool_call_stage_duration_seconds{stage="first_byte"})"},
    {[](s& x) { x.timeouts[at(stage::lease)].add(); }, R"(jirapool_timeouts_total{stage="lease"})"},
    {[](s& x) { x.checks[at(outcome::refused)].add(); }, R"(jirapool_checks_total{outcome="refused"})"},
    {[](s& x) { x.answers[at(answer_class::anonymous)].add(); }, R"(jirapool_answers_total{class="anonymous"})"},
    {[](s& x) { x.answered_401.add(); }, R"(jirapool_answers_401_total)"},
    {[](s& x) { x.limited[at(limit_reason::burst)].add(); }, R"(jirapool_answers_429_total{reason="burst"})"},
    {[](s& x) { x.resends[at(resend_reason::token)].add(); }, R"(jirapool_resends_total{reason="token"})"},
    {[](s& x) { x.resends_over_budget.add(); }, R"(jirapool_resends_over_budget_total)"},
    {[](s& x) { x.pauses[at(limit_reason::global_quota)].add(); },
     R"(jirapool_ratelimit_pauses_total{reason="global_quota"})"},
    {[](s& x) { x.limit_waits.add(); }, R"(jirapool_ratelimit_waits_total)"},
    {[](s& x) { x.near_limit.add(); }, R"(jirapool_ratelimit_near_limit_total)"},
    {[](s& x) { x.calls_of_others.add(); }, R"(jirapool_ratelimit_calls_of_others_total)"},
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
    {[](s& x) { x.channels_opened.add(); }, R"(jirapool_channels_opened_total)"},
    {[](s& x) { x.channels_resumed.add(); }, R"(jirapool_channels_resumed_total)"},
    {[](s& x) { x.channels_closed[at(close_reason::lifetime)].add(); },
     R"(jirapool_channels_closed_total{reason="lifetime"})"},
    {[](s& x) { x.dials[at(dial_purpose::prewarm)].add(); }, R"(jirapool_dials_total{purpose="prewarm"})"},
    {[](s& x) { x.dial_backoffs.add(); }, R"(jirapool_dial_backoffs_total)"},
    {[](s& x) { x.dial_failures[at(dial_stage::tls)].add(); }, R"(jirapool_dial_failures_total{stage="tls"})"},
    {[](s& x) { x.dial_timeouts[at(dial_stage::resolve)].add(); }, R"(jirapool_dial_timeouts_total{stage="resolve"})"},
    {[](s& x) { x.dial_duration[at(dial_stage::connect)].observe(1ms); },
     R"(jirapool_dial_duration_seconds{stage="connect"})"},
    {[](s& x) { x.bytes_sent.add(); }, R"(jirapool_sent_bytes_total)"},
    {[](s& x) { x.bytes_received.add(); }, R"(jirapool_received_bytes_total)"},
};

}  // namespace

TEST_CASE("collector: every series is there before anything was counted, with its type, help and labels") {
    auto const families = collector({std::make_shared<shard_stats>()}).Collect();

    REQUIRE(families.size() == metrics::all_series.size());
    std::size_t samples = 0;
    for (std::size_t k = 0; k < families.size(); ++k) {
        auto const& row = metrics::all_series[k];
        auto const& family = families[k];
        INFO(row.name);
        CHECK(family.name == row.name);
        CHECK(family.help == row.help);
        CHECK(family.type == expected(row.type));
        REQUIRE(family.metric.size() == row.metric_count());
        for (std::size_t n = 0; n < family.metric.size(); ++n) {
            auto const& metric = family.metric[n];
            std::size_t const index[] = {n / row.labels[1].count, n % row.labels[1].count};
            std::size_t expected_labels = 0;
            for (std::size_t l = 0; l < row.labels.size(); ++l) {
                if (row.labels[l].name.empty()) continue;
                REQUIRE(metric.label.size() > expected_labels);
                CHECK(metric.label[expected_labels].name == row.labels[l].name);
                CHECK(metric.label[expected_labels].value == row.labels[l].value(index[l]));
                ++expected_labels;
            }
            CHECK(metric.label.size() == expected_labels);
            CHECK(value(metric) == (row.name == "jirapool_build_info" ? 1 : 0));
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
        auto const scraped = by_key(collector({shard}));
        REQUIRE(scraped.count(r.key) == 1);
        for (auto const& [key, metric] : scraped) {
            if (key.starts_with("jirapool_build_info")) continue;
            INFO(key);
            CHECK(value(metric) == (key == r.key ? 1 : 0));
        }
    }
    for (auto const& row : metrics::all_series) {  // none was forgotten above
        INFO(row.name);
        CHECK((row.name == "jirapool_build_info" || std::any_of(routes.begin(), routes.end(), [&](auto const& r) {
                   return r.key.substr(0, r.key.find('{')) == row.name;
               })));
    }
}

TEST_CASE("collector: shards are summed, and null pointers passed over") {
    auto const a = std::make_shared<shard_stats>();
    auto const b = std::make_shared<shard_stats>();
    a->bytes_sent.add(5'000'000'000);
    b->bytes_sent.add(7);
    a->channels_idle.add(3);
    b->channels_idle.add(-1);  // a moment between two writes: the sum is what counts
    a->call_duration.observe(3ms);
    b->call_duration.observe(3ms);
    b->call_duration.observe(7s);

    auto const scraped = by_key(collector({a, nullptr, b}));

    CHECK(scraped.at("jirapool_sent_bytes_total").counter.value == 5'000'000'007.0);
    CHECK(scraped.at(R"(jirapool_channels{state="idle"})").gauge.value == 2);
    auto const& h = scraped.at("jirapool_call_duration_seconds").histogram;
    CHECK(h.sample_count == 3);
    CHECK(std::abs(h.sample_sum - 7.006) < 1e-9);
}

TEST_CASE("collector: without shards every series is there and 0") {
    auto const scraped = by_key(collector(collector::shards{}));
    CHECK(scraped.size() > metrics::all_series.size());
    CHECK(scraped.at("jirapool_calls_in_flight").gauge.value == 0);
    CHECK(scraped.at("jirapool_call_duration_seconds").histogram.sample_count == 0);
}

TEST_CASE("collector: buckets are cumulative, include their bound and end with all of them") {
    auto const shard = std::make_shared<shard_stats>();
    shard->call_duration.observe(1ms);  // on the first bound
    shard->call_duration.observe(1ms + 1ns);
    shard->call_duration.observe(400ms);
    shard->call_duration.observe(31s);  // over the last

    auto const h = by_key(collector({shard})).at("jirapool_call_duration_seconds").histogram;

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
    collector const c({shard});
    std::atomic<bool> enough{false};
    std::thread writer([&] {
        while (!enough) {
            shard->channels_opened.add();
            shard->call_duration.observe(2ms);
        }
    });
    std::atomic<unsigned> fallen{0};
    std::atomic<unsigned> broken{0};
    auto const scrape = [&] {
        double last = 0;
        double last_sum = 0;
        for (unsigned changes = 0; changes < 20;) {  // the contention that is wanted: the shard moved between scrapes
            auto const scraped = by_key(c);
            double const now = scraped.at("jirapool_channels_opened_total").counter.value;
            auto const& h = scraped.at("jirapool_call_duration_seconds").histogram;
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

TEST_CASE("collector: a source of shards is asked at each scrape") {
    collector::shards known;
    collector const c([&known] { return known; });
    CHECK(by_key(c).at("jirapool_sites").gauge.value == 0);
    auto const late = std::make_shared<shard_stats>();
    late->sites.set(4);
    known.push_back(late);
    CHECK(by_key(c).at("jirapool_sites").gauge.value == 4);
}

TEST_CASE("collector: a source that throws makes the scrape empty, an empty source is refused") {
    collector const c([]() -> collector::shards { throw std::runtime_error("gone"); });
    CHECK(c.Collect().empty());
    CHECK_THROWS_AS(collector(std::function<collector::shards()>()), std::invalid_argument);
}
