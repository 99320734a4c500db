// What plain_head reads must be what Beast reads, and what is not plain must be left to Beast. Every answer that the tests know is
// read by both in http1_parser_test and in the fuzz target; here heads are made, and broken, at random.
#include "support/catch.hpp"

#include "wire/http1_parser.hpp"
#include "wire/plain_head.hpp"

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace jirapool;
using namespace jirapool::detail;

namespace {

constexpr std::size_t max_head = 2048;
constexpr std::uint32_t max_headers = 12;
constexpr answer_limits limits{max_head, max_headers, 1u << 20, 250};

constexpr std::string_view of_jira =
    "HTTP/1.1 200 OK\r\nDate: Wed, 25 Nov 2026 12:00:00 GMT\r\nContent-Type:application/json;charset=UTF-8\r\n"
    "SERVER: \t AtlassianEdge \t\r\nVary:\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\nX-RateLimit-Limit: "
    "100\r\n\r\n{}";

struct reading {
    response out;
    http1_reader::step last = http1_reader::step::more;
    failure error;
};

reading read(std::string_view bytes, std::size_t first) {
    reading r;
    http1_reader reader(limits);
    reader.begin(r.out, answer_expectation());
    auto const begin_of_it = bytes.substr(0, first);
    r.last = reader.put(begin_of_it.data(), begin_of_it.size());
    if (r.last == http1_reader::step::more && first < bytes.size()) {
        std::vector<char> kept(reader.max_kept() + bytes.size());
        auto const begin = reader.restore(kept.data());
        std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(first), bytes.end(), kept.data() + begin);
        r.last = reader.put(kept.data(), begin + bytes.size() - first);
    }
    r.error = reader.error();
    return r;
}

/// Of the whole head by both, a head that comes in two pieces being Beast's alone.
void check_same(std::string_view bytes) {
    INFO(bytes);
    auto const a = read(bytes, bytes.size());
    auto const b = read(bytes, 1);
    REQUIRE(a.last == b.last);
    REQUIRE(a.error.code() == b.error.code());
    if (a.last != http1_reader::step::done) return;
    REQUIRE(a.out.status() == b.out.status());
    REQUIRE(std::string_view(a.out.body()) == std::string_view(b.out.body()));
    REQUIRE(a.out.header_count() == b.out.header_count());
    for (std::size_t i = 0; i < a.out.header_count(); ++i) {
        REQUIRE(a.out.header_name(i) == b.out.header_name(i));
        REQUIRE(a.out.header_value(i) == b.out.header_value(i));
    }
}

bool is_plain(std::string_view bytes) {
    plain_head head;
    response out;
    bool const plain = head.read(bytes, max_head, max_headers, out);
    CHECK((plain || out.header_count() == 0));
    return plain;
}

std::string head_with(std::string_view line) {
    return "HTTP/1.1 200 OK\r\nA: b\r\n" + std::string(line) + "Content-Length: 0\r\n\r\n";
}

}  // namespace

TEST_CASE("plain_head: the head of an answer of Jira is one, and Beast gets what says where it ends") {
    plain_head head;
    response out;
    REQUIRE(head.read(of_jira, max_head, max_headers, out));
    CHECK(head.size() == of_jira.size() - 2);
    CHECK(head.fields() == 7);
    CHECK(head.framing() == "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\n");
    REQUIRE(out.header_count() == 7);
    CHECK(out.header_name(2) == "SERVER");
    CHECK(out.header("server") == "AtlassianEdge");
    CHECK(out.header("content-type") == "application/json;charset=UTF-8");
    CHECK(out.header("vary").empty());
    out.add_header("Extra", "1");
    CHECK(out.header("extra") == "1");
    CHECK(out.header("date") == "Wed, 25 Nov 2026 12:00:00 GMT");
    check_same(of_jira);
}

TEST_CASE("plain_head: each header that is judged goes to Beast, in any case") {
    for (std::string_view const name : {"Connection", "keep-alive", "UPGRADE", "Content-Length", "content-encoding",
                                        "Proxy-Connection", "tRANSFER-eNCODING"}) {
        plain_head head;
        response out;
        auto const line = std::string(name) + ": x\r\n";
        REQUIRE(head.read("HTTP/1.1 204 No Content\r\nA: b\r\n" + line + "\r\n", max_head, max_headers, out));
        CHECK(head.framing() == "HTTP/1.1 204 No Content\r\n" + line + "\r\n");
    }
}

TEST_CASE("plain_head: what is not plain, not whole or over a limit is left alone") {
    CHECK(is_plain(head_with("")));
    for (std::string_view const line :
         {" folded\r\n", "\tfolded\r\n", "C : d\r\n", ": d\r\n", "C\r\n", "C: d\n", "C: \r d\r\n", "C: d\r\r\n",
          "C: \x01\r\n", "C: \x7f\r\n", "C: d\n\r\n", "C(: d\r\n", "\xc3: d\r\n", "\r: d\r\n"}) {
        INFO(line);
        CHECK_FALSE(is_plain(head_with(line)));
    }
    CHECK_FALSE(is_plain(head_with(std::string_view("C: \0\r\n", 6))));
    CHECK(is_plain(head_with("C: \xc3\xa4\t1\r\n")));
    for (std::size_t n = 0; n < of_jira.size() - 2; ++n) CHECK_FALSE(is_plain(of_jira.substr(0, n)));

    std::string many = "HTTP/1.1 200 OK\r\n";
    for (std::uint32_t i = 0; i < max_headers; ++i) many += "A: b\r\n";
    CHECK(is_plain(many + "\r\n"));
    CHECK_FALSE(is_plain(many + "A: b\r\n\r\n"));
    auto const empty = head_with("L: \r\n").size();
    CHECK(is_plain(head_with("L: " + std::string(max_head - empty, 'x') + "\r\n")));
    CHECK_FALSE(is_plain(head_with("L: " + std::string(max_head - empty + 1, 'x') + "\r\n")));
    // What is put together for Beast has an end as well.
    CHECK(is_plain(head_with("Connection: " + std::string(300, 'x') + "\r\n")));
    CHECK_FALSE(is_plain(head_with("Connection: " + std::string(600, 'x') + "\r\n")));
}

TEST_CASE("plain_head: a byte changed, left out or put in anywhere changes nothing between Beast and us") {
    std::minstd_rand random(7);
    constexpr std::array<char, 16> bytes = {'\r',   '\n', ' ', '\t', ':', '\0', '\x1f', '\x7f',
                                            '\x80', 'a',  '-', '0',  ',', '(',  'H',    '"'};
    auto const any = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    for (int i = 0; i < 20'000; ++i) {
        std::string text(of_jira);
        for (auto changes = 1 + any(3); changes > 0; --changes) {
            auto const at = any(text.size());
            switch (any(4)) {
            case 0: text[at] = bytes[any(bytes.size())]; break;
            case 1: text.erase(at, 1 + any(3)); break;
            case 2: text.insert(at, 1, bytes[any(bytes.size())]); break;
            default: text.insert(at, text.substr(any(text.size()), any(40))); break;
            }
        }
        check_same(text);
    }
}
