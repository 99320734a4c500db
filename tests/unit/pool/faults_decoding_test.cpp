// Compressed bodies and chunks as real servers and edges send them.
#include "support/catch.hpp"
#include "support/compressed.hpp"

#include "exchange/content_decoder.hpp"
#include "jira/callback_url.hpp"
#include "wire/http1_parser.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::detail;
using jirapool::test::brotlied;
using jirapool::test::gzipped;
using step = http1_reader::step;

namespace {

struct decoding {
    std::string body;
    std::string rule;
};

decoding decode(std::string_view bytes, std::size_t piece, content_decoder::limits l = {64u << 20, 250}) {
    padded_buffer out;
    content_decoder decoder(content_coding::gzip, l);
    content_decoder::problem problem;
    for (std::size_t at = 0; at < bytes.size() && !problem; at += piece)
        problem = decoder.put(bytes.substr(at, piece), out);
    if (!problem) problem = decoder.finish();
    return {std::string(out.data(), out.size()), problem ? problem.rule : ""};
}

answer_limits const limits{2048, 20, 4096, 250};

struct reading {
    step last = step::more;
    response out;
    std::string rule;
    bool clean = false;
};

/// Whole, and then in two pieces cut anywhere and byte by byte, which must be the same.
reading read(std::string const& bytes, answer_expectation e) {
    auto const in_pieces = [&](std::size_t first, std::size_t each) {
        reading r;
        http1_reader reader(limits);
        reader.begin(r.out, e);
        std::vector<char> kept(reader.max_kept());
        for (std::size_t at = 0; at < bytes.size() && r.last == step::more;) {
            auto const n = reader.restore(kept.data());
            auto const size = std::min(at == 0 ? first : each, bytes.size() - at);
            std::string const piece = std::string(kept.data(), n) + bytes.substr(at, size);
            std::vector<char> const exact(piece.begin(), piece.end());
            r.last = reader.put(exact.data(), exact.size());
            at += size;
        }
        r.rule = reader.error().rule();
        r.clean = r.last == step::done && reader.clean();
        return r;
    };
    auto whole = in_pieces(bytes.size(), bytes.size());
    for (std::size_t cut = 1; cut <= bytes.size(); ++cut) {
        auto const r = in_pieces(cut, cut == bytes.size() ? 1 : bytes.size());
        INFO("cut behind " << cut << ": " << r.rule);
        CHECK((r.last == step::done) == (whole.last == step::done));
        if (r.last != step::done || whole.last != step::done) continue;
        CHECK(std::string_view(r.out.body()) == std::string_view(whole.out.body()));
        CHECK(r.out.status() == whole.out.status());
        CHECK(r.out.header_count() == whole.out.header_count());
    }
    return whole;
}

answer_expectation decoding_all() {
    answer_expectation e;
    e.decode = true;
    return e;
}

std::string const chunked = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("faults: C5 a gzip body of several members is all of them, in whatever pieces it comes") {
    std::string const none = gzipped("", 1);
    std::string const big(100'000, 'x');
    struct {
        std::string bytes;
        std::string body;
    } const cases[] = {
        {gzipped(R"({"a":[1,)", 1) + gzipped("2]}", 1), R"({"a":[1,2]})"},
        {none, ""},
        {none + none + none, ""},
        {none + gzipped("a", 1) + none + gzipped("b", 1) + none, "ab"},
        {gzipped(big, 1) + gzipped(big, 1), big + big},
    };
    for (auto const& c : cases) {
        for (std::size_t const piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, c.bytes.size()}) {
            auto const d = decode(c.bytes, piece);
            CHECK(d.rule == "");
            CHECK((d.body == c.body));
        }
    }
}

TEST_CASE("faults: C5 what follows a member must be a whole one") {
    auto const one = gzipped("words", 1);
    for (std::size_t size = 1; size < one.size(); ++size)
        for (std::size_t const piece : {std::size_t{1}, one.size(), 2 * one.size()})
            CHECK(decode(one + one.substr(0, size), piece).rule == "the compressed body ends too early");
    for (std::size_t const piece : {std::size_t{1}, one.size(), 2 * one.size()}) {
        for (std::string const& behind : {std::string("x"), std::string("xyz"), std::string(1, '\0'), std::string(" ")})
            CHECK(decode(one + behind, piece).rule == "bytes follow the compressed body's end");
        CHECK(decode(one + std::string(8, '\0'), piece).rule == "bytes follow the compressed body's end");
        CHECK(decode(one + "\x1f\x8c", piece).rule == "the compressed body is corrupt");
    }
    // brotli knows no members.
    padded_buffer out;
    content_decoder brotli(content_coding::brotli, {64u << 20, 250});
    CHECK(brotli.put(brotlied("a", 1) + brotlied("b", 1), out));
}

TEST_CASE("faults: C5 the limits hold over all members, and a million empty ones cost little") {
    auto const kilobyte = gzipped(std::string(1000, 'x'), 1);
    std::string many;
    for (int i = 0; i < 20; ++i) many += kilobyte;
    for (std::size_t const piece : {std::size_t{1}, kilobyte.size(), many.size()})
        CHECK(decode(many, piece, {10'000, 250}).rule == "the decoded body is over wire_params::max_body");
    std::string bomb;
    auto const megabyte = gzipped(std::string(1u << 20, '\0'), 1);
    for (int i = 0; i < 20; ++i) bomb += megabyte;
    CHECK(decode(bomb, bomb.size()).rule == "the body decodes to more than wire_params::max_ratio times its size");

    auto const none = gzipped("", 1);
    std::string million;
    million.reserve(1'000'000 * none.size());
    for (int i = 0; i < 1'000'000; ++i) million += none;
    padded_buffer out;
    content_decoder decoder(content_coding::gzip, {64u << 20, 250});
    for (std::size_t at = 0; at < million.size(); at += 16u << 10)
        REQUIRE_FALSE(decoder.put(std::string_view(million).substr(at, 16u << 10), out));
    CHECK_FALSE(decoder.finish());
    // Of output there is none: nothing was made room for beyond one step's.
    CHECK(out.capacity() <= 16u << 10);
}

TEST_CASE("faults: B4 a decoder that wipes its memory decodes as any other") {
    std::string const token(3000, 't');
    for (auto const& [coding, bytes] :
         {std::pair(content_coding::gzip, gzipped(token, 1)), std::pair(content_coding::brotli, brotlied(token, 1))}) {
        padded_buffer out;
        content_decoder decoder(coding, {64u << 20, 250}, content_decoder::memory::wiped);
        CHECK_FALSE(decoder.put(bytes, out));
        CHECK_FALSE(decoder.finish());
        CHECK(std::string(out.data(), out.size()) == token);
    }
}

TEST_CASE("faults: C4 a part of a body is delivered as it came, whatever coding it says it has") {
    auto const coded = gzipped("words and words", 1);
    for (auto const& part : {coded, coded.substr(5), std::string("plain")}) {
        for (std::string const coding : {"gzip", "br", "zstd", "gzip, br"}) {
            auto const r = read("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/99\r\nContent-Encoding: " +
                                    coding + "\r\nContent-Length: " + std::to_string(part.size()) + "\r\n\r\n" + part,
                                decoding_all());
            REQUIRE(r.last == step::done);
            CHECK(std::string_view(r.out.body()) == part);
            CHECK(r.out.header("content-encoding") == coding);
            CHECK_FALSE(r.out.header("content-length").empty());
            CHECK(r.clean);
        }
    }
}

TEST_CASE("faults: C7 a coding that nobody here knows costs no answer: the body is there as it came, and says so") {
    auto const words = gzipped("words", 1);
    struct {
        std::string headers;
        bool decoded;
    } const cases[] = {
        {"Content-Encoding: zstd\r\n", false},
        {"Content-Encoding: deflate\r\n", false},
        {"Content-Encoding: UTF-8\r\n", false},
        {"Content-Encoding: gzip;q=1\r\n", false},
        {"Content-Encoding: gzip, gzip\r\n", false},
        {"Content-Encoding: gzip, br\r\n", false},
        {"Content-Encoding: gzip\r\nContent-Encoding: br\r\n", false},
        {"Content-Encoding: zstd\r\nContent-Encoding: gzip\r\n", false},
        {"Content-Encoding: gzip\r\nContent-Encoding: zstd\r\n", false},
        {"Content-Encoding: gzip\r\n", true},
        {"Content-Encoding: gzip, identity\r\n", true},
        {"Content-Encoding: , x-gzip\t,\r\n", true},
        {"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n", true},
    };
    for (auto const& c : cases) {
        INFO(c.headers);
        auto const r = read("HTTP/1.1 201 Created\r\n" + c.headers + "Content-Length: " + std::to_string(words.size()) +
                                "\r\n\r\n" + words,
                            decoding_all());
        INFO(r.rule);
        REQUIRE(r.last == step::done);
        CHECK(std::string_view(r.out.body()) == (c.decoded ? "words" : std::string_view(words)));
        CHECK(r.out.header("content-encoding").empty() == c.decoded);
        CHECK(r.clean);
    }
}

TEST_CASE("faults: C7 no formality between chunks costs an answer") {
    struct {
        char const* what;
        std::string bytes;
    } const cases[] = {
        {"a trailer that names a length", chunked + "2\r\nhi\r\n0\r\nContent-Length: 2\r\n\r\n"},
        {"another length", chunked + "2\r\nhi\r\n0\r\nContent-Length: 77\r\nContent-Length: x\r\n\r\n"},
        {"a coding", chunked + "2\r\nhi\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"other words of framing",
         chunked + "2\r\nhi\r\n0\r\ntransfer-encoding: gzip\r\nConnection: close\r\nUpgrade: x\r\nTrailer: y\r\n\r\n"},
        {"a coding of the body", chunked + "2\r\nhi\r\n0\r\nContent-Encoding: zstd\r\n\r\n"},
        {"blanks behind a size", chunked + "2 \r\nhi\r\n0 \t \r\n\r\n"},
        {"padded sizes", chunked + "2         \r\nhi\r\n0         \r\n\r\n"},
        {"blanks in front of an extension", chunked + "2 ; x=y\r\nhi\r\n0\r\n\r\n"},
        {"leading zeros", chunked + "0000000000000000000002\r\nhi\r\n000\r\n\r\n"},
        {"no space behind the status", "HTTP/1.1 201\r\nContent-Length: 2\r\n\r\nhi"},
        {"the same, in chunks", "HTTP/1.1 201\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"},
        {"the same, behind an interim answer", "HTTP/1.1 100\r\n\r\nHTTP/1.1 201\r\nContent-Length: 2\r\n\r\nhi"},
        {"the same, with a body that looks like it", "HTTP/1.1 201\r\nContent-Length: 2\r\n\r\nhi"},
    };
    for (auto const& c : cases) {
        INFO(c.what);
        auto const r = read(c.bytes, decoding_all());
        INFO(r.rule);
        REQUIRE(r.last == step::done);
        CHECK(r.out.status() == 201);
        CHECK(std::string_view(r.out.body()) == "hi");
        CHECK(r.out.header_count() == 1);
        CHECK(r.clean);
    }
    auto const empty = read("HTTP/1.1 204\r\n\r\n", decoding_all());
    CHECK(empty.last == step::done);
    CHECK(empty.out.status() == 204);
}

TEST_CASE("faults: C7 what is no formality between chunks is still refused") {
    for (std::string const& bytes : {chunked + "2 3\r\nhi\r\n0\r\n\r\n",
                                     chunked + "2x\r\nhi\r\n0\r\n\r\n",
                                     chunked + "+2\r\nhi\r\n0\r\n\r\n",
                                     chunked + "2\r\rhi\r\n0\r\n\r\n",
                                     chunked + "2;a\rb\r\nhi\r\n0\r\n\r\n",
                                     chunked + "2\r\nhi0\r\n\r\n",
                                     chunked + "2\r\nhi\r\n\r\n",
                                     chunked + "\t2\r\nhi\r\n0\r\n\r\n",
                                     chunked + "0\r\nX\r\n\r\n",
                                     chunked + "0\r\n: y\r\n\r\n",
                                     chunked + "0\r\nX : y\r\n\r\n",
                                     chunked + "0\r\n X: y\r\n\r\n",
                                     chunked + "0\r\nX: a\rb\r\n\r\n",
                                     chunked + "0\r\nX: y\n\r\n",
                                     chunked + "0\r\n\n",
                                     chunked + "0\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                                     std::string("HTTP/1.1 20\r\n\r\n"),
                                     std::string("HTTP/1.1 2000\r\n\r\n"),
                                     std::string("HTTP/1.1 200\rX: y\r\n\r\n"),
                                     std::string("HTTP/1.1200\r\n\r\n"),
                                     std::string("HTTP/1.1 099\r\n\r\n"),
                                     std::string("HTTP/2.0 200\r\n\r\n")}) {
        INFO(bytes);
        auto const r = read(bytes, decoding_all());
        CHECK(r.last == step::failed);
        CHECK_FALSE(r.rule.empty());
    }
}

TEST_CASE("faults: D11 a callback URL is looked at part by part") {
    for (auto const* const fine :
         {"https://hooks.acme.example/jira", "https://hooks.acme.example", "HTTPS://hooks.acme.example/",
          "https://hooks.acme.example/jira?user=bot@acme.example", "https://hooks.acme.example/@bot?x=a:b@c",
          "https://hooks.acme.example:8443/jira", "https://hooks.acme.example:65535/", "https://hooks.acme.example:1/",
          "https://192.0.2.1/x", "https://[2001:db8::1]:8443/x", "https://localhost/x", "https://a_b.example/x",
          "https://hooks.acme.example/%7Ebot/%20?a=%40",
          "https://hooks.acme.example/jira?key=${issue.key}&p=${project.key}",
          "https://hooks.acme.example/${issue.key}/${modifiedUser.accountId}"}) {
        INFO(fine);
        CHECK(why_invalid_callback_url(fine) == nullptr);
    }
    for (auto const* const bad : {"",
                                  "https",
                                  "https:",
                                  "https:/",
                                  "https://",
                                  "https:///x",
                                  "https://?x",
                                  "https:hooks.acme.example",
                                  "http://hooks.acme.example/",
                                  "ftp://hooks.acme.example/",
                                  "//hooks.acme.example/",
                                  "/jira",
                                  "hooks.acme.example",
                                  "https://bot@hooks.acme.example/",
                                  "https://bot:pw@hooks.acme.example/",
                                  "https://@hooks.acme.example/",
                                  "https://hooks.acme.example@evil.example/",
                                  "https://hooks.acme.example:99999/",
                                  "https://hooks.acme.example:65536/",
                                  "https://hooks.acme.example:0/",
                                  "https://hooks.acme.example:-1/",
                                  "https://hooks.acme.example:x/",
                                  "https://hooks.acme.example:99999999999999999999/",
                                  "https://hooks.acme.example/%zz",
                                  "https://hooks.acme.example/%",
                                  "https://hooks.acme.example/?a=%4",
                                  "https://hooks.acme.example/a b",
                                  "https://hooks.acme.example/\xc3\xbc",
                                  "https://hooks.acme.example/\"x\"",
                                  "https://hooks.acme.example/{x}",
                                  "https://hooks.acme.example/${}",
                                  "https://hooks.acme.example/${a b}",
                                  "https://hooks.acme.example/${issue.key",
                                  "https://${project.key}.example/",
                                  "https://hooks.acme.example:${project.id}/",
                                  "https://hooks%2eacme.example/",
                                  "https://hooks,acme.example/",
                                  "https://hooks.acme.example\\@evil.example/",
                                  "https://[::1/",
                                  "https://[v1.x]/",
                                  "https://hooks.acme.example/\r\nX: y",
                                  " https://hooks.acme.example/",
                                  "https://hooks.acme.example/ "}) {
        INFO(bad);
        char const* const rule = why_invalid_callback_url(bad);
        REQUIRE(rule != nullptr);
        CHECK(std::string(rule).starts_with("must be an absolute https URL"));
    }
}
