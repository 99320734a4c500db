#include "support/catch.hpp"
#include "support/compressed.hpp"
#include "support/http1_answers.hpp"

#include "wire/http1_parser.hpp"

#include <memory>

using namespace jirapool;
using namespace jirapool::detail;
using jirapool::test::http1_answer;
using jirapool::test::http1_answers;
using step = http1_reader::step;
using fate = http1_answer::fate;

namespace {

struct reading {
    step last = step::more;
    response out;
    failure error;
    bool clean = false;
};

answer_limits const limits{test::answers_max_head, test::answers_max_headers, test::answers_max_body, 250};

answer_expectation expectation(bool head_request, bool decode = true) {
    answer_expectation e;
    e.head_request = head_request;
    e.decode = decode;
    return e;
}

/// Feeds the bytes in pieces, each in memory of its own size, so that a read beyond its end is seen.
reading read_in_pieces(http1_answer const& a, std::vector<std::size_t> const& sizes) {
    reading r;
    http1_reader reader(limits);
    reader.begin(r.out, expectation(a.head_request));
    std::size_t at = 0;
    for (std::size_t i = 0; at < a.bytes.size() && r.last == step::more; ++i) {
        auto const size = std::min(i < sizes.size() ? sizes[i] : a.bytes.size(), a.bytes.size() - at);
        std::vector<char> kept(reader.max_kept());
        auto const begin = reader.restore(kept.data());
        auto const piece = std::make_unique<char[]>(begin + size);
        std::copy_n(kept.data(), begin, piece.get());
        std::copy_n(a.bytes.data() + at, size, piece.get() + begin);
        at += size;
        r.last = reader.put(piece.get(), begin + size);
    }
    r.error = reader.error();
    // Bytes behind the end that came in a piece of their own are the channel's to see.
    r.clean = r.last == step::done && reader.clean() && !reader.closes() && at == a.bytes.size() &&
              (!reader.keep_alive_timeout() || *reader.keep_alive_timeout() > std::chrono::seconds(1));
    return r;
}

void check(http1_answer const& a, reading const& r) {
    if (a.expected == fate::refused) {
        REQUIRE(r.last == step::failed);
        bool const limit = r.error.rule().find("wire_params") != std::string::npos;
        CHECK(r.error.code() == (limit ? errc::response_too_large : errc::protocol_error));
        CHECK_FALSE(r.error.rule().empty());
        CHECK(r.error.rule().find(a.says) != std::string::npos);
        return;
    }
    INFO(r.error.describe());
    REQUIRE(r.last == step::done);
    if (a.says != nullptr) CHECK(std::string_view(r.out.body()) == a.says);
    CHECK(r.clean == (a.expected == fate::reusable));
}

}  // namespace

TEST_CASE("http1_reader: what is whole is delivered, what is doubtful is refused, in whatever pieces it comes") {
    for (auto const& a : http1_answers()) {
        INFO(a.what);
        check(a, read_in_pieces(a, {}));
        // Long ones are about limits: their ends, and some cuts in between, are enough.
        std::size_t const stride = a.bytes.size() > 600 ? 97 : 1;
        for (std::size_t cut = 1; cut < a.bytes.size(); cut += stride) {
            INFO("cut behind " << cut << " bytes");
            check(a, read_in_pieces(a, {cut}));
        }
        if (a.bytes.size() <= 5000) check(a, read_in_pieces(a, std::vector<std::size_t>(a.bytes.size(), 1)));
    }
}

TEST_CASE("http1_reader: a head that comes header by header is limited all the same") {
    // Beast 1.81 starts counting anew behind each piece that ends with a header.
    answer_limits const generous{1024, 1'000'000, 4096, 250};
    response out;
    http1_reader reader(generous);
    reader.begin(out, expectation(false));
    std::vector<char> buffer(4096);
    std::string piece = "HTTP/1.1 200 OK\r\n";
    std::size_t fed = 0;
    auto last = step::more;
    for (int i = 0; i < 1000 && last == step::more; ++i) {
        auto const kept = reader.restore(buffer.data());
        std::copy(piece.begin(), piece.end(), buffer.begin() + static_cast<std::ptrdiff_t>(kept));
        last = reader.put(buffer.data(), kept + piece.size());
        fed += piece.size();
        piece = "X: yyyyyyyyyy\r\n";
    }
    CHECK(last == step::failed);
    CHECK(fed < 1200);
    CHECK(reader.error().rule() == "the head is over wire_params::max_head");
}

TEST_CASE("http1_reader: a body without a length is whole at the stream's good end only") {
    http1_answer const a{"", "HTTP/1.1 200 OK\r\n\r\nhi", fate::delivered, "hi"};
    response out;
    http1_reader reader(limits);
    reader.begin(out, expectation(false));
    CHECK(reader.put(a.bytes.data(), a.bytes.size()) == step::more);
    CHECK(reader.end() == step::done);
    CHECK(std::string_view(out.body()) == "hi");
    CHECK(reader.closes());
    CHECK_FALSE(reader.clean());
}

