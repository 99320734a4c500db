#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/exposition.hpp>

#include "client_model.pb.h"
#include "header_list.hpp"
#include "support/catch.hpp"
#include "support/openmetrics.hpp"
#include "told_overview.hpp"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;
using metrics::content_type;
using metrics::expose;
using metrics::family;
using metrics::negotiate;
using metrics::series_type;
using enum metrics::exposition_format;
namespace pb = io::prometheus::client;

namespace {

constexpr wall_time wall{std::chrono::milliseconds(1'774'539'730'007)};
constexpr auto trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";

template <class Enum>
constexpr std::size_t at(Enum e) {
    return static_cast<std::size_t>(e);
}

family numbers(std::string_view name, series_type type, std::vector<metrics::number_metric> all) {
    family f;
    f.name = name;
    f.help = "Help.";
    f.unit = "calls";
    f.type = type;
    f.numbers = std::move(all);
    return f;
}

family one_histogram(native_histogram const& h, bool has_native = true) {
    family f;
    f.name = "test_seconds";
    f.help = "Help.";
    f.unit = "seconds";
    f.type = series_type::histogram;
    auto& m = f.histograms.emplace_back();
    m.has_native = has_native;
    h.add_to(m.counts);
    for (std::size_t i = 0; i < m.exemplars.size(); ++i) m.exemplars[i] = h.latest(i);
    return f;
}

/// A collector over two shards that have counted something.
metrics::collector some_counts() {
    auto const a = std::make_shared<shard_stats>();
    auto const b = std::make_shared<shard_stats>();
    a->bytes_sent.add(5'000'000'000);
    b->channels_idle.add(2);
    a->calls[at(connection_kind::service_oauth)][at(route_class::read)][at(outcome::limited)].add(3);
    a->call_duration[at(priority::interactive)].observe(120ms, "older", wall);
    b->call_duration[at(priority::interactive)].observe(130ms, trace_id, wall + 1s);
    a->call_duration[at(priority::interactive)].observe(45s, "slow", wall);
    b->call_duration[at(priority::interactive)].observe(2us, "fast\n", wall);  // an answer may have any bytes there
    a->stage_duration[at(stage::body)].observe(3ms);
    a->token_refresh_duration.observe(70ms);
    return metrics::collector(counted({a, b}));
}

std::vector<pb::MetricFamily> parse(std::string const& body) {
    google::protobuf::io::ArrayInputStream in(body.data(), static_cast<int>(body.size()));
    std::vector<pb::MetricFamily> all;
    for (bool at_end = false;;) {
        pb::MetricFamily f;
        if (!google::protobuf::util::ParseDelimitedFromZeroCopyStream(&f, &in, &at_end)) {
            REQUIRE(at_end);
            return all;
        }
        // What it does not know would be a field number of ours that is wrong.
        std::string again;
        f.SerializeToString(&again);
        f.DiscardUnknownFields();
        std::string known;
        f.SerializeToString(&known);
        REQUIRE(again == known);
        all.push_back(std::move(f));
    }
}

/// The counts by native bucket that the spans and deltas stand for, as the format has it.
std::vector<std::uint64_t> native_counts(pb::Histogram const& h) {
    std::vector<std::uint64_t> all(native_histogram::native_count);
    std::int64_t index = 0;
    std::int64_t count = 0;
    int delta = 0;
    for (auto const& s : h.positive_span()) {
        index += s.offset();
        for (std::uint32_t i = 0; i < s.length(); ++i, ++index) {
            REQUIRE(delta < h.positive_delta_size());
            count += h.positive_delta(delta++);
            REQUIRE(count >= 0);
            all.at(static_cast<std::size_t>(index - native_histogram::first_index)) = static_cast<std::uint64_t>(count);
        }
    }
    REQUIRE(delta == h.positive_delta_size());
    return all;
}

void check_native(pb::Histogram const& h, native_histogram::counts const& expected) {
    CHECK(h.schema() == native_histogram::schema);
    CHECK(h.zero_threshold() == native_histogram::zero_threshold);
    CHECK(h.zero_count() == expected.zero);
    auto const counts = native_counts(h);
    CHECK(std::equal(counts.begin(), counts.end(), expected.native.begin(), expected.native.end()));
    CHECK(std::accumulate(counts.begin(), counts.end(), h.zero_count()) == h.sample_count());
}

}  // namespace

TEST_CASE("exposition: text 0.0.4, letter by letter") {
    auto const h = std::make_unique<native_histogram>();
    h->observe(130ms, trace_id, wall);
    h->observe(40s);
    auto f = one_histogram(*h);
    f.histograms[0].labels = {{"stage", "body"}};
    f.help = "A \"quoted\" back\\slash,\nand a line.";
    CHECK(expose(std::vector{f}, text) ==
          "# HELP test_seconds A \"quoted\" back\\\\slash,\\nand a line.\n"
          "# TYPE test_seconds histogram\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.001\"} 0\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.0025\"} 0\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.005\"} 0\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.01\"} 0\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.025\"} 0\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.05\"} 0\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.1\"} 0\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.15\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.2\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.25\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"0.5\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"1.0\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"2.5\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"5.0\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"10.0\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"30.0\"} 1\n"
          "test_seconds_bucket{stage=\"body\",le=\"+Inf\"} 2\n"
          "test_seconds_sum{stage=\"body\"} 40.13\n"
          "test_seconds_count{stage=\"body\"} 2\n");

    constexpr auto inf = std::numeric_limits<double>::infinity();
    auto const g = numbers(
        "test_calls", series_type::gauge,
        {{{}, 0.1}, {{{"a", "x\"\\\n"}, {"b", ""}}, inf}, {{{"a", "y"}}, -inf}, {{{"a", "z"}}, std::nan("")}});
    CHECK(expose(std::vector{g}, text) ==
          "# HELP test_calls Help.\n"
          "# TYPE test_calls gauge\n"
          "test_calls 0.1\n"
          "test_calls{a=\"x\\\"\\\\\\n\",b=\"\"} +Inf\n"
          "test_calls{a=\"y\"} -Inf\n"
          "test_calls{a=\"z\"} NaN\n");
    CHECK(expose({}, text).empty());
}

TEST_CASE("exposition: a scrape in OpenMetrics is what its specification allows, with units, an info and exemplars") {
    auto const families = some_counts().families();
    auto const read = read_openmetrics::reader::read(expose(families, openmetrics));

    CHECK(read.size() == metrics::all_series.size() + metrics::all_named_series.size());
    CHECK(read.at("jirapool_build").type == "info");
    auto const& sent = read.at("jirapool_sent_bytes");
    CHECK(sent.type == "counter");
    CHECK(sent.unit == "bytes");
    CHECK(sent.samples.at(0).name == "jirapool_sent_bytes_total");
    CHECK(sent.samples.at(0).value == 5'000'000'000);
    CHECK(read.at("jirapool_channels").unit.empty());  // channels are counted, not measured
    CHECK(read.at("jirapool_calls").unit.empty());

    auto const& calls = read.at("jirapool_call_duration_seconds");
    CHECK(calls.unit == "seconds");
    std::map<std::string, read_openmetrics::exemplar> exemplars;
    for (auto const& s : calls.samples)
        if (s.exemplar) exemplars[s.labels.at("le")] = *s.exemplar;
    REQUIRE(exemplars.size() == 2);  // not the one with a line's end in its trace id
    auto const& latest = exemplars.at("0.15");
    CHECK(latest.labels == read_openmetrics::label_map{{"trace_id", trace_id}});
    CHECK(latest.value == 0.13);
    CHECK(latest.timestamp == 1'774'539'731.007);
    CHECK(exemplars.at("+Inf").value == 45);
}

TEST_CASE("exposition: the formats tell the same numbers") {
    auto const families = some_counts().families();
    auto const read = read_openmetrics::reader::read(expose(families, openmetrics));
    auto const parsed = parse(expose(families, protobuf));
    auto const plain = expose(families, text);
    REQUIRE(parsed.size() == families.size());
    for (std::size_t i = 0; i < families.size(); ++i) {
        auto const& f = families[i];
        INFO(f.name);
        CHECK(parsed[i].name() == f.name);
        CHECK(parsed[i].help() == f.help);
        auto name = std::string(f.name);
        for (std::string const suffix : {"_total", "_info"})
            if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
        auto const& samples = read.at(name).samples;
        std::size_t s = 0;
        for (auto const& m : parsed[i].metric()) {
            read_openmetrics::label_map labels;
            for (auto const& l : m.label()) labels[l.name()] = l.value();
            if (f.type != series_type::histogram) {
                CHECK(m.has_counter() == (f.type == series_type::counter));
                CHECK(m.has_gauge() == (f.type == series_type::gauge));
                CHECK(samples.at(s).labels == labels);
                CHECK(samples.at(s++).value == (m.has_counter() ? m.counter() : m.gauge()).value());
                continue;
            }
            for (auto const& b : m.histogram().bucket()) {
                CHECK(samples.at(s).labels.count("le") == 1);
                CHECK((samples.at(s).exemplar.has_value()) == b.has_exemplar());
                if (b.has_exemplar()) {
                    CHECK(b.exemplar().label(0).value() == samples[s].exemplar->labels.at("trace_id"));
                    CHECK(b.exemplar().value() == samples[s].exemplar->value);
                    CHECK(static_cast<double>(b.exemplar().timestamp().seconds()) +
                              b.exemplar().timestamp().nanos() * 1e-9 ==
                          Approx(*samples[s].exemplar->timestamp));
                }
                CHECK(samples.at(s++).value == static_cast<double>(b.cumulative_count()));
            }
            CHECK(samples.at(s++).value == m.histogram().sample_sum());
            CHECK(samples.at(s++).value == static_cast<double>(m.histogram().sample_count()));
        }
        CHECK(s == samples.size());
        for (auto const& x : samples) CHECK(plain.find("\n" + x.name) != plain.npos);
    }
}

TEST_CASE("exposition: protobuf has native buckets beside the classic ones, of those histograms that have some") {
    auto const families = some_counts().families();
    auto const parsed = parse(expose(families, protobuf));
    unsigned native = 0;
    for (std::size_t i = 0; i < families.size(); ++i) {
        for (std::size_t k = 0; k < families[i].histograms.size(); ++k) {
            auto const& m = families[i].histograms[k];
            auto const& h = parsed[i].metric(static_cast<int>(k)).histogram();
            INFO(families[i].name);
            CHECK(h.bucket_size() == static_cast<int>(histogram::bounds.size()) + 1);
            CHECK(h.has_schema() == m.has_native);
            CHECK(h.has_zero_threshold() == m.has_native);
            if (m.has_native) check_native(h, m.counts);
            native += m.has_native;
        }
    }
    CHECK(native >= 1 + stage_count);
}

TEST_CASE("exposition: native buckets of any pattern read back as they were") {
    std::mt19937_64 random(3);
    for (int round = 0; round < 300; ++round) {
        auto const h = std::make_unique<native_histogram>();
        // From nothing to every bucket, by few and many.
        auto const patterns = random() % 40;
        for (std::uint64_t i = 0; i < patterns; ++i) {
            auto const d = std::chrono::nanoseconds(std::uint64_t{1} << random() % 38) *
                           (1 + static_cast<int>(random() % 3));
            auto const times = 1 + random() % (round % 3 == 0 ? 500 : 3);
            for (std::uint64_t n = 0; n < times; ++n) h->observe(d);
        }
        auto const f = one_histogram(*h);
        auto const parsed = parse(expose(std::vector{f}, protobuf));
        check_native(parsed.at(0).metric(0).histogram(), f.histograms[0].counts);
        for (auto const& s : parsed[0].metric(0).histogram().positive_span()) CHECK(s.length() > 0);
    }
}

TEST_CASE("exposition: the reader of OpenMetrics takes nothing that is wrong") {
    auto const h = std::make_unique<native_histogram>();
    h->observe(130ms, trace_id, wall);
    auto const good = expose(
        std::vector{one_histogram(*h), numbers("test_calls_total", series_type::counter, {{{}, 7}})}, openmetrics);
    REQUIRE_NOTHROW(read_openmetrics::reader::read(good));
    std::pair<std::string, std::string> const broken[] = {
        {"# EOF\n", ""},
        {"# EOF\n", "# EOF"},
        {"# EOF\n", "# EOF\n\n"},
        {"# UNIT test_seconds seconds", "# UNIT test_seconds bytes"},
        {"# TYPE test_calls counter", "# TYPE test_calls meter"},
        {"# TYPE test_calls counter", "# TYPE test_calls gauge"},
        {"# HELP test_calls ", "# HELP test_calls_total "},
        {"# HELP test_calls ", "# HELP test_seconds "},
        {"test_calls_total 7", "test_calls_total -7"},
        {"test_calls_total 7", "test_calls_total 7 "},
        {"test_calls_total 7", "test_calls_total NaN"},
        {"test_calls_total 7", "test_calls 7"},
        {"test_calls_total 7", "test_calls_total 7\ntest_calls_total 7"},
        {"le=\"0.15\"} 1", "le=\"0.15\"} 3"},
        {"le=\"1.0\"", "le=\"1\""},
        {"le=\"1.0\"", "le=\"0.4\""},
        {"le=\"+Inf\"} 1", "le=\"+Inf\"} 2"},
        {"_count 1", "_count 1.5"},
        {"_count 1", "_count 1 # {a=\"b\"} 1"},
        {"\"} 0.13 ", "\"} 0.16 "},
        {"{trace_id=\"", "{trace_id=\"" + std::string(100, 'x')},
        {"{trace_id=\"", "{trace_id=\"\\t"},
        {"{trace_id=\"", "{trace id=\""},
    };
    for (auto const& [from, to] : broken) {
        auto text_of_it = good;
        auto const where = text_of_it.find(from);
        INFO(from << " -> " << to);
        REQUIRE(where != text_of_it.npos);
        text_of_it.replace(where, from.size(), to);
        CHECK_THROWS_AS(read_openmetrics::reader::read(text_of_it), std::runtime_error);
    }
}

TEST_CASE("exposition: what Accept asks for is what is given, and text when nothing fits") {
    struct {
        char const* accept;
        metrics::exposition_format expected;
    } const table[] = {
        {"", text},
        {"*/*", text},
        {"text/html", text},
        {"text/plain", text},
        // Prometheus 2.42, by itself and with native histograms
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/"
         "plain;version=0.0.4;q=0.5,*/*;q=0.1",
         openmetrics},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/"
         "openmetrics-text;version=1.0.0;"
         "q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         protobuf},
        // Prometheus 3, which has more parameters
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/"
         "*;q=0.1",
         openmetrics},
        // versions that we do not have
        {"application/openmetrics-text;version=0.0.1,text/plain;q=0.5", text},
        {"application/openmetrics-text;version=2.0.0, application/openmetrics-text;version=1.0.0;q=0.1", openmetrics},
        {"text/plain;version=1.0.0;q=1, application/openmetrics-text;q=0.1", openmetrics},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", text},
        {"application/vnd.google.protobuf;proto=other;encoding=delimited", text},
        {"application/vnd.google.protobuf", text},
        // weights: the greatest, of equal ones the first, and 0 is never
        {"text/plain;q=0.9, application/openmetrics-text;q=0.8", text},
        {"application/openmetrics-text, text/plain", openmetrics},
        {"text/plain, application/openmetrics-text", text},
        {"application/openmetrics-text;q=0", text},
        {"application/openmetrics-text;q=0.001, text/plain;q=0", openmetrics},
        // spellings
        {" Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1.0 ", openmetrics},
        {",,application/openmetrics-text,,", openmetrics},
        // what is wrong is left out
        {"application/openmetrics-text;q=2", text},
        {"application/openmetrics-text;q=nan", text},
        {"application/openmetrics-text;q=, application/openmetrics-text;q=0.5;x=\"", openmetrics},
        {";;;,=,\"", text},
    };
    for (auto const& row : table) {
        INFO(row.accept);
        CHECK(content_type(negotiate(row.accept)) == content_type(row.expected));
    }
}

TEST_CASE("header_list: gzip is taken by name or by a wildcard, and never with weight 0") {
    using metrics::accepts_gzip;
    CHECK(accepts_gzip("gzip"));
    CHECK(accepts_gzip("deflate, GZIP;q=0.5"));
    CHECK(accepts_gzip("x-gzip"));
    CHECK(accepts_gzip("*"));
    CHECK_FALSE(accepts_gzip(""));
    CHECK_FALSE(accepts_gzip("identity"));
    CHECK_FALSE(accepts_gzip("gzip;q=0"));
    CHECK_FALSE(accepts_gzip("*, gzip;q=0"));
    CHECK_FALSE(accepts_gzip("gzip;q=0, *"));
    CHECK_FALSE(accepts_gzip("*;q=0"));
    CHECK_FALSE(accepts_gzip("gzipped"));
}
