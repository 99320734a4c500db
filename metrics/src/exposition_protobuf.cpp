#include "exposition_parts.hpp"
#include "protobuf_writer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace jirapool::metrics {

namespace {

// The field numbers of metrics.proto, by message.
namespace family_field {
enum : unsigned { name = 1, help = 2, type = 3, metric = 4 };
}
namespace metric_field {
enum : unsigned { label = 1, gauge = 2, counter = 3, histogram = 7 };
}
namespace label_field {
enum : unsigned { name = 1, value = 2 };
}
namespace number_field {
enum : unsigned { value = 1 };
}
namespace histogram_field {
enum : unsigned {
    sample_count = 1,
    sample_sum = 2,
    bucket = 3,
    schema = 5,
    zero_threshold = 6,
    zero_count = 7,
    positive_span = 12,
    positive_delta = 13,
};
}
namespace bucket_field {
enum : unsigned { cumulative_count = 1, upper_bound = 2, exemplar = 3 };
}
namespace span_field {
enum : unsigned { offset = 1, length = 2 };
}
namespace exemplar_field {
enum : unsigned { label = 1, value = 2, timestamp = 3 };
}
namespace timestamp_field {
enum : unsigned { seconds = 1, nanos = 2 };
}

std::uint64_t type_of(series_type t) noexcept {
    switch (t) {
    case series_type::counter: return 0;
    case series_type::gauge: return 1;
    case series_type::histogram: return 4;
    }
    return 3;  // untyped
}

void add_label(protobuf_writer& out, unsigned field, std::string_view name, std::string_view value) {
    protobuf_writer pair;
    pair.add_text(label_field::name, name);
    pair.add_text(label_field::value, value);
    out.add_message(field, pair);
}

protobuf_writer message_of(exemplar const& e) {
    protobuf_writer out;
    add_label(out, exemplar_field::label, "trace_id", e.trace_id);
    out.add_double(exemplar_field::value, std::chrono::duration<double>(e.value).count());
    protobuf_writer at;
    auto const seconds = std::chrono::floor<std::chrono::seconds>(e.at);
    at.add_plain(timestamp_field::seconds, seconds.time_since_epoch().count());
    at.add_plain(timestamp_field::nanos, std::chrono::nanoseconds(e.at - seconds).count());
    out.add_message(exemplar_field::timestamp, at);
    return out;
}

/// A run of native buckets, with few empty ones among them.
struct span {
    std::int64_t offset = 0;  ///< of the first its index, of the others the empty buckets since the one before
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Where something was counted. Two empty buckets cost less within a run than a run of its own.
std::vector<span> spans_of(native_histogram::counts const& c) {
    constexpr std::size_t most_empty = 2;
    std::vector<span> all;
    for (std::size_t i = 0; i < c.native.size(); ++i) {
        if (c.native[i] == 0) continue;
        if (all.empty()) {
            all.push_back({native_histogram::first_index + static_cast<std::int64_t>(i), i, i + 1});
        } else if (auto const empty = i - all.back().end; empty <= most_empty) {
            all.back().end = i + 1;
        } else {
            all.push_back({static_cast<std::int64_t>(empty), i, i + 1});
        }
    }
    return all;
}

void add_native(protobuf_writer& out, native_histogram::counts const& c) {
    out.add_signed(histogram_field::schema, native_histogram::schema);
    out.add_double(histogram_field::zero_threshold, native_histogram::zero_threshold);
    out.add_unsigned(histogram_field::zero_count, c.zero);
    auto const spans = spans_of(c);
    for (auto const& s : spans) {
        protobuf_writer m;
        m.add_signed(span_field::offset, s.offset);
        m.add_unsigned(span_field::length, s.end - s.begin);
        out.add_message(histogram_field::positive_span, m);
    }
    std::int64_t last = 0;
    for (auto const& s : spans) {
        for (std::size_t i = s.begin; i < s.end; ++i) {
            auto const now = static_cast<std::int64_t>(c.native[i]);
            out.add_signed(histogram_field::positive_delta, now - last);
            last = now;
        }
    }
}

protobuf_writer message_of(histogram_metric const& h) {
    protobuf_writer out;
    std::uint64_t count = 0;
    for (auto const n : h.counts.classic) count += n;
    out.add_unsigned(histogram_field::sample_count, count);
    out.add_double(histogram_field::sample_sum, h.counts.sum_seconds);
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < h.counts.classic.size(); ++i) {
        cumulative += h.counts.classic[i];
        protobuf_writer bucket;
        bucket.add_unsigned(bucket_field::cumulative_count, cumulative);
        bucket.add_double(bucket_field::upper_bound, i < histogram::bounds.size()
                                                         ? histogram::bounds[i]
                                                         : std::numeric_limits<double>::infinity());
        if (h.exemplars[i]) bucket.add_message(bucket_field::exemplar, message_of(*h.exemplars[i]));
        out.add_message(histogram_field::bucket, bucket);
    }
    if (h.has_native) add_native(out, h.counts);
    return out;
}

protobuf_writer with_labels(std::vector<label_value> const& labels) {
    protobuf_writer out;
    for (auto const& l : labels) add_label(out, metric_field::label, l.name, l.value);
    return out;
}

}  // namespace

std::string expose_protobuf(std::span<family const> families) {
    protobuf_writer out;
    for (auto const& f : families) {
        protobuf_writer message;
        message.add_text(family_field::name, f.name);
        message.add_text(family_field::help, f.help);
        message.add_unsigned(family_field::type, type_of(f.type));
        for (auto const& m : f.numbers) {
            auto metric = with_labels(m.labels);
            protobuf_writer number;
            number.add_double(number_field::value, m.value);
            metric.add_message(f.type == series_type::counter ? metric_field::counter : metric_field::gauge, number);
            message.add_message(family_field::metric, metric);
        }
        for (auto const& m : f.histograms) {
            auto metric = with_labels(m.labels);
            metric.add_message(metric_field::histogram, message_of(m));
            message.add_message(family_field::metric, metric);
        }
        out.add_delimited(message);
    }
    return std::move(out).take();
}

}  // namespace jirapool::metrics
