#include <jirapool/core/request.hpp>

#include "support/catch.hpp"

#include <set>
#include <string>
#include <utility>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

void check_fit(request const& r) {
    CAPTURE(r.target());
    errc code{};
    char const* const rule = why_invalid(r, code);
    INFO((rule == nullptr ? "" : rule));
    CHECK(rule == nullptr);
}

void check_refused(request const& r, errc expected) {
    CAPTURE(r.target());
    errc code{};
    char const* const rule = why_invalid(r, code);
    REQUIRE(rule != nullptr);
    CHECK_FALSE(std::string(rule).empty());
    CHECK(code == expected);
}

void check_header_refused(std::string name, std::string value) {
    CAPTURE(name, value);
    check_refused(request::get("/x").header(std::move(name), std::move(value)), errc::invalid_header);
}

}  // namespace

TEST_CASE("request: it holds what it was built of") {
    auto const r = request::put("/rest/api/3/issue/ABC-1")
                       .json("{}")
                       .header("X-Atlassian-Token", "no-check")
                       .timeout(5s)
                       .priority(priority::background)
                       .resendable(false);
    CHECK(r.method() == method::put);
    CHECK(r.target() == "/rest/api/3/issue/ABC-1");
    CHECK(r.body() == "{}");
    CHECK(r.content_type() == "application/json");
    CHECK(r.headers().size() == 1);
    CHECK(r.timeout() == 5s);
    CHECK(r.priority() == priority::background);
    CHECK(r.resendable() == false);
    check_fit(r);
}

TEST_CASE("request: each method has its name on the wire") {
    std::set<std::string> names;
    for (std::size_t i = 0; i < method_count; ++i) names.emplace(to_string(static_cast<method>(i)));
    CHECK(names == std::set<std::string>{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"});
}

TEST_CASE("request: an absolute path with an optional query is fit to send") {
    for (auto const* target :
         {"/", "/rest/api/3/myself", "/rest/api/3/issue/ABC-1?fields=summary,status&expand=names",
          "/rest/api/3/search?jql=project%20%3D%20ABC%20AND%20text~%22a%2Fb%5C%22", "/rest/api/3/issue/",
          "/rest/api/3/user?accountId=5b10a2844c20165700ede21g%3A1", "/a.b/..c/d../...", "/x?to=../..&u=http://a//b",
          "/x?%0A", "/x%25y", "/x%2525", "/x;v=1/y", "/x?"}) {
        check_fit(request::get(target));
    }
    check_fit(request::get("/" + std::string(7999, 'a')));
}

TEST_CASE("request: a target that is not an absolute path is refused") {
    for (auto const* target :
         {"", "rest/api/3/myself", "https://evil.example/rest", "*", "?a", "evil.example:443", "\\rest", " /rest"}) {
        check_refused(request::get(target), errc::invalid_target);
    }
}

TEST_CASE("request: a target that leaves the base path is refused in any encoding") {
    for (auto const* target : {"//evil.example",
                               "/rest//x",
                               "/.",
                               "/..",
                               "/rest/../x",
                               "/rest/./x",
                               "/rest/..",
                               "/rest/.",
                               "/%2e",
                               "/%2E.",
                               "/rest/%2e./x",
                               "/rest/.%2E/x",
                               "/rest/%252e%252e/x",
                               "/rest/%252E./x",
                               "/rest/%2e%252e",
                               "/..;/x",
                               "/rest/..;a=b/x",
                               "/rest/%2e%2e;/x",
                               "/rest/..%3b/x",
                               "/rest/..%253B/x",
                               "/..?a=b",
                               "/rest/%25%32%65./x",
                               "/a%252f..%252fb",
                               "/a%255c..%255cb"}) {
        check_refused(request::get(target), errc::invalid_target);
    }
}

TEST_CASE("request: an encoded slash, backslash or control character in the path is refused") {
    for (auto const* target : {"/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a%00", "/a%0d%0ab", "/a%7f"}) {
        check_refused(request::get(target), errc::invalid_target);
    }
}

TEST_CASE("request: bytes that do not belong into a target are refused") {
    for (std::string const& target :
         {std::string("/a b"), std::string("/a#b"), std::string("/a\\b"), std::string("/a\tb"), std::string("/a\r\nX:"),
          std::string("/a\0b", 4), std::string("/a\x7f"), std::string("/\xc3\xbc"), std::string("/a?b c"),
          std::string("/a?b#c"), std::string("/a?b\\c"), std::string("/a?\xff")}) {
        check_refused(request::get(target), errc::invalid_target);
    }
}

TEST_CASE("request: a malformed percent escape is refused") {
    for (auto const* target : {"/%", "/a%2", "/a%zz", "/a%2g/b", "/x?a=%", "/x?a=%4", "/x?a=100%&b"}) {
        check_refused(request::get(target), errc::invalid_target);
    }
}

TEST_CASE("request: a target of more than 8,000 bytes is refused") {
    check_refused(request::get("/" + std::string(8000, 'a')), errc::invalid_target);
    check_refused(request::get("/x?" + std::string(8000, 'a')), errc::invalid_target);
}

TEST_CASE("request: a header's name is a token") {
    for (auto const* name : {"X-Atlassian-Token", "Accept", "Accept-Encoding", "If-None-Match", "x!#$%&'*+-.^_`|~9"}) {
        check_fit(request::get("/x").header(name, "v"));
    }
    for (std::string const& name : {std::string(), std::string("a b"), std::string("a:"), std::string(":path"),
                                    std::string("a\r\nb"), std::string("a\0b", 3), std::string("\xc3\xbc"),
                                    std::string("a\tb"), std::string("(a)"), std::string("a/b"), std::string(" a")}) {
        check_header_refused(name, "v");
    }
}

TEST_CASE("request: the library's own headers are refused in any case") {
    for (auto const* name : {"host", "Authorization", "PROXY-AUTHORIZATION", "Content-Length", "Transfer-Encoding",
                             "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "TE", "Trailer", "Expect",
                             "Cookie", "Origin", "Referer", "User-Agent"}) {
        check_header_refused(name, "v");
    }
}

TEST_CASE("request: a header's value has no control character but the tab") {
    for (auto const* value : {"", "a\tb", "a b", "J\xc3\xbcrgen", "W/\"1\""}) {
        check_fit(request::get("/x").header("X-A", value));
    }
    for (std::string const& value :
         {std::string("a\r\nX: y"), std::string("a\nb"), std::string("a\rb"), std::string("a\0b", 3), std::string("\1"),
          std::string("\x7f"), std::string("a\x1b"), std::string(" a"), std::string("a\t")}) {
        check_header_refused("X-A", value);
    }
}

TEST_CASE("request: the content type follows the rule of a header's value and stands once") {
    check_fit(request::post("/x").body("b", "multipart/form-data; boundary=x"));
    check_refused(request::post("/x").body("b", "text/plain\r\nX: y"), errc::invalid_header);
    check_refused(request::post("/x").json("{}").header("content-Type", "text/plain"), errc::invalid_header);
    check_fit(request::delete_("/x").header("Content-Type", "text/plain"));
}

TEST_CASE("request: a GET or HEAD with a body is refused") {
    check_refused(request::get("/x").json("{}"), errc::body_not_allowed);
    check_refused(request::head("/x").json("{}"), errc::body_not_allowed);
    check_fit(request::get("/x").json(""));
    check_fit(request::delete_("/x").json("{}"));
    check_fit(request::patch("/x").json("{}"));
}
