#include "support/catch.hpp"

#include "http2_faults.hpp"
#include "http2_frames.hpp"
#include "http2_script.hpp"

#include <cstddef>
#include <string>
#include <string_view>

using namespace jirapool::mock;

namespace {

using namespace std::string_literals;

/// How many frames these are; npos when the last one is not whole.
std::size_t count_frames(std::string_view bytes) {
    std::size_t n = 0;
    for (; !bytes.empty(); ++n) {
        if (bytes.size() < http2_frames::head_size) return std::string_view::npos;
        auto const byte = [bytes](std::size_t i) { return std::size_t{static_cast<unsigned char>(bytes[i])}; };
        std::size_t const size = http2_frames::head_size + (byte(0) << 16 | byte(1) << 8 | byte(2));
        if (bytes.size() < size) return std::string_view::npos;
        bytes.remove_prefix(size);
    }
    return n;
}

TEST_CASE("mock http2 frames: a frame is its length, type, flags, stream and payload") {
    std::string out;
    http2_frames::append(out, http2_frames::type::data, http2_frames::end_stream, 0x1020304, "abc");
    CHECK(out ==
          "\x00\x00\x03\x00\x01\x01\x02\x03\x04"
          "abc"s);
    CHECK(http2_frames::setting(4, 0x10000) == "\x00\x04\x00\x01\x00\x00"s);
}

TEST_CASE("mock http2 frames: a field is not indexed unless it is to be, and says its lengths by RFC 7541") {
    CHECK(http2_frames::field("a", "bc") ==
          "\x00\x01"
          "a\x02"
          "bc"s);
    CHECK(http2_frames::indexed_field("a", "") ==
          "\x40\x01"
          "a\x00"s);
    // The RFC's example of a number beyond its prefix, 1337, with a prefix of 7 bits.
    std::string const long_one = http2_frames::field("", std::string(1337, 'x'));
    CHECK(long_one.substr(0, 5) == "\x00\x00\x7f\xba\x09"s);
    CHECK(long_one.size() == 5 + 1337);
    CHECK(http2_frames::field("", std::string(127, 'x')).substr(2, 2) == "\x7f\x00"s);
}

TEST_CASE("mock http2 faults: what is sent past the library are whole frames") {
    for (http2_fault_info const& info : list_http2_faults()) {
        INFO(info.name);
        http2_step s;
        s.what = info.what;
        s.count = 7;
        std::string const frames = raw_frames(s, 5);
        // That one is no HTTP/2 at all.
        if (info.what == http2_fault::wrong_text) continue;
        std::size_t const n = count_frames(frames);
        CHECK(n != std::string_view::npos);
        if (info.name.ends_with("_flood") && !frames.empty()) CHECK(n >= 7);
        if (info.name.starts_with("wrong_")) CHECK(n >= 1);
    }
}

TEST_CASE("mock http2 faults: a header block that is larger than a frame goes on in others") {
    http2_step s;
    s.what = http2_fault::hpack_bomb;
    s.count = 40'000;
    CHECK(count_frames(raw_frames(s, 1)) == 4);
}

TEST_CASE("mock http2 script: at most 1000 faults play at a time, and they are counted") {
    http2_script script;
    CHECK_FALSE(script.next());
    http2_fault_request r;
    r.step.what = http2_fault::silence;
    for (std::size_t i = 0; i < http2_script::max_playing; ++i) REQUIRE(script.play(r) == nullptr);
    CHECK(script.play(r) == std::string("at most 1000 faults of HTTP/2 play at a time"));
    CHECK(script.count_playing()[static_cast<std::size_t>(http2_fault::silence)] == http2_script::max_playing);
    script.end_all();
    CHECK_FALSE(script.next());
    r.every = 0;
    CHECK(script.play(r) != nullptr);
}

}  // namespace
