#include <jirapool/core/histogram.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

constexpr auto& bounds = histogram::bounds;
constexpr wall_time wall{std::chrono::milliseconds(1'774'539'730'000)};

double below(double d) { return std::nextafter(d, 0.0); }
double above(double d) { return std::nextafter(d, std::numeric_limits<double>::infinity()); }

/// Prometheus' number of the native bucket: the least i with seconds <= 2^(i/8).
int index_of(double seconds) {
    return static_cast<int>(native_histogram::place_of(seconds)) - 1 + native_histogram::first_index;
}

/// The same durations in each run, from 100 ns to 1,000 s, as many in each decade.
std::vector<steady_duration> many_durations() {
    std::mt19937_64 random(7);
    std::uniform_real_distribution<double> exponent(-7, 3);
    std::vector<steady_duration> all;
    for (int i = 0; i < 100'000; ++i)
        all.emplace_back(static_cast<steady_duration::rep>(std::pow(10, exponent(random)) * 1e9));
    return all;
}

std::uint64_t total(native_histogram::counts const& c) {
    return std::accumulate(c.native.begin(), c.native.end(), c.zero);
}

}  // namespace

TEST_CASE("histogram: a bound is part of its own bucket, what is longer is in the next") {
    CHECK(histogram::bucket_of(0) == 0);
    CHECK(histogram::bucket_of(-1) == 0);
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        INFO(bounds[i]);
        CHECK(histogram::bucket_of(below(bounds[i])) == i);
        CHECK(histogram::bucket_of(bounds[i]) == i);
        CHECK(histogram::bucket_of(above(bounds[i])) == i + 1);
    }
    CHECK(histogram::bucket_of(1e12) == bounds.size());

    histogram h;
    h.observe(1ms);
    h.observe(1ms + 1ns);
    h.observe(-5s);  // a clock that went back would be no reason to lose the count
    h.observe(31s);
    CHECK(h.bucket(0) == 2);
    CHECK(h.bucket(1) == 1);
    CHECK(h.bucket(bounds.size()) == 1);
    CHECK(h.sum_seconds() == Approx(31.002000001));
}

TEST_CASE("native_histogram: a bucket ends at 2 to the power of its index's eighth, and includes its end") {
    for (int index = native_histogram::first_index; index <= 48; ++index) {
        INFO(index);
        auto const end = std::exp2(index / 8.0);
        // exp2 may be rounded otherwise than the table, by the last bit or two.
        CHECK(index_of(index % 8 == 0 ? end : end * (1 - 1e-15)) == index);
        CHECK(index_of(index % 8 == 0 ? above(end) : end * (1 + 1e-15)) == index + 1);
    }
}

TEST_CASE("native_histogram: what is too short is in the zero bucket, what is too long in the bucket behind 64 s") {
    using h = native_histogram;
    CHECK(h::place_of(-1) == 0);
    CHECK(h::place_of(0) == 0);
    CHECK(h::place_of(h::zero_threshold) == 0);
    CHECK(index_of(above(h::zero_threshold)) == h::first_index);
    CHECK(index_of(64) == 48);
    CHECK(index_of(above(64)) == 49);
    CHECK(index_of(1e12) == 49);
    CHECK(index_of(std::numeric_limits<double>::infinity()) == 49);
    CHECK(h::first_index + static_cast<int>(h::native_count) - 1 == 49);
}

