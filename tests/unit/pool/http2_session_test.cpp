#include "support/catch.hpp"
#include "support/compressed.hpp"
#include "support/http2_reading.hpp"

#include <nghttp2/nghttp2.h>

#include <cstring>
#include <map>
#include <memory>

using namespace jirapool;
using namespace jirapool::detail;
using namespace std::chrono_literals;
using namespace jirapool::test;

namespace {

constexpr steady_time begin{std::chrono::hours(1)};

/// A session with the server's end by hand.
struct session_test {
    explicit session_test(http2_limits l = h2_session_limits()) : session(l, begin) {}

    void get(h2_reading& s) { REQUIRE(session.begin(s, request(), false)); }
    void post(h2_reading& s) { REQUIRE(session.begin(s, request("POST"), true)); }
    static std::vector<http2_field> request(std::string_view method = "GET") {
        return {{":method", method, true},
                {":scheme", "https", true},
                {":authority", "site.atlassian.net", true},
                {":path", "/rest/api/3/myself", true},
                {"User-Agent", "jirapool-tests/1", false},
                {"Authorization", "Basic c2VjcmV0OnNlY3JldA==", false, false}};
    }
    /// @return what the session says to it.
    std::vector<h2::seen_frame> say(std::string_view bytes) {
        auto const exact = std::make_unique<char[]>(bytes.size());
        bytes.copy(exact.get(), bytes.size());
        session.put({exact.get(), bytes.size()}, begin);
        return frames_of(take_all(session));
    }

    http2_session session;
};

bool has(std::vector<h2::seen_frame> const& all, std::uint8_t type, std::uint32_t stream = 0) {
    return std::any_of(all.begin(), all.end(), [&](auto const& f) { return f.type == type && f.stream == stream; });
}

std::string const served = h2::settings_frame();

}  // namespace

TEST_CASE("http2_session: it begins with the preface, settings that refuse pushes, and the connection's window") {
    session_test t;
    auto const bytes = take_all(t.session);
    CHECK(bytes.starts_with(h2::preface));
    auto const frames = frames_of(bytes);
    REQUIRE(frames.size() == 2);
    CHECK(frames[0].type == h2::settings);
    std::map<unsigned, std::uint32_t> said;
    for (std::size_t i = 0; i + 6 <= frames[0].payload.size(); i += 6)
        said[static_cast<unsigned char>(frames[0].payload[i + 1])] = frames[0].word_at(i + 2);
    CHECK(said[2] == 0);
    CHECK(said[4] == 65535);
    CHECK(said[6] == 4096 + 32 * 32);
    CHECK(frames[1].type == h2::window_update);
    CHECK(frames[1].word_at(0) == (1u << 20) - 65535);
    CHECK(t.say(served).at(0).flags == h2::ack);
}

TEST_CASE("http2_session: a credential is never kept by who compresses, and what is the same is") {
    session_test t;
    h2_reading first;
    h2_reading second;
    t.say(served);
    t.get(first);
    auto const one = frames_of(take_all(t.session));
    t.get(second);
    auto const two = frames_of(take_all(t.session));
    REQUIRE(one.size() == 1);
    REQUIRE(two.size() == 1);
    CHECK(one[0].flags == (h2::end_stream | h2::end_headers));
    CHECK(two[0].payload.size() + 20 < one[0].payload.size());
    nghttp2_hd_inflater* inflater = nullptr;
    REQUIRE(nghttp2_hd_inflate_new(&inflater) == 0);
    for (auto const* const f : {&one[0], &two[0]}) {
        auto const* in = reinterpret_cast<std::uint8_t const*>(f->payload.data());
        auto left = f->payload.size();
        std::map<std::string, std::string> all;
        for (;;) {
            nghttp2_nv nv;
            int flags = 0;
            auto const n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, in, left, 1);
            REQUIRE(n >= 0);
            in += n;
            left -= static_cast<std::size_t>(n);
            if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
                std::string const name(reinterpret_cast<char*>(nv.name), nv.namelen);
                all[name] = std::string(reinterpret_cast<char*>(nv.value), nv.valuelen);
                CHECK(((nv.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0) == (name == "authorization"));
            }
            if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
        }
        nghttp2_hd_inflate_end_headers(inflater);
        CHECK(all["authorization"] == "Basic c2VjcmV0OnNlY3JldA==");
        CHECK(all[":path"] == "/rest/api/3/myself");
        CHECK(all[":authority"] == "site.atlassian.net");
        CHECK(all["user-agent"] == "jirapool-tests/1");
    }
    nghttp2_hd_inflate_del(inflater);
    t.session.end(first);
    t.session.end(second);
}

