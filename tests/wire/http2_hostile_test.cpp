// What a server may do over HTTP/2 to cost memory, CPU or time: each ends early, by a rule that is named, and takes nobody else with it.
#include "http2_server.hpp"
#include "support/compressed.hpp"
#include "support/figure.hpp"
#include "support/peak_memory.hpp"
#include "support/sanitized.hpp"

#include <atomic>
#include <cstdio>
#include <ctime>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr char const* good_host = "good.atlassian.net";

double cpu_seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

identity const& good_identity() {
    static identity const leaf = make_certificate({.name = "leaf", .alt_names = std::string("DNS:") + good_host},
                                                  &test_authority());
    return leaf;
}

/// What the server does behind two requests, on streams 1 and 3, and what becomes of these.
struct attack {
    char const* what;
    std::string begin;
    std::string again;  ///< without end, until the client has enough; empty: never
    errc
        code;  ///< the first one's end: the breach, where the frame was of its stream and the session can tell; else channel_lost
    char const* says;
    /// Of the second one's: the channel's end. Null: it is answered, and so is a third.
    char const* second_says = nullptr;
    errc second_code = errc::channel_lost;
    std::string settings = h2::settings_frame();
    std::size_t upload = 0;  ///< bytes of the first one's body
    unsigned pause_us = 0;
    std::size_t most_again = std::size_t(-1);
};

std::string times(std::string const& what, std::size_t n) {
    std::string all;
    for (std::size_t i = 0; i < n; ++i) all += what;
    return all;
}

std::string ok_head() { return h2::headers_frame(1, {{":status", "200"}}); }
/// HPACK: kept, to be named by a number.
std::string kept_field(std::string const& name, std::string const& value) {
    auto f = h2::field(name, value);
    f.front() = '\x40';
    return f;
}

