// A server's bytes through everything of an HTTP/2 channel but its socket: the session and the readers of four answers. However they are
// cut it is the same; nothing is told of a stream behind its end; nobody holds more than his window. Input: flags, size of the pieces, the
// bytes.
#include "fuzz.hpp"
#include "support/http2_reading.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>

using namespace jirapool;
using namespace jirapool::detail;
using namespace jirapool::test;

namespace {

constexpr steady_time begin{std::chrono::hours(1)};

struct conversation {
    explicit conversation(std::uint8_t flags) : session(h2_session_limits(), begin) {
        constexpr unsigned with_decoding = 1;
        constexpr unsigned slow = 2;
        for (std::size_t i = 0; i < streams.size(); ++i) {
            answer_expectation e;
            e.decode = (flags & with_decoding) != 0;
            e.head_request = i == 3;
            streams[i] = std::make_unique<h2_reading>(e, i == 1 ? std::string(100'000, 'x') : std::string());
            streams[i]->keeps = i == 2 && (flags & slow) != 0;
            http2_field const fields[] = {{":method",
                                           i == 1   ? "POST"
                                           : i == 3 ? "HEAD"
                                                    : "GET",
                                           true},
                                          {":scheme", "https", true},
                                          {":authority", "site.atlassian.net", true},
                                          {":path", "/", true},
                                          {"Authorization", "Basic c2VjcmV0OnNlY3JldA==", false, false}};
            FUZZ_CHECK(session.begin(*streams[i], fields, i == 1));
        }
        said += take_all(session);
    }
    ~conversation() {
        for (auto const& s : streams) session.end(*s);
    }

    void put(std::string_view bytes, std::size_t piece) {
        for (std::size_t i = 0; i < bytes.size(); i += piece) {
            fuzz::exact_copy const exact(bytes.substr(i, piece));
            session.put(exact.view(), begin);
            said += take_all(session);
        }
    }

    void check() const {
        auto const& error = session.error();
        if (error.code()) {
            FUZZ_CHECK(error.code() == errc::protocol_error || error.code() == errc::response_too_large);
            FUZZ_CHECK(!error.rule().empty());
            FUZZ_CHECK(!session.may_begin());
        }
        static char const zeros[body_view::padding] = {};
        for (auto const& s : streams) {
            std::string_view const body = s->out.body();
            FUZZ_CHECK(s->told_after_end == 0);
            FUZZ_CHECK(body.size() <= h2_limits.max_body + 64 * 1024 * 4);
            FUZZ_CHECK(s->out.header_count() <= h2_limits.max_headers);
            FUZZ_CHECK(s->held <= 65536 + 16384);
            FUZZ_CHECK(std::memcmp(body.data() + body.size(), zeros, sizeof zeros) == 0);
            if (s->whole)
                FUZZ_CHECK(s->out.status() >= 200 && s->out.status() <= 599 && body.size() <= h2_limits.max_body);
            if (s->refused) FUZZ_CHECK(s->answer.error().code() && !s->answer.error().rule().empty());
            FUZZ_CHECK(!(s->whole && s->refused));
        }
        // What is said is frames, and no more of them than what came can ask for.
        FUZZ_CHECK(frames_of(said).size() < 20'000);
    }

    http2_session session;
    std::array<std::unique_ptr<h2_reading>, 4> streams;
    std::string said;
};

}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input in(data, size);
    auto const flags = in.byte();
    auto const piece = 1 + std::size_t{in.byte()};
    // Most servers begin well.
    constexpr unsigned without_settings = 4;
    std::string bytes;
    if ((flags & without_settings) == 0) bytes = h2::settings_frame() + h2::settings_ack();
    bytes += in.rest();

    conversation whole(flags);
    whole.put(bytes, bytes.size() + 1);
    whole.check();
    conversation pieces(flags);
    pieces.put(bytes, piece);
    pieces.check();
    // A breach ends the piece that it is in, so what came before it in the same piece may be lost.
    if (whole.session.error().code() || pieces.session.error().code()) return 0;
    for (std::size_t i = 0; i < whole.streams.size(); ++i) {
        auto const& a = *whole.streams[i];
        auto const& b = *pieces.streams[i];
        FUZZ_CHECK(a.whole == b.whole);
        if (!a.whole) continue;
        FUZZ_CHECK(a.out.status() == b.out.status());
        FUZZ_CHECK(std::string_view(a.out.body()) == std::string_view(b.out.body()));
        FUZZ_CHECK(a.out.header_count() == b.out.header_count());
    }
    return 0;
}