TEST_CASE("native_histogram: each duration is in the classic and in the native bucket that it belongs to") {
    auto const h = std::make_unique<native_histogram>();
    native_histogram::counts expected;
    steady_duration sum{};
    for (auto const d : many_durations()) {
        h->observe(d);
        sum += d;
        double const seconds = std::chrono::duration<double>(d).count();
        ++expected.classic[static_cast<std::size_t>(
            std::find_if(bounds.begin(), bounds.end(), [&](double b) { return seconds <= b; }) - bounds.begin())];
        auto const index = std::min(static_cast<int>(std::ceil(8 * std::log2(seconds))), 49);
        if (index < native_histogram::first_index) ++expected.zero;
        else ++expected.native[static_cast<std::size_t>(index - native_histogram::first_index)];
    }

    native_histogram::counts counted;
    h->add_to(counted);
    CHECK(counted.classic == expected.classic);
    CHECK(counted.zero == expected.zero);
    CHECK(counted.native == expected.native);
    CHECK(counted.zero > 0);
    CHECK(counted.native.back() > 0);
    CHECK(counted.sum_seconds == Approx(std::chrono::duration<double>(sum).count()));
    for (std::size_t i = 0; i <= bounds.size(); ++i) CHECK(h->bucket(i) == counted.classic[i]);

    h->add_to(counted);  // readings of several shards are added up
    CHECK(total(counted) == 200'000);
}

TEST_CASE("native_histogram: a reading has the same durations in both sorts of buckets while a shard counts") {
    auto const h = std::make_unique<native_histogram>();
    std::atomic<bool> enough{false};
    std::thread writer([&, all = many_durations()] {
        for (std::size_t i = 0; !enough; ++i) h->observe(all[i % all.size()]);
    });
    std::uint64_t last = 0;
    unsigned differed = 0;
    for (unsigned changes = 0; changes < 200;) {  // the contention that is wanted: it counted between two readings
        native_histogram::counts c;
        h->add_to(c);
        auto const now = total(c);
        if (std::accumulate(c.classic.begin(), c.classic.end(), std::uint64_t{0}) != now) ++differed;
        if (now > last) ++changes;
        last = now;
    }
    enough = true;
    writer.join();
    CHECK(differed == 0);
}

TEST_CASE("native_histogram: each classic bucket has its latest exemplar") {
    native_histogram h;
    CHECK_FALSE(h.latest(0));
    h.observe(120ms, "first", wall);
    h.observe(130ms, "second", wall + 1s);
    h.observe(40s, "slow", wall + 2s);
    h.observe(140ms);                                   // no trace id: the exemplar stays
    h.observe(141ms, "", wall + 3s);                    // as well
    h.observe(142ms, std::string(65, 'x'), wall + 3s);  // a part of an id would find nothing

    auto const fast = h.latest(histogram::bucket_of(0.13));
    REQUIRE(fast);
    CHECK(fast->trace_id == "second");
    CHECK(fast->value == 130ms);
    CHECK(fast->at == wall + 1s);
    auto const slow = h.latest(bounds.size());
    REQUIRE(slow);
    CHECK(slow->trace_id == "slow");
    CHECK_FALSE(h.latest(histogram::bucket_of(0.2)));
    CHECK(h.bucket(histogram::bucket_of(0.13)) == 5);
}

TEST_CASE("exemplar_slot: ids of every length up to 64 are kept whole, whatever was there before") {
    exemplar_slot slot;
    for (std::size_t const size : {64U, 1U, 63U, 8U, 7U, 9U, 16U, 32U, 33U}) {
        std::string id;
        for (std::size_t i = 0; i < size; ++i) id += static_cast<char>('a' + i % 26);
        slot.set(1ms, id, wall);
        REQUIRE(slot.get());
        CHECK(slot.get()->trace_id == id);
    }
}

TEST_CASE("exemplar_slot: who reads while another one is written gets one of the two, whole") {
    exemplar_slot slot;
    std::atomic<bool> enough{false};
    std::thread writer([&] {
        for (std::uint64_t i = 0; !enough; ++i) {
            auto const n = static_cast<int>(i % 26);
            slot.set(std::chrono::nanoseconds(n),
                     std::string(static_cast<std::size_t>(n) + 20, static_cast<char>('a' + n)),
                     wall + std::chrono::milliseconds(n));
        }
    });
    unsigned torn = 0;
    char last = 0;
    for (unsigned changes = 0; changes < 2'000;) {
        auto const e = slot.get();
        if (!e) continue;
        auto const n = static_cast<int>(e->value.count());
        std::string const id(static_cast<std::size_t>(n) + 20, static_cast<char>('a' + n));
        if (e->trace_id != id || e->at != wall + std::chrono::milliseconds(n)) ++torn;
        if (id.front() != last) ++changes;
        last = id.front();
    }
    enough = true;
    writer.join();
    CHECK(torn == 0);
}