TEST_CASE("http1_reader: the stream's end anywhere else is a lost channel") {
    for (std::string const bytes :
         {"", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "HTTP/1.1 200 OK\r\nX",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"}) {
        INFO(bytes);
        response out;
        http1_reader reader(limits);
        reader.begin(out, expectation(false));
        REQUIRE(reader.put(bytes.data(), bytes.size()) == step::more);
        CHECK(reader.end() == step::failed);
        CHECK(reader.error().code() == errc::channel_lost);
    }
}

TEST_CASE("http1_reader: the stream's end within a head is never an answer, wherever it is and however it came") {
    for (auto const& a : http1_answers()) {
        if (a.expected == fate::refused || a.bytes.size() > 600) continue;
        INFO(a.what);
        auto const head = a.bytes.find("\r\n\r\n");
        REQUIRE(head != a.bytes.npos);
        for (std::size_t end = 0; end < head + 4; ++end)
            for (std::size_t piece : {end, std::size_t{1}, std::size_t{13}}) {
                INFO("end behind " << end << " bytes, in pieces of " << piece);
                response out;
                http1_reader reader(limits);
                reader.begin(out, expectation(a.head_request));
                for (std::size_t at = 0; at < end; at += piece) {
                    std::vector<char> bytes(reader.max_kept() + piece);
                    auto const begin = reader.restore(bytes.data());
                    auto const size = std::min(piece, end - at);
                    std::copy_n(a.bytes.data() + at, size, bytes.data() + begin);
                    REQUIRE(reader.put(bytes.data(), begin + size) == step::more);
                }
                REQUIRE(reader.end() == step::failed);
                CHECK(reader.error().code() == errc::channel_lost);
            }
    }
}

TEST_CASE("http1_reader: trailers become no headers") {
    std::string const bytes =
        "HTTP/1.1 200 OK\r\nServer: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nServer: b\r\nRetry-After: 9\r\n\r\n";
    response out;
    http1_reader reader(limits);
    reader.begin(out, expectation(false));
    REQUIRE(reader.put(bytes.data(), bytes.size()) == step::done);
    CHECK(out.header_count() == 2);
    CHECK(out.header("retry-after").empty());
}

TEST_CASE("http1_reader: one exchange leaves nothing to the next") {
    response out;
    http1_reader reader(limits);
    reader.begin(out, expectation(false));
    std::string const cut = "HTTP/1.1 200 OK\r\nContent-Le";
    REQUIRE(reader.put(cut.data(), cut.size()) == step::more);
    out.clear();
    reader.begin(out, expectation(false));
    char kept[test::answers_max_head];
    CHECK(reader.restore(kept) == 0);
    std::string const whole = "HTTP/1.1 204 No Content\r\n\r\n";
    CHECK(reader.put(whole.data(), whole.size()) == step::done);
    CHECK(out.status() == 204);
}

TEST_CASE("http1_reader: the server's patience is read wherever it stands in its header") {
    using std::chrono::seconds;
    auto const patience = [](std::string const& value) {
        std::string const bytes = "HTTP/1.1 204 No Content\r\nKeep-Alive: " + value + "\r\n\r\n";
        response out;
        http1_reader reader(limits);
        reader.begin(out, expectation(false));
        REQUIRE(reader.put(bytes.data(), bytes.size()) == step::done);
        return reader.keep_alive_timeout();
    };
    CHECK(patience("timeout=5") == seconds(5));
    CHECK(patience("max=7,\t Timeout=65") == seconds(65));
    CHECK_FALSE(patience("max=7"));
    CHECK_FALSE(patience("timeout=soon"));
    CHECK_FALSE(patience("timeout=99999999999"));
    CHECK_FALSE(patience(""));
}

TEST_CASE("http1_reader: one layer of gzip or br is taken off, and what is none is refused in words") {
    auto const body = test::gzipped("words and words");
    struct {
        std::string headers;
        bool decode;
        bool head_request;
        char const* says;  ///< the body, or the rule
        bool refused;
    } const cases[] = {
        {"Content-Encoding: gzip\r\n", true, false, "words and words", false},
        {"Content-Encoding: X-GZIP\r\nContent-Encoding: identity\r\n", true, false, "words and words", false},
        {"Content-Encoding: gzip\r\n", false, false, nullptr, false},
        {"Content-Encoding: zstd\r\n", false, false, nullptr, false},
        {"Content-Encoding: gzip\r\n", true, true, "", false},
        {"Content-Encoding: br\r\n", true, false, "the compressed body is corrupt", true},
    };
    for (auto const& c : cases) {
        INFO(c.headers);
        http1_answer a{
            "", "HTTP/1.1 200 OK\r\n" + c.headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n", {}};
        if (!c.head_request) a.bytes += body;
        response out;
        http1_reader reader(limits);
        reader.begin(out, expectation(c.head_request, c.decode));
        auto const last = reader.put(a.bytes.data(), a.bytes.size());
        INFO(reader.error().describe());
        REQUIRE(last == (c.refused ? step::failed : step::done));
        if (c.refused) {
            CHECK(reader.error().rule() == c.says);
            continue;
        }
        CHECK(std::string_view(out.body()) == (c.says != nullptr ? std::string_view(c.says) : std::string_view(body)));
        CHECK(reader.clean());
        bool const decoded = c.decode && !c.head_request;
        CHECK(out.header("content-encoding").empty() == decoded);
        CHECK(out.header("content-length").empty() == decoded);
    }
}

TEST_CASE("http1_reader: a compressed body whose frame ends before it does is refused") {
    auto const body = test::gzipped("words and words");
    auto const short_by_one = body.substr(0, body.size() - 1);
    for (bool const chunked : {false, true}) {
        std::string const bytes = chunked ? "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: "
                                            "chunked\r\n\r\n1\r\n\x1f\r\n0\r\n\r\n"
                                          : "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " +
                                                std::to_string(short_by_one.size()) + "\r\n\r\n" + short_by_one;
        response out;
        http1_reader reader(limits);
        reader.begin(out, expectation(false));
        CHECK(reader.put(bytes.data(), bytes.size()) == step::failed);
        CHECK(reader.error().rule() == "the compressed body ends too early");
    }
    std::string const open = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + short_by_one;
    response out;
    http1_reader reader(limits);
    reader.begin(out, expectation(false));
    CHECK(reader.put(open.data(), open.size()) == step::more);
    CHECK(reader.end() == step::failed);
    CHECK(reader.error().rule() == "the compressed body ends too early");
}