std::vector<attack> attacks() {
    std::string const kib16(16384, 'x');
    auto const begun_head = h2::frame(h2::headers, 0, 1, h2::field(":status", "200"));
    auto const gzip = test::gzip_bomb();
    auto const brotli = test::brotli_bomb();
    auto const coded = [](char const* coding, std::string const& bytes) {
        return h2::headers_frame(1, {{":status", "200"}, {"content-encoding", coding}}) +
               h2::data_frames(1, bytes, false);
    };
    using enum errc;
    constexpr auto head_rule = "the head is over wire_params::max_head";
    constexpr auto unasked_data = "the server sends more on streams that are over than it was given room for";
    constexpr auto broke = "the server broke HTTP/2: ";
    return {
        // Heads
        {"CONTINUATION without end", begun_head, h2::frame(h2::continuation, 0, 1, h2::field("x", kib16.substr(100))),
         response_too_large, head_rule, head_rule},
        {"small CONTINUATION without end", begun_head, h2::frame(h2::continuation, 0, 1, h2::field("x", "y")),
         protocol_error, "in more CONTINUATION frames than any has use for", "in more CONTINUATION frames"},
        {"empty CONTINUATION without end", begun_head, h2::frame(h2::continuation, 0, 1), protocol_error,
         "in more CONTINUATION frames than any has use for", "in more CONTINUATION frames"},
        {"a head that a few bytes name again and again",
         h2::frame(h2::headers, h2::end_headers, 1,
                   h2::field(":status", "200") + kept_field("x", std::string(3000, 'x')) + std::string(12'000, '\xbe')),
         "", response_too_large, head_rule},
        {"more headers than any has use for",
         h2::frame(h2::headers, h2::end_headers, 1,
                   h2::field(":status", "200") + kept_field("x", "y") + std::string(12'000, '\xbe')),
         "", response_too_large, "the headers are more than wire_params::max_headers"},
        {"a name that is nobody's", h2::frame(h2::headers, h2::end_headers, 1, "\xff\x80\x80\x80\x01"), "",
         channel_lost, broke, "COMPRESSION_ERROR"},
        {"a table larger than was allowed",
         h2::frame(h2::headers, h2::end_headers, 1, "\x3f\xe1\xff\xff\x03" + h2::field(":status", "200")), "",
         channel_lost, broke, "COMPRESSION_ERROR"},
        {"interim answers without end", "", h2::headers_frame(1, {{":status", "103"}}), protocol_error,
         "more than 8 interim answers", "more HEADERS frames than any has use for"},
        {"trailers without end", ok_head(), h2::headers_frame(1, {{"x", "y"}}), protocol_error,
         "the trailers do not end the answer", "more HEADERS frames than any has use for"},
        {"a frame between the parts of a head", begun_head + h2::ping_frame(), "", channel_lost, broke, "CONTINUATION"},
        {"a head that is never whole", begun_head.substr(0, begun_head.size() - 1), "", timeout,
         "slower than wire_params::min_rate", "wire_params::first_byte_timeout", timeout},
        {"a head that drips",
         h2::frame(h2::headers, h2::end_headers, 1, h2::field("x", kib16.substr(100))).substr(0, 15), "x", timeout,
         "slower than wire_params::min_rate", "wire_params::first_byte_timeout", timeout, h2::settings_frame(), 0,
         2000},

        // Frames that bring nothing
        {"PING without end", "", h2::ping_frame(), channel_lost, "more PING frames", "more PING frames"},
        {"answers to no PING without end", "", h2::ping_frame(h2::ack), channel_lost, "more PING frames",
         "more PING frames"},
        {"SETTINGS without end", "", h2::settings_frame(), channel_lost, "more SETTINGS frames",
         "more SETTINGS frames"},
        {"windows that open and close without end", "",
         h2::settings_frame({{h2::initial_window_size, 0}}) + h2::settings_frame({{h2::initial_window_size, 100'000}}),
         channel_lost, "more SETTINGS frames", "more SETTINGS frames", channel_lost, h2::settings_frame(), 10},
        {"PRIORITY without end", "", h2::frame(h2::priority, 0, 1, std::string("\0\0\0\3\1", 5)), protocol_error,
         "more PRIORITY frames", "more PRIORITY frames"},
        {"WINDOW_UPDATE without end", "", h2::window_frame(0, 1), channel_lost, "more WINDOW_UPDATE frames",
         "more WINDOW_UPDATE frames"},
        {"GOAWAY without end", "", h2::goaway_frame(3, h2::no_error), channel_lost, "more GOAWAY frames",
         "more GOAWAY frames"},
        {"frames of unknown types without end", "", h2::frame(0x42, 0xff, 1, "?"), protocol_error,
         "more frames of unknown types", "more frames of unknown types"},
        {"resets without end", "", h2::rst_frame(1, h2::cancel), channel_lost, "the server reset the stream (CANCEL)",
         "more RST_STREAM frames"},
        {"empty DATA without end", ok_head(), h2::data_frame(1, ""), protocol_error,
         "more DATA frames with nothing in them", "more DATA frames with nothing in them"},
        {"DATA of padding without end", ok_head(), h2::padded_data_frame(1, "", 255), protocol_error,
         "more DATA frames with nothing in them", "more DATA frames with nothing in them"},
        {"DATA of little more than padding",
         ok_head(),
         h2::padded_data_frame(1, "x", 255),
         timeout,
         "slower than wire_params::min_rate",
         nullptr,
         {},
         h2::settings_frame(),
         0,
         5000,
         100},

        // Bodies
        {"a body without end", ok_head(), h2::data_frame(1, kib16), response_too_large,
         "the body is over wire_params::max_body", unasked_data},
        {"a gzip bomb", coded("gzip", gzip.begin), h2::data_frames(1, times(gzip.again, 4), false), response_too_large,
         "the body decodes to more than wire_params::max_ratio times its size", unasked_data},
        {"a brotli bomb", coded("br", brotli.begin), h2::data_frames(1, times(brotli.again, 16), false),
         response_too_large, "the body decodes to more than wire_params::max_ratio times its size", unasked_data},
        {"a body in front of its head", h2::data_frame(1, "x"), "", channel_lost, "DATA: stream not opened",
         "DATA: stream not opened"},
        {"a body without end behind its end", h2::answer(1, "fine"), h2::data_frame(1, kib16), {}, "", unasked_data},
        {"a body without end behind a reset", h2::rst_frame(1, h2::internal_error), h2::data_frame(1, kib16),
         channel_lost, "INTERNAL_ERROR", unasked_data},
        {"a body that drips",
         ok_head(),
         h2::data_frame(1, "x"),
         timeout,
         "slower than wire_params::min_rate",
         nullptr,
         {},
         h2::settings_frame(),
         0,
         5000,
         100},
        {"a body longer than was said", h2::headers_frame(1, {{":status", "200"}, {"content-length", "3"}}),
         h2::data_frame(1, kib16), protocol_error, "the body is longer than its Content-Length", unasked_data},
        {"a body shorter than was said",
         h2::headers_frame(1, {{":status", "200"}, {"content-length", "5"}}) + h2::data_frame(1, "four", true), "",
         protocol_error, "the body is shorter than its Content-Length"},

        // Streams that are none, or are over
        {"a push", h2::frame(h2::push_promise, h2::end_headers, 1, h2::word(2) + h2::field(":method", "GET")), "",
         protocol_error, "the server pushes, though it was told not to", "the server pushes"},
        {"DATA on a stream that nobody began", h2::data_frame(7, "x"), "", channel_lost, broke, broke},
        {"HEADERS on a stream that nobody began", h2::answer(7, "x"), "", channel_lost, broke, broke},
        {"HEADERS on a stream of the server's", h2::answer(2, "x"), "", channel_lost, broke, broke},
        {"HEADERS on the connection", h2::answer(0, "x"), "", channel_lost, "stream_id == 0", "stream_id == 0"},
        {"DATA on the connection", h2::data_frame(0, "x"), "", channel_lost, "stream_id == 0", "stream_id == 0"},
        {"SETTINGS on a stream", h2::frame(h2::settings, 0, 1), "", channel_lost, "stream_id != 0", "stream_id != 0"},
        {"a reset of a stream that nobody began", h2::rst_frame(7, 0), "", channel_lost, "stream in idle",
         "stream in idle"},
        {"a window of a stream that nobody began", h2::window_frame(7, 1), "", channel_lost, broke, broke},
        // More than the window that a client goes by until it has read the server's SETTINGS.
        {"more behind an answer's end while its request is sent",
         h2::answer(1, "fine") + h2::data_frame(1, "x"),
         "",
         {},
         "",
         "half-closed(remote)",
         channel_lost,
         h2::settings_frame({{h2::initial_window_size, 10}}),
         100'000},

        // Sizes and windows
        {"a PING of 7 bytes", h2::frame(h2::ping, 0, 0, "1234567"), "", channel_lost, "FRAME_SIZE_ERROR",
         "FRAME_SIZE_ERROR"},
        {"a reset of 3 bytes", h2::frame(h2::rst_stream, 0, 1, "123"), "", channel_lost, "FRAME_SIZE_ERROR",
         "FRAME_SIZE_ERROR"},
        {"a WINDOW_UPDATE of 5 bytes", h2::frame(h2::window_update, 0, 0, "12345"), "", channel_lost,
         "FRAME_SIZE_ERROR", "FRAME_SIZE_ERROR"},
        {"SETTINGS of 5 bytes", h2::frame(h2::settings, 0, 0, "12345"), "", channel_lost, "FRAME_SIZE_ERROR",
         "FRAME_SIZE_ERROR"},
        {"an ACK that says something", h2::frame(h2::settings, h2::ack, 0, "123456"), "", channel_lost,
         "FRAME_SIZE_ERROR", "FRAME_SIZE_ERROR"},
        {"a GOAWAY of 7 bytes", h2::frame(h2::goaway, 0, 0, "1234567"), "", channel_lost, "FRAME_SIZE_ERROR",
         "FRAME_SIZE_ERROR"},
        {"a frame over 16 KiB", h2::frame(h2::data, 0, 1, std::string(16385, 'x')), "", channel_lost,
         "too large frame size", "too large frame size"},
        {"a frame of 16 MB", h2::frame(h2::data, 0, 1, times(std::string(1u << 16, 'x'), 256).substr(1)), "",
         channel_lost, "too large frame size", "too large frame size"},
        {"padding longer than its frame", ok_head() + h2::frame(h2::data, h2::padded, 1, "\xff" + std::string(10, 'x')),
         "", channel_lost, broke, broke},
        {"a window over 2^31 - 1", h2::window_frame(0, 0x7fffffff), "", channel_lost, "FLOW_CONTROL_ERROR",
         "FLOW_CONTROL_ERROR"},
        {"a window of nothing", h2::window_frame(0, 0), "", channel_lost, broke, broke},
        {"a stream's window over 2^31 - 1",
         h2::window_frame(1, 0x7fffffff) + h2::window_frame(1, 0x7fffffff),
         "",
         protocol_error,
         "the answer broke HTTP/2 (FLOW_CONTROL_ERROR)",
         nullptr,
         {},
         h2::settings_frame(),
         200'000},
        {"all windows over 2^31 - 1", h2::settings_frame({{h2::initial_window_size, 0x80000000u}}), "", channel_lost,
         "INITIAL_WINDOW_SIZE", "INITIAL_WINDOW_SIZE"},
        {"frames of a byte", h2::settings_frame({{h2::max_frame_size, 1}}), "", channel_lost, "MAX_FRAME_SIZE",
         "MAX_FRAME_SIZE"},
        {"no room for a request",
         "",
         "",
         timeout,
         "the request was not taken within wire_params::write_timeout, as the server gives it no room (flow control)",
         nullptr,
         {},
         h2::settings_frame({{h2::initial_window_size, 0}}),
         100'000},
        {"room for a byte of a request at a time",
         "",
         h2::window_frame(1, 1),
         timeout,
         "the request was not taken within wire_params::write_timeout",
         nullptr,
         {},
         h2::settings_frame({{h2::initial_window_size, 0}}),
         100'000,
         2000,
         300},
    };
}

/// Says what the attack does once both requests are there, as far as they come: their bodies may not.
h2_server::frames_script doing(attack const& a, std::atomic<std::uint64_t>& said) {
    return [&a, &said](h2_peer& peer) {
        for (int heads = 0; heads < 2; ++heads)
            if (!peer.read(h2::headers)) return;
        if (!a.begin.empty() && !peer.write(a.begin)) return;
        for (std::size_t n = 0; !a.again.empty() && n < a.most_again; ++n) {
            if (!peer.write(a.again)) return;
            said += a.again.size();
            if (a.pause_us > 0) ::usleep(a.pause_us);
        }
        if (a.second_says != nullptr) return peer.stall();
        peer.write(h2::answer(3, "fine"));
        while (auto const f = peer.read(h2::headers)) peer.write(h2::answer(f->stream, "fine"));
    };
}

}  // namespace

TEST_CASE("http2_hostile: whatever a server sends ends early, in little memory and CPU, by its rule, and alone") {
    int ended = 0;
    for (auto const& a : attacks()) {
        INFO(a.what);
        std::atomic<std::uint64_t> said{0};
        h2_server server(doing(a, said), a.settings);
        h2_server good(answering_http2("fine"), h2::settings_frame(), good_identity());
        h2_client client(server.port());
        client.params.connect_to.insert(client.params.connect_to.begin(), {good_host, "127.0.0.1", good.port()});
        client.params.wire.max_body = 4u << 20;
        client.params.wire.stream_window = 8u << 20;  // these servers look at no window
        // Only where it is the limit that is meant: a busy machine must not end the others.
        if (a.code == errc::timeout) {
            client.params.wire.min_rate = 5000;
            client.params.wire.min_rate_window = 150ms;
            client.params.wire.first_byte_timeout = 1s;
            client.params.wire.write_timeout = 300ms;
        }
        auto channel = client.open();
        auto other = client.open(good_host);
        test::forget_peak();
        auto const memory_before = test::peak_mib();
        auto const cpu_before = cpu_seconds();
        auto const first = client.begin(*channel, std::make_shared<flight>(a.upload > 0 ? method::post : method::get,
                                                                           std::string(a.upload, 'u')));
        auto const second = client.begin(*channel);
        // Another channel of the same thread: its exchanges follow one another meanwhile.
        int others = 0;
        auto beside = client.begin(*other);
        bool const all_ended = client.run_until([&] {
            if (beside->ended() && beside->text() == "fine") {
                ++others;
                beside = client.begin(*other);
            }
            return first->ended() && second->ended() && others > 0;
        });
        REQUIRE(all_ended);
        auto const cpu = cpu_seconds() - cpu_before;
        auto const memory = test::peak_mib() - memory_before;
        client.finish(*beside);
        CHECK(beside->text() == "fine");
        CHECK(other->alive());

        CHECK(first->code() == a.code);
        CHECK(first->rule().find(a.says) != std::string::npos);
        INFO(first->rule());
        INFO(second->rule());
        if (a.code == errc()) CHECK(first->text() == "fine");
        if (a.second_says != nullptr) {
            CHECK(second->code() == a.second_code);
            CHECK(second->rule().find(a.second_says) != std::string::npos);
        } else {
            CHECK(second->text() == "fine");
            CHECK(channel->alive());
            auto const third = client.begin(*channel);
            client.finish(*third);
            CHECK(third->text() == "fine");
        }
        // What the system holds between the two is some megabytes by itself.
        CHECK(said < (32u << 20));
        CHECK(first->report->received < (5u << 20));
        CHECK(cpu < (test::sanitized ? 5 : 1));
        if (test::peak_means_something) CHECK(memory < 64);
        ++ended;
        support::figure("http2_hostile_peak_mib", memory);
        support::figure("http2_hostile_cpu_ms", cpu * 1000);
        std::printf(
            "http2_hostile %s: %.2f MiB said, %.1f MiB more memory, %.0f ms of CPU, %d exchanges beside, %s; %s\n",
            a.what, static_cast<double>(said) / (1 << 20), memory, cpu * 1000, others, first->rule().c_str(),
            second->rule().c_str());
    }
    support::figure("http2_hostile_attacks", ended);
}
