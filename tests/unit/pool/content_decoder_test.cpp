#include "support/catch.hpp"
#include "support/compressed.hpp"

#include "exchange/content_decoder.hpp"

#include <functional>

using namespace jirapool;
using namespace jirapool::detail;
using jirapool::test::brotlied;
using jirapool::test::gzipped;

namespace {

constexpr content_decoder::limits generous{64u << 20, 250};

struct decoding {
    padded_buffer body;
    content_decoder::problem problem;
    std::size_t used = 0;
};

decoding decode(content_coding c, std::string_view bytes, std::size_t piece, content_decoder::limits l = generous) {
    decoding d;
    content_decoder decoder(c, l);
    while (d.used < bytes.size() && !d.problem) {
        auto const part = bytes.substr(d.used, piece);
        d.used += part.size();
        d.problem = decoder.put(part, d.body);
    }
    if (!d.problem) d.problem = decoder.finish();
    return d;
}

std::string_view text_of(decoding const& d) { return {d.body.data(), d.body.size()}; }

std::string const some_json = [] {
    std::string text;
    for (int i = 0; i < 2000; ++i) text += R"({"id":")" + std::to_string(i * 7919) + R"(","key":"PROJ-1"},)";
    return text;
}();

struct coding_case {
    content_coding coding;
    std::function<std::string(std::string_view, std::size_t)> encode;
};
std::vector<coding_case> const codings = {{content_coding::gzip, gzipped}, {content_coding::brotli, brotlied}};

}  // namespace

TEST_CASE("content_decoder: a body comes back as it was, in whatever pieces it comes") {
    for (auto const& [coding, encode] : codings) {
        for (std::string const& text : {std::string("x"), std::string(), some_json}) {
            auto const bytes = encode(text, 1);
            for (std::size_t const piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, bytes.size()}) {
                auto const d = decode(coding, bytes, piece);
                CHECK_FALSE(d.problem);
                CHECK(text_of(d) == text);
                CHECK(std::string_view(d.body.data() + d.body.size(), body_view::padding) ==
                      std::string(body_view::padding, '\0'));
            }
        }
    }
}

TEST_CASE(
    "content_decoder: of a body as much comes at a time as is asked for, though one byte more may mean megabytes") {
    constexpr std::size_t most = 1000;
    std::string const text = std::string(300'000, 'x') + some_json;
    for (auto const& [coding, encode] : codings) {
        auto const bytes = encode(text, 1);
        content_decoder d(coding, {1u << 30, 1u << 20});
        std::string got;
        for (char const c : bytes) {
            std::string_view in(&c, 1);
            do {
                padded_buffer out;
                REQUIRE_FALSE(d.put_some(in, out, most));
                REQUIRE(out.size() <= most);
                got.append(out.data(), out.size());
            } while (d.has_more());
            REQUIRE(in.empty());
        }
        CHECK_FALSE(d.finish());
        CHECK((got == text));
    }
}

TEST_CASE("content_decoder: a body that is cut off anywhere is no body") {
    for (auto const& [coding, encode] : codings) {
        auto const bytes = encode("some words, and some words again", 1);
        for (std::size_t size = 1; size < bytes.size(); ++size) {
            auto const d = decode(coding, std::string_view(bytes).substr(0, size), 3);
            REQUIRE(d.problem);
            CHECK(d.problem.code == errc::protocol_error);
        }
    }
}

TEST_CASE("content_decoder: no bytes at all are an empty body") {
    for (auto const& [coding, encode] : codings) CHECK_FALSE(decode(coding, "", 1).problem);
}

TEST_CASE("content_decoder: bytes behind the end are refused, in the same piece or a later one") {
    for (auto const& [coding, encode] : codings) {
        auto const bytes = encode("words", 1) + "x";
        for (std::size_t const piece : {bytes.size(), bytes.size() - 1}) {
            auto const d = decode(coding, bytes, piece);
            REQUIRE(d.problem);
            CHECK(std::string(d.problem.rule) == "bytes follow the compressed body's end");
        }
    }
}

TEST_CASE("content_decoder: what is not what it says is refused") {
    CHECK(decode(content_coding::gzip, "{\"a\":1}", 64).problem);
    CHECK(decode(content_coding::gzip, brotlied(some_json), 64).problem);
    CHECK(decode(content_coding::brotli, gzipped(some_json), 64).problem);
    auto damaged = gzipped(some_json);
    damaged[damaged.size() - 6] ^= 1;  // of the checksum
    CHECK(decode(content_coding::gzip, damaged, 64).problem);
}

TEST_CASE("content_decoder: a decoded body over the limit ends, whatever it took") {
    for (auto const& [coding, encode] : codings) {
        auto const d = decode(coding, encode(some_json, 1), 4096, {10'000, 250});
        REQUIRE(d.problem);
        CHECK(d.problem.code == errc::response_too_large);
        CHECK(std::string(d.problem.rule) == "the decoded body is over wire_params::max_body");
    }
}

TEST_CASE("content_decoder: ten gigabytes end at the first megabyte, in little memory") {
    std::string const zeros(1u << 20, '\0');
    for (auto const& [coding, encode] : codings) {
        auto const bomb = encode(zeros, 200);
        CHECK(bomb.size() < 220'000);
        auto const d = decode(coding, bomb, 16u << 10);
        REQUIRE(d.problem);
        CHECK(d.problem.code == errc::response_too_large);
        CHECK(std::string(d.problem.rule) == "the body decodes to more than wire_params::max_ratio times its size");
        CHECK(d.body.size() < 20u << 20);
    }
}

TEST_CASE("content_decoder: a small body may shrink as much as it likes") {
    auto const d = decode(content_coding::gzip, gzipped(std::string(1u << 20, '\0')), 1u << 20);
    CHECK_FALSE(d.problem);
    CHECK(d.body.size() == 1u << 20);
}

TEST_CASE("content_decoder: one coding is known by its names, and no list is") {
    CHECK(content_coding_of("gzip") == content_coding::gzip);
    CHECK(content_coding_of("X-Gzip") == content_coding::gzip);
    CHECK(content_coding_of("BR") == content_coding::brotli);
    CHECK(content_coding_of("identity") == content_coding::identity);
    CHECK(content_coding_of("") == content_coding::identity);
    for (auto const* const v : {"deflate", "zstd", "gzip, gzip", "gzip,br", "gzip;q=1"})
        CHECK_FALSE(content_coding_of(v));
}
