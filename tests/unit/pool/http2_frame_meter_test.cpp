#include "support/catch.hpp"
#include "support/http2_frames.hpp"

#include "wire/http2_frame_meter.hpp"

#include <string>

using namespace jirapool;
using namespace jirapool::detail;
using namespace std::chrono_literals;
namespace h2 = jirapool::test::h2;

namespace {

constexpr steady_time begin{std::chrono::hours(1)};
constexpr std::uint32_t max_head = 16384;

/// How many of these come before one is too many; the limit when none is.
int taken(http2_frame_meter& m, std::string const& frame, int limit, steady_time now, std::string* rule = nullptr) {
    for (int i = 0; i < limit; ++i)
        if (auto const p = m.put(frame, now)) {
            if (rule != nullptr) *rule = p.rule;
            return i;
        }
    return limit;
}

}  // namespace

TEST_CASE("http2_frame_meter: each kind of frame that brings nothing is bounded, and named") {
    struct {
        std::string frame;
        char const* name;
    } const cases[] = {
        {h2::ping_frame(), "PING"},
        {h2::ping_frame(h2::ack), "PING"},
        {h2::settings_frame(), "SETTINGS"},
        {h2::settings_ack(), "SETTINGS"},
        {h2::rst_frame(1, h2::cancel), "RST_STREAM"},
        {h2::frame(h2::priority, 0, 1, "12345"), "PRIORITY"},
        {h2::window_frame(1, 1), "WINDOW_UPDATE"},
        {h2::goaway_frame(1, 0), "GOAWAY"},
        {h2::data_frame(1, ""), "DATA frames with nothing in them"},
        {h2::padded_data_frame(1, "", 255), "DATA frames with nothing in them"},
        {h2::headers_frame(1, {{":status", "100"}}), "HEADERS"},
        {h2::frame(h2::continuation, 0, 1), "CONTINUATION"},
        {h2::frame(0x42, 0, 0, "?"), "unknown"},
    };
    for (auto const& c : cases) {
        INFO(c.name);
        http2_frame_meter m(max_head, 128, begin);
        std::string rule;
        auto const n = taken(m, c.frame, 100'000, begin, &rule);
        CHECK(n <= 600);
        CHECK(rule.find(c.name) != std::string::npos);
    }
}

TEST_CASE("http2_frame_meter: what is asked of a server lets it say more, and so does time") {
    http2_frame_meter m(max_head, 128, begin);
    taken(m, h2::ping_frame(), 100'000, begin);
    CHECK(taken(m, h2::ping_frame(), 100, begin) == 0);
    http2_frame_meter later(max_head, 128, begin);
    taken(later, h2::ping_frame(), 512, begin);
    CHECK(taken(later, h2::ping_frame(), 100, begin + 999ms) == 0);
    http2_frame_meter after(max_head, 128, begin);
    taken(after, h2::ping_frame(), 512, begin);
    CHECK(taken(after, h2::ping_frame(), 1000, begin + 2s) == 64);

    // An upload of 100 MB in frames of 16 KiB, each given back twice when all is sent, and half of it again.
    http2_frame_meter upload(max_head, 128, begin);
    for (int i = 0; i < 6400; ++i) upload.on_body();
    CHECK(taken(upload, h2::window_frame(0, 16384), 2 * 6400, begin) == 2 * 6400);
    http2_frame_meter requests(max_head, 128, begin);
    for (int i = 0; i < 1000; ++i) requests.on_request();
    CHECK(taken(requests, h2::headers_frame(1, {{":status", "200"}}), 1000, begin) == 1000);
    // A download, with a ping for each 16 KiB.
    http2_frame_meter download(max_head, 128, begin);
    for (int i = 0; i < 10'000; ++i) {
        CHECK_FALSE(download.put(h2::data_frame(1, std::string(16384, 'x')), begin));
        CHECK_FALSE(download.put(h2::ping_frame(), begin));
    }
}

TEST_CASE("http2_frame_meter: a block of headers is bounded before it is whole, however it comes") {
    http2_frame_meter one(max_head, 128, begin);
    auto const large = h2::frame(h2::headers, h2::end_headers, 1, std::string(20'000, 'x'));
    auto const p = one.put(large, begin);
    REQUIRE(p);
    CHECK(p.code == errc::response_too_large);
    CHECK(p.rule == std::string("the head is over wire_params::max_head"));

    http2_frame_meter many(max_head, 128, begin);
    REQUIRE_FALSE(many.put(h2::frame(h2::headers, 0, 1, std::string(4000, 'x')), begin));
    auto const more = h2::frame(h2::continuation, 0, 1, std::string(4000, 'x'));
    CHECK(taken(many, more, 100, begin) == 3);

    http2_frame_meter small(max_head, 128, begin);
    REQUIRE_FALSE(small.put(h2::frame(h2::headers, 0, 1), begin));
    std::string rule;
    CHECK(taken(small, h2::frame(h2::continuation, 0, 1, "x"), 100, begin, &rule) == 12);
    CHECK(rule.find("CONTINUATION") != std::string::npos);
}

TEST_CASE("http2_frame_meter: where the pieces of what comes are cut makes no difference") {
    std::string bytes;
    for (int i = 0; i < 300; ++i) bytes += h2::ping_frame() + h2::data_frame(1, "some body") + h2::settings_frame();
    for (std::size_t const piece : {1u, 2u, 7u, 9u, 10u, 1000u}) {
        INFO(piece);
        http2_frame_meter m(max_head, 128, begin);
        std::size_t at = 0;
        bool broken = false;
        for (; at < bytes.size() && !broken; at += piece)
            broken = bool(m.put(std::string_view(bytes).substr(at, piece), begin));
        CHECK(broken);
        // 512 and one of those that count, two of three frames.
        auto const three = bytes.size() / 300;
        CHECK(at >= 256 * three);
        CHECK(at <= 258 * three + piece);
    }
}