TEST_CASE("http2_session: answers, however they are framed and cut") {
    std::string const body = "{\"key\":\"PROJ-1\"}";
    struct {
        char const* what;
        std::string bytes;
    } const cases[] = {
        {"plain", h2::answer(1, body, {{"content-length", "16"}})},
        {"in pieces", h2::headers_frame(1, {{":status", "200"}}) + h2::data_frame(1, body.substr(0, 3)) +
                          h2::data_frame(1, "") + h2::data_frame(1, body.substr(3)) + h2::data_frame(1, "", true)},
        {"padded", h2::headers_frame(1, {{":status", "200"}}) + h2::padded_data_frame(1, body, 200, true)},
        {"interim answers",
         h2::headers_frame(1, {{":status", "100"}}) +
             h2::headers_frame(1, {{":status", "103"}, {"link", "</x>"}, {"content-encoding", "gzip"}}) +
             h2::answer(1, body)},
        {"trailers", h2::headers_frame(1, {{":status", "200"}}) + h2::data_frame(1, body) +
                         h2::headers_frame(1, {{"x-checksum", "1"}}, true)},
        {"blanks around a value", h2::answer(1, body, {{"x-a", "  b\t"}})},
        {"a head in three frames", h2::frame(h2::headers, 0, 1, h2::field(":status", "200")) +
                                       h2::frame(h2::continuation, 0, 1, h2::field("x-a", "b")) +
                                       h2::frame(h2::continuation, h2::end_headers, 1, h2::field("x-c", "d")) +
                                       h2::data_frame(1, body, true)},
        {"gzip", h2::headers_frame(1, {{":status", "200"}, {"content-encoding", "gzip"}}) +
                     h2::data_frame(1, gzipped(body), true)},
    };
    for (auto const& c : cases) {
        INFO(c.what);
        for (std::size_t const piece : {std::size_t{1}, std::size_t{5}, std::size_t{10'000}}) {
            session_test t;
            answer_expectation e;
            e.decode = true;
            h2_reading s(e);
            t.get(s);
            t.say(served);
            for (std::size_t i = 0; i < c.bytes.size(); i += piece) t.say(std::string_view(c.bytes).substr(i, piece));
            INFO(s.answer.error().describe());
            CHECK(s.whole);
            CHECK_FALSE(s.open());
            CHECK(s.out.status() == 200);
            CHECK(std::string_view(s.out.body()) == body);
            CHECK(s.told_after_end == 0);
            CHECK_FALSE(t.session.error().code());
            if (c.what == std::string_view("blanks around a value")) CHECK(s.out.header("x-a") == "b");
        }
    }
}

TEST_CASE("http2_session: an answer that two readers may read differently is none, and ends its stream alone") {
    using f = h2::fields;
    f many;
    for (int i = 0; i < 33; ++i) many.emplace_back("x-" + std::to_string(i), "1");
    auto const head = [](f all) {
        all.insert(all.begin(), {":status", "200"});
        return h2::headers_frame(1, all);
    };
    struct {
        std::string bytes;
        char const* rule;
        bool head_request = false;
    } const cases[] = {
        {h2::headers_frame(1, {{"x-a", "b"}}), "the head has no status"},
        {h2::headers_frame(1, {}), "the head has no status"},
        {h2::headers_frame(1, {{":status", "20"}}), "the status is not one of HTTP"},
        {h2::headers_frame(1, {{":status", "999"}}), "the status is not one of HTTP"},
        {h2::headers_frame(1, {{":status", "2x0"}}), "the status is not one of HTTP"},
        {h2::headers_frame(1, {{":status", "101"}}), "the server changed the protocol unasked"},
        {h2::headers_frame(1, {{":status", "200"}, {":status", "200"}}), "the status stands twice"},
        {head({{":path", "/"}}), "the head has a pseudo-header that is none of an answer's"},
        {h2::headers_frame(1, {{":status", "200"}, {"x-a", "b"}, {":status", "200"}}),
         "a pseudo-header stands behind others"},
        {head({{"X-A", "b"}}), "a header's name has a character that none may have"},
        {head({{"x a", "b"}}), "a header's name has a character that none may have"},
        {head({{"", "b"}}), "a header's name has a character that none may have"},
        {head({{"x-a", "b\r\nset-cookie: c"}}), "a header's value has a control character in it"},
        {head({{"x-a", std::string(1, '\0')}}), "a header's value has a control character in it"},
        {head({{"connection", "close"}}), "the head has a header of HTTP/1.1's connections"},
        {head({{"transfer-encoding", "chunked"}}), "the head has a header of HTTP/1.1's connections"},
        {head({{"content-length", "5"}, {"content-length", "5"}}), "Content-Length stands twice"},
        {head({{"content-length", "5x"}}), "the Content-Length is no number"},
        {head({{"content-length", "-5"}}), "the Content-Length is no number"},
        {head({{"content-length", "2"}}) + h2::data_frame(1, "abc"), "the body is longer than its Content-Length"},
        {head({{"content-length", "4"}}) + h2::data_frame(1, "abc", true),
         "the body is shorter than its Content-Length"},
        {head({{"content-length", "70000"}}), "the body is over wire_params::max_body"},
        {head({}) + h2::headers_frame(1, {{"x-a", "b"}}), "the trailers do not end the answer"},
        {head({}) + h2::headers_frame(1, {{":status", "200"}}, true), "the trailers have a pseudo-header"},
        {h2::headers_frame(1, {{":status", "100"}}, true), "an interim answer has a body, or nothing behind it"},
        {head(many), "the headers are more than wire_params::max_headers"},
        {head({{"x-a", std::string(2100, 'x')}, {"x-b", std::string(2100, 'x')}}),
         "the head is over wire_params::max_head"},
        {head({}) + h2::data_frame(1, "abc"), "an answer that has no body has one", true},
        {head({{"content-encoding", "gzip"}}) + h2::data_frame(1, "no gzip", true), "the compressed body is corrupt"},
    };
    for (auto const& c : cases) {
        INFO(c.rule);
        session_test t;
        answer_expectation e;
        e.head_request = c.head_request;
        e.decode = true;
        h2_reading s(e);
        h2_reading other;
        t.get(s);
        t.get(other);
        t.say(served);
        auto const said = t.say(c.bytes);
        CHECK(s.refused);
        CHECK_FALSE(s.whole);
        CHECK(s.answer.error().rule() == c.rule);
        CHECK_FALSE(s.open());
        CHECK(has(said, h2::rst_stream, 1));
        CHECK_FALSE(t.session.error().code());
        // What still comes for it is nobody's, and the others go on.
        t.say(h2::data_frame(1, "more") + h2::answer(3, "fine"));
        CHECK(s.told_after_end == 0);
        CHECK(other.whole);
    }
}

TEST_CASE("http2_session: nine interim answers are too many") {
    session_test t;
    h2_reading s;
    t.get(s);
    t.say(served);
    for (int i = 0; i < 9; ++i) t.say(h2::headers_frame(1, {{":status", "103"}}));
    CHECK(s.answer.error().rule() == "more than 8 interim answers");
}

TEST_CASE("http2_session: what breaks the connection ends it with words that say what it was, and a GOAWAY") {
    auto const flood = [](std::string const& frame) {
        std::string all = served;
        for (int i = 0; i < 2000; ++i) all += frame;
        return all;
    };
    struct {
        std::string bytes;
        char const* says;
        errc code = errc::protocol_error;
    } const cases[] = {
        {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "the server broke HTTP/2: "},
        {served + h2::frame(h2::push_promise, h2::end_headers, 1, h2::word(2) + h2::field(":method", "GET")),
         "the server pushes, though it was told not to"},
        {served + h2::headers_frame(0, {{":status", "200"}}), "stream_id == 0"},
        {served + h2::headers_frame(2, {{":status", "200"}}), "the server broke HTTP/2: "},
        {served + h2::data_frame(7, "x"), "the server broke HTTP/2: "},
        {served + h2::rst_frame(7, 0), "RST_STREAM: stream in idle"},
        {served + h2::frame(h2::headers, h2::end_headers, 1, "\xff\xff\xff\xff\xff\xff\xff\xff"), "COMPRESSION_ERROR"},
        {served + h2::frame(h2::ping, 0, 0, "short"), "FRAME_SIZE_ERROR"},
        {served + h2::frame(h2::data, 0, 1, std::string(16385, 'x')), "too large frame size"},
        {served + h2::frame(h2::headers, 0, 1, h2::field(":status", "200")) + h2::data_frame(1, "x"), "CONTINUATION"},
        {served + h2::window_frame(0, 0x7fffffff), "FLOW_CONTROL_ERROR"},
        {served + h2::frame(h2::settings, 0, 0, "12345"), "FRAME_SIZE_ERROR"},
        {served + h2::settings_frame({{h2::initial_window_size, 0x80000000u}}), "INITIAL_WINDOW_SIZE"},
        {served + h2::settings_frame({{h2::max_frame_size, 1}}), "MAX_FRAME_SIZE"},
        {served + h2::settings_ack() + h2::settings_ack(), "SETTINGS: unexpected ACK"},
        {flood(h2::ping_frame()), "more PING frames than any has use for"},
        {flood(h2::settings_frame()), "more SETTINGS frames than any has use for"},
        {flood(h2::window_frame(0, 1)), "more WINDOW_UPDATE frames than any has use for"},
        {flood(h2::frame(h2::priority, 0, 3, std::string(5, '\0'))), "more PRIORITY frames than any has use for"},
        {flood(h2::data_frame(1, "")), "more DATA frames with nothing in them"},
        {flood(h2::frame(h2::continuation, 0, 1)), "CONTINUATION"},
        {served + h2::frame(h2::headers, 0, 1, std::string(5000, 'x')), "the head is over wire_params::max_head",
         errc::response_too_large},
    };
    for (auto const& c : cases) {
        INFO(c.says);
        auto l = h2_session_limits();
        session_test t(l);
        h2_reading s;
        s.keeps = true;
        t.get(s);
        take_all(t.session);
        auto const said = t.say(c.bytes);
        INFO(t.session.error().describe());
        CHECK(t.session.error().code() == c.code);
        CHECK(t.session.error().rule().find(c.says) != std::string::npos);
        CHECK(has(said, h2::goaway));
        CHECK_FALSE(t.session.may_begin());
        // Nothing comes back to life.
        t.say(h2::answer(1, "late"));
        CHECK_FALSE(s.whole);
        t.session.end(s);
    }
}

TEST_CASE("http2_session: who takes slowly has as much as the window, and nobody else is held up") {
    auto l = h2_session_limits();
    l.channel_window = 65535;
    session_test t(l);
    h2_reading slow;
    h2_reading quick;
    slow.keeps = true;
    t.get(slow);
    t.get(quick);
    t.say(served + h2::settings_ack());
    t.say(h2::headers_frame(1, {{":status", "200"}}));
    bool connection = false;
    bool stream = false;
    auto const look = [&](std::vector<h2::seen_frame> const& said) {
        connection = connection || has(said, h2::window_update, 0);
        stream = stream || has(said, h2::window_update, 1);
    };
    for (int i = 0; i < 3; ++i) look(t.say(h2::data_frame(1, std::string(16384, 'x'))));
    look(t.say(h2::data_frame(1, std::string(16383, 'x'))));
    CHECK(slow.held == 65535);
    CHECK(connection);
    CHECK_FALSE(stream);
    t.say(h2::answer(3, "quick"));
    CHECK(quick.whole);
    // Little is given back with what comes next.
    t.session.give_back(slow, 20'000);
    look(frames_of(take_all(t.session)));
    CHECK_FALSE(stream);
    t.session.give_back(slow, 20'000);
    auto const said = frames_of(take_all(t.session));
    REQUIRE(has(said, h2::window_update, 1));
    CHECK(said[0].word_at(0) == 40'000);
    // One more than the window was.
    t.say(h2::data_frame(1, "x"));
    CHECK(slow.held == 65536);
    CHECK_FALSE(t.session.error().code());
    t.session.end(slow);
}

TEST_CASE("http2_session: what comes on a stream that we reset is borne as far as its window, and no further") {
    auto l = h2_session_limits();
    l.stream_window = 65536;
    l.channel_window = 65536;
    session_test t(l);
    h2_reading whole;
    h2_reading ended;
    h2_reading refused;
    t.get(whole);
    t.get(ended);
    t.get(refused);
    t.say(served + h2::settings_ack());
    t.say(h2::answer(1, "fine"));
    REQUIRE(whole.whole);
    t.session.end(ended);
    t.say(h2::headers_frame(5, {{":status", "9"}}));
    REQUIRE(refused.refused);
    std::string const kib16(16384, 'x');
    bool given_back = false;
    for (auto const stream : {3u, 5u})
        for (int i = 0; i < 4; ++i)
            given_back = has(t.say(h2::data_frame(stream, kib16)), h2::window_update, 0) || given_back;
    CHECK(given_back);
    INFO(t.session.error().describe());
    CHECK_FALSE(t.session.error().code());
    std::string bytes;
    SECTION("of the one") { bytes = h2::data_frame(3, "x"); }
    SECTION("of the other, which is padded") { bytes = h2::padded_data_frame(5, "x", 255); }
    SECTION("of one that was whole") { bytes = h2::data_frame(1, "x", true); }
    auto const said = t.say(bytes);
    CHECK(has(said, h2::goaway));
    CHECK(t.session.error().code() == errc::protocol_error);
    CHECK(t.session.error().rule() == "the server sends more on streams that are over than it was given room for");
}

TEST_CASE("http2_session: a stream that is reset for what it broke may have as much on its way as any other") {
    auto l = h2_session_limits();
    l.stream_window = 65536;
    session_test t(l);
    h2_reading s;
    t.get(s);
    t.say(served + h2::settings_ack());
    t.say(h2::window_frame(1, 0x7fffffff));
    CHECK(s.closed == 3);
    for (int i = 0; i < 4; ++i) t.say(h2::data_frame(1, std::string(16384, 'x')));
    CHECK_FALSE(t.session.error().code());
    t.say(h2::data_frame(1, "x"));
    CHECK(t.session.error().code() == errc::protocol_error);
}

TEST_CASE("http2_session: padding is given back too") {
    auto l = h2_session_limits();
    l.channel_window = 65535;
    session_test t(l);
    h2_reading s;
    t.get(s);
    t.say(served + h2::settings_ack());
    t.say(h2::headers_frame(1, {{":status", "200"}}));
    // Several windows of it.
    for (int i = 0; i < 1000; ++i) t.say(h2::padded_data_frame(1, "1", 255));
    INFO(t.session.error().describe());
    CHECK_FALSE(t.session.error().code());
    t.say(h2::data_frame(1, "", true));
    CHECK(s.whole);
    CHECK(std::string_view(s.out.body()).size() == 1000);
}

TEST_CASE(
    "http2_session: GOAWAY leaves the streams that the server has begun, and ends those that it has not as refused") {
    session_test t;
    h2_reading a;
    h2_reading b;
    t.get(a);
    t.get(b);
    t.say(served);
    // Gracefully: first a word of warning.
    t.say(h2::goaway_frame(h2::last_stream_id, h2::no_error));
    CHECK(t.session.told_to_leave());
    CHECK(t.session.parting_words() == "GOAWAY: NO_ERROR");
    CHECK_FALSE(t.session.may_begin());
    CHECK(a.open());
    CHECK(b.open());
    t.say(h2::goaway_frame(1, h2::enhance_your_calm));
    CHECK(t.session.parting_words() == "GOAWAY: ENHANCE_YOUR_CALM");
    CHECK(a.open());
    CHECK(b.closed == http2_refused_stream);
    t.say(h2::answer(1, "still here"));
    CHECK(a.whole);
    CHECK_FALSE(t.session.error().code());
    h2_reading c;
    CHECK_FALSE(t.session.begin(c, session_test::request(), false));
}

TEST_CASE("http2_session: it ends in good order where nothing is wrong and the server acts on what came first") {
    auto const warning = h2::goaway_frame(h2::last_stream_id, h2::no_error);
    auto const head = h2::headers_frame(1, {{":status", "200"}});
    struct {
        char const* what;
        std::string says;
        bool in_order;
    } const cases[] = {
        {"behind the first", h2::goaway_frame(1, h2::no_error), true},
        {"behind none", h2::goaway_frame(0, h2::no_error), false},
        {"a warning alone", warning, false},
        {"a warning behind an answer", head + warning, true},
        {"a warning, then behind the first", warning + h2::goaway_frame(1, h2::no_error), true},
        {"a warning, then behind none", warning + h2::goaway_frame(0, h2::no_error), false},
        {"with an error", head + h2::goaway_frame(1, h2::enhance_your_calm), false},
        {"with an error at first", h2::goaway_frame(3, h2::internal_error) + h2::goaway_frame(1, h2::no_error), false},
        {"without a word", head, false},
    };
    for (auto const& c : cases) {
        INFO(c.what);
        session_test t;
        h2_reading a;
        h2_reading b;
        t.get(a);
        t.get(b);
        t.say(served);
        t.say(c.says);
        CHECK_FALSE(t.session.error().code());
        CHECK(t.session.ends_in_order() == c.in_order);
    }
}

TEST_CASE("http2_session: what is more than a stream's window breaks the stream alone") {
    session_test t;
    h2_reading s;
    h2_reading other;
    s.keeps = true;
    t.get(s);
    t.get(other);
    t.say(served + h2::settings_ack());
    t.say(h2::headers_frame(1, {{":status", "200"}}));
    std::vector<h2::seen_frame> said;
    for (int i = 0; i < 4; ++i) said = t.say(h2::data_frame(1, std::string(16384, 'x')));
    CHECK(has(said, h2::rst_stream, 1));
    CHECK(s.closed == 3);
    CHECK_FALSE(s.by_server);
    CHECK(s.held <= 65536);
    t.say(h2::answer(3, "fine"));
    CHECK(other.whole);
}

TEST_CASE("http2_session: a reset of each code closes its stream with that code") {
    for (std::uint32_t code = 0; code <= 0xe; ++code) {
        session_test t;
        h2_reading s;
        t.get(s);
        t.say(served);
        t.say(h2::rst_frame(1, code));
        CHECK(s.closed == code);
        CHECK(s.by_server);
        CHECK_FALSE(s.whole);
        CHECK_FALSE(t.session.error().code());
    }
    CHECK(http2_error_name(0x8) == std::string("CANCEL"));
    CHECK(http2_error_name(0xe) == std::string("unknown"));
}

TEST_CASE("http2_session: a stream that nobody wants any more is reset, and one that did not go out never does") {
    session_test t;
    t.say(served);
    h2_reading out;
    h2_reading queued;
    t.get(out);
    take_all(t.session);
    t.get(queued);
    t.session.end(out);
    t.session.end(queued);
    auto const said = frames_of(take_all(t.session));
    CHECK(has(said, h2::rst_stream, 1));
    CHECK_FALSE(has(said, h2::headers, 3));
    CHECK(queued.begins_at() == http2_stream::never);
    // The next one goes on as ever.
    h2_reading next;
    t.get(next);
    take_all(t.session);
    t.say(h2::answer(5, "fine"));
    CHECK(next.whole);
}

TEST_CASE("http2_session: the server's settings bound streams, windows and frames, also when they change") {
    session_test t;
    CHECK(t.session.max_streams() == 100);
    t.say(h2::settings_frame({{h2::max_concurrent_streams, 1}}));
    CHECK(t.session.max_streams() == 1);
    h2_reading a;
    h2_reading b;
    t.get(a);
    t.get(b);
    auto said = frames_of(take_all(t.session));
    CHECK(has(said, h2::headers, 1));
    CHECK_FALSE(has(said, h2::headers, 3));
    said = t.say(h2::answer(1, "x"));
    CHECK(has(said, h2::headers, 3));
    t.say(h2::settings_frame({{h2::max_concurrent_streams, 100'000}}));
    CHECK(t.session.max_streams() == 256);
    t.session.end(b);

    t.say(h2::settings_frame({{h2::initial_window_size, 10}}));
    h2_reading upload({}, std::string(40'000, 'x'));
    t.post(upload);
    said = frames_of(take_all(t.session));
    auto const sent = [&] {
        std::size_t n = 0;
        for (auto const& f : said) n += f.type == h2::data ? f.payload.size() : 0;
        return n;
    };
    CHECK(sent() == 10);
    CHECK(t.session.held_back(upload));
    said = t.say(h2::settings_frame({{h2::initial_window_size, 30'000}}));
    CHECK(sent() == 29'990);
    CHECK_FALSE(upload.taken);
    said = t.say(h2::window_frame(5, 100'000));
    CHECK(sent() == 10'000);
    CHECK(said.back().ends_stream());
    CHECK(upload.taken);
    CHECK(upload.ends_at() == t.session.taken());
    CHECK_FALSE(t.session.held_back(upload));
    t.session.end(upload);
}

TEST_CASE("http2_session: a body that is not there yet is waited for, and an answer that comes before its end counts") {
    session_test t;
    t.say(served);
    h2_reading s({}, "0123456789");
    s.ready = 4;
    t.post(s);
    auto said = frames_of(take_all(t.session));
    REQUIRE(said.size() == 2);
    CHECK(said[1].payload == "0123");
    s.ready = 3;
    CHECK(take_all(t.session).empty());
    t.session.resume(s);
    said = frames_of(take_all(t.session));
    REQUIRE(said.size() == 1);
    CHECK(said[0].payload == "456");
    // The server has enough; it also says that nothing more shall come.
    t.say(h2::answer(1, "413 for you") + h2::rst_frame(1, h2::no_error));
    CHECK(s.whole);
    CHECK_FALSE(s.open());
    CHECK_FALSE(s.taken);
}

TEST_CASE("http2_session: stream numbers have an end, behind which none may begin") {
    auto l = h2_session_limits();
    l.first_stream = (1u << 31) - 3;
    session_test t(l);
    t.say(served);
    h2_reading a;
    h2_reading b;
    h2_reading c;
    t.get(a);
    CHECK(t.session.may_begin());
    t.get(b);
    CHECK_FALSE(t.session.may_begin());
    CHECK_FALSE(t.session.begin(c, session_test::request(), false));
    take_all(t.session);
    t.say(h2::answer((1u << 31) - 3, "a") + h2::answer((1u << 31) - 1, "b"));
    CHECK(a.whole);
    CHECK(b.whole);
}

TEST_CASE("http2_session: what is taken in small pieces is the same, and is told of by where it stands") {
    session_test t;
    h2_reading s({}, std::string(50'000, 'x'));
    t.post(s);
    auto const begun = take_all(t.session, 7);
    CHECK(s.begins_at() > 0);
    CHECK(s.begins_at() < begun.size());
    auto const frames = frames_of(begun);
    REQUIRE(frames.size() >= 4);
    CHECK(frames[2].type == h2::headers);
    CHECK(t.session.taken() == begun.size());
    CHECK(s.sent() == begun.size() - s.begins_at());
    t.session.end(s);
}

TEST_CASE("http2_session: a ping is answered, ours goes out, and leaving says so") {
    session_test t;
    take_all(t.session);
    auto said = t.say(served + h2::ping_frame());
    CHECK(std::any_of(said.begin(), said.end(), [](auto const& f) {
        return f.type == h2::ping && f.flags == h2::ack && f.payload == "01234567";
    }));
    t.session.ping();
    said = frames_of(take_all(t.session));
    CHECK(has(said, h2::ping));
    t.session.leave();
    said = frames_of(take_all(t.session));
    REQUIRE(has(said, h2::goaway));
    CHECK(said.back().word_at(4) == h2::no_error);
    CHECK_FALSE(t.session.error().code());
}

TEST_CASE("http2_session: memory that nghttp2 gives back serves its next block of that kind, and goes at a rest") {
    http2_memory memory;
    void* const first = memory.allocate(40);
    REQUIRE(first != nullptr);
    std::memset(first, 1, 40);
    memory.release(first);
    // 64 bytes are of the same kind as 40, 65 of the next.
    void* const larger = memory.allocate(65);
    CHECK(larger != first);
    void* const same = memory.allocate(64);
    CHECK(same == first);
    std::memset(same, 2, 64);
    auto* const grown = static_cast<char*>(memory.reallocate(same, 3000));
    REQUIRE(grown != nullptr);
    CHECK(std::string_view(grown, 64) == std::string(64, 2));
    std::memset(grown, 3, 3000);
    auto* const shrunk = static_cast<char*>(memory.reallocate(grown, 3));
    CHECK(std::string_view(shrunk, 3) == std::string(3, 3));
    memory.release(shrunk);
    memory.release(larger);
    memory.release(nullptr);
    void* const none = memory.allocate(0);
    CHECK(none != nullptr);
    memory.release(none);
    void* const last = memory.reallocate(nullptr, 512);
    CHECK(last != nullptr);
    memory.release(last);
    memory.give_back();
    void* const anew = memory.allocate(512);
    CHECK(anew != nullptr);
    memory.release(anew);
}
