#include <jirapool/core/response.hpp>

#include "support/catch.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

using namespace jirapool;

namespace {

bool padding_is_zero(padded_buffer const& b) {
    auto const* const end = b.data() + b.size();
    return std::all_of(end, end + body_view::padding, [](char c) { return c == '\0'; });
}

std::string text(padded_buffer const& b) { return {b.data(), b.size()}; }

}  // namespace

TEST_CASE("padded_buffer: wiping leaves nothing of what it holds or held") {
    padded_buffer b;
    b.reserve(64);
    b.append("a-secret-token", 14);
    char const* const bytes = b.data();
    b.clear();
    b.append("x", 1);
    b.wipe();
    CHECK(b.size() == 0);
    CHECK(b.data() == bytes);
    CHECK((std::string_view(bytes, 14) == std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 14)));
}

TEST_CASE("body_view: its padding is enough for simdjson") {
    STATIC_REQUIRE(body_view::padding >= simdjson::SIMDJSON_PADDING);
}

TEST_CASE("body_view: simdjson parses a body in place") {
    std::string const json = R"({"key":"ABC-1","fields":{"summary":"x"}})";
    response r;
    r.mutable_body().append(json.data(), json.size());

    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document;
    REQUIRE(parser.iterate(r.body()).get(document) == simdjson::SUCCESS);
    std::string_view key;
    REQUIRE(document["key"].get_string().get(key) == simdjson::SUCCESS);
    CHECK(key == "ABC-1");

    simdjson::padded_string_view const view = r.body();
    CHECK(view.data() == r.body().data());
    CHECK(view.size() == json.size());
    CHECK(view.padding() == body_view::padding);
    CHECK(std::string_view(r.body()) == json);
}

TEST_CASE("body_view: the body of an answer without one can be read as well") {
    response const r;
    CHECK(r.body().empty());
    CHECK(std::string_view(r.body()).empty());
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document;
    CHECK(parser.iterate(r.body()).get(document) == simdjson::EMPTY);
}

TEST_CASE("padded_buffer: what is appended stands there, with zeros behind it") {
    padded_buffer b;
    CHECK(padding_is_zero(b));
    std::string expected;
    for (int i = 0; i < 2000; ++i) {
        auto const piece = std::to_string(i) + ",";
        b.append(piece.data(), piece.size());
        expected += piece;
    }
    CHECK(text(b) == expected);
    CHECK(padding_is_zero(b));
    b.append(nullptr, 0);
    CHECK(text(b) == expected);
}

TEST_CASE("padded_buffer: it grows by a factor") {
    padded_buffer b;
    std::size_t growths = 0;
    for (int i = 0; i < 1'000'000; ++i) {
        auto const before = b.capacity();
        b.append("x", 1);
        if (b.capacity() != before) ++growths;
    }
    CHECK(growths <= 12);
    CHECK(b.size() == 1'000'000);
}

TEST_CASE("padded_buffer: what is large keeps its bytes as it grows, is moved and assigned") {
    padded_buffer b;
    std::size_t const mib = 1u << 20;
    std::string const piece = "0123456789abcdef";
    while (b.size() < 17 * mib) b.append(piece.data(), piece.size());
    CHECK(padding_is_zero(b));
    padded_buffer other;
    other.reserve(5 * mib);
    other = std::move(b);
    CHECK(b.size() == 0);  // NOLINT(bugprone-use-after-move): that is what is tested
    auto& same = other;
    other = std::move(same);
    bool whole = other.size() == 17 * mib;
    for (std::size_t i = 0; i < other.size(); i += piece.size())
        whole = whole && std::string_view(other.data() + i, piece.size()) == piece;
    CHECK(whole);
    CHECK(padding_is_zero(other));
    CHECK_THROWS_AS(other.reserve(std::size_t{1} << 61), std::bad_alloc);
    CHECK(other.size() == 17 * mib);
}

TEST_CASE("padded_buffer: reserved room is filled without another allocation") {
    padded_buffer b;
    b.reserve(100'000);
    auto const* const place = b.data();
    CHECK(b.capacity() == 100'000);
    b.append(std::string(100'000, 'x').data(), 100'000);
    CHECK(b.data() == place);
    CHECK(padding_is_zero(b));
    b.reserve(10);
    CHECK(b.capacity() == 100'000);
}

TEST_CASE("padded_buffer: prepared bytes that were not committed leave no trace in the padding") {
    padded_buffer b;
    b.append("abc", 3);
    std::memset(b.prepare(1000), 'z', 1000);
    b.commit(2);
    CHECK(text(b) == "abczz");
    CHECK(padding_is_zero(b));
    std::memset(b.prepare(5000), 'y', 5000);
    b.commit(5000);
    CHECK(b.size() == 5005);
    CHECK(padding_is_zero(b));
    std::memset(b.prepare(7), 'w', 7);
    b.commit(0);
    CHECK(b.size() == 5005);
    CHECK(padding_is_zero(b));
}

TEST_CASE("padded_buffer: cleared it keeps its capacity and none of its bytes in the padding") {
    padded_buffer b;
    b.append("0123456789", 10);
    auto const capacity = b.capacity();
    b.clear();
    CHECK(b.size() == 0);
    CHECK(b.capacity() == capacity);
    CHECK(padding_is_zero(b));
}

TEST_CASE("padded_buffer: a moved-from one is empty and usable") {
    padded_buffer from;
    from.append("abc", 3);
    padded_buffer to(std::move(from));
    CHECK(text(to) == "abc");
    CHECK(from.size() == 0);  // NOLINT(bugprone-use-after-move): that is what is tested
    CHECK(from.capacity() == 0);
    CHECK(padding_is_zero(from));
    from.append("de", 2);
    CHECK(text(from) == "de");
    to = std::move(from);
    CHECK(text(to) == "de");
    CHECK(from.size() == 0);  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("response: headers are found in any case, the first of a name first") {
    response r;
    r.add_header("Content-Type", "application/json");
    r.add_header("atl-traceid", "abc");
    r.add_header("X-A", "1");
    r.add_header("x-a", "2");
    r.add_header("Empty", "");
    CHECK(r.header("content-type") == "application/json");
    CHECK(r.header("CONTENT-TYPE") == "application/json");
    CHECK(r.header("x-A") == "1");
    CHECK(r.header("empty").empty());
    CHECK(r.header("absent").empty());
    CHECK(r.header("").empty());
    CHECK(r.trace_id() == "abc");
    CHECK(r.header_count() == 5);
    CHECK(r.header_name(0) == "Content-Type");
    CHECK(r.header_value(3) == "2");
}

TEST_CASE("response: ok is 200 to 299") {
    response r;
    CHECK_FALSE(r.ok());
    for (auto const& [status, ok] : {std::pair{199, false}, {200, true}, {204, true}, {299, true}, {300, false}}) {
        r.set_status(status);
        CHECK(r.ok() == ok);
    }
}

TEST_CASE("response: cleared it holds nothing of the answer before") {
    response r;
    r.set_status(200);
    r.add_header("X-A", "1");
    r.mutable_body().append("body", 4);
    r.clear();
    CHECK(r.status() == 0);
    CHECK(r.header_count() == 0);
    CHECK(r.header("x-a").empty());
    CHECK(r.body().empty());
}

TEST_CASE("response: a moved one keeps headers and body") {
    response from;
    from.add_header("X-A", "1");
    from.mutable_body().append("body", 4);
    response const to(std::move(from));
    CHECK(to.header("x-a") == "1");
    CHECK(std::string_view(to.body()) == "body");
    CHECK(from.body().empty());  // NOLINT(bugprone-use-after-move): that is what is tested
}
