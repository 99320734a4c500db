#include <jirapool/core/jira_error.hpp>

#include "support/catch.hpp"
#include "support/jira_error_promises.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

using texts = std::vector<std::string>;
using field_errors = std::vector<std::pair<std::string, std::string>>;

response answer_of(int status, std::string_view body, std::string_view content_type = {}) {
    response r;
    r.set_status(status);
    if (!content_type.empty()) r.add_header("Content-Type", content_type);
    r.mutable_body().append(body.data(), body.size());
    return r;
}

jira_error read(std::string_view body, int status = 400, std::string_view content_type = {}) {
    return read_jira_error(answer_of(status, body, content_type));
}

std::string to_utf16(std::string_view utf8, bool big_endian, bool marked = true) {
    std::string out;
    auto const put = [&](unsigned unit) {
        char const high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xff);
        out += big_endian ? high : low;
        out += big_endian ? low : high;
    };
    if (marked) put(0xfeff);
    auto const all = test::code_points(utf8);
    REQUIRE(all);
    for (char32_t const c : *all) {
        if (c < 0x10000) {
            put(c);
        } else {
            put(0xd800 + ((c - 0x10000) >> 10));
            put(0xdc00 + ((c - 0x10000) & 0x3ff));
        }
    }
    return out;
}

struct shape {
    std::string body;
    texts messages;
    field_errors fields = {};
};

std::vector<shape> json_shapes() {
    return {
        // Jira's own.
        {R"({"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}})",
         {"Issue does not exist or you do not have permission to see it."}},
        {R"({"errorMessages":["one","two"],"errors":{"summary":"is required","labels":"has a blank"},"status":400})",
         {"one", "two"},
         {{"summary", "is required"}, {"labels", "has a blank"}}},
        {R"({"warningMessages":["The value 'x' does not exist for the field 'project'."]})",
         {"The value 'x' does not exist for the field 'project'."}},
        {R"({"errorMessage":"No such request type"})", {"No such request type"}},
        {R"({"message":"Client must be authenticated to access this resource.","status-code":401})",
         {"Client must be authenticated to access this resource."}},
        {R"({"errorMessages":"not in a list"})", {"not in a list"}},
        // The gateway's, and other services'.
        {R"({"code":401,"message":"Unauthorized; scope does not match"})", {"Unauthorized; scope does not match"}},
        {R"({"error":"access_denied"})", {"access_denied"}},
        {R"({"error":"invalid_client","error_description":"Unknown client"})", {"invalid_client", "Unknown client"}},
        {R"({"timestamp":"2026-01-01","status":403,"error":"Forbidden","message":"","path":"/x"})", {"Forbidden"}},
        {R"({"error":"Forbidden","message":"Forbidden"})", {"Forbidden"}},
        {R"({"Message":"User is not authorized"})", {"User is not authorized"}},
        {R"({"error":true,"message":"what is wrong"})", {"what is wrong"}},
        {R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"The body is no JSON","instance":"/x"})",
         {"Bad Request", "The body is no JSON"}},
        {R"({"messages":["one"],"message":"two"})", {"one", "two"}},
        {R"({"error":{"code":5,"message":"inner"}})", {"inner"}},
        {R"({"errors":[{"message":"first","code":1},{"title":"second","detail":"more"},"third"]})",
         {"first", "second", "more", "third"}},
        {R"({"errors":"a text"})", {"a text"}},
        // Bulk.
        {R"({"issues":[],"errors":[{"status":400,"elementErrors":{"errorMessages":["not allowed"],"errors":)"
         R"({"issuetype":"is invalid","project":"is another"},"status":400},"failedElementNumber":0},)"
         R"({"status":400,"elementErrors":{"errorMessages":[],"errors":{"summary":"is required"}},"failedElementNumber":12}]})",
         {"element 0: not allowed"},
         {{"element 0: issuetype", "is invalid"},
          {"element 0: project", "is another"},
          {"element 12: summary", "is required"}}},
        {R"({"errors":[{"elementErrors":{"errorMessages":["of some element"]},"failedElementNumber":-1}]})",
         {"of some element"}},
        // No object.
        {R"("a bare text")", {"a bare text"}},
        {R"(["one",{"message":"two"},[{"errorMessages":["three"]}],4,null,true])", {"one", "two", "three", "4"}},
        // Not texts.
        {R"({"errorMessages":[1,2.5,{"a":[null]},["inner"]]})", {"1", "2.5", R"({"a":[null]})", "inner"}},
        {R"({"errors":{"a":7,"b":["one","two"],"c":{"d":"e"},"f":null,"g":true,"h":[]}})",
         {},
         {{"a", "7"}, {"b", "one"}, {"b", "two"}, {"c", R"({"d":"e"})"}, {"f", ""}, {"g", "true"}}},
        {R"({"errors":{"":"of no field"}})", {"of no field"}},
        {R"({"message":18446744073709551615})", {"18446744073709551615"}},
        // Of no known shape: told as it is. What has a known member says nothing else.
        {R"({ "reason" : { "a" : 1 } })", {R"({"reason":{"a":1}})"}},
        {R"({"message":"known","token":"hidden"})", {"known"}},
        // Nothing is said.
        {"{}", {}},
        {"[]", {}},
        {R"("")", {}},
        {R"({"errorMessages":[],"errors":{}})", {}},
        {R"({"errors":[{"elementErrors":{"errorMessages":[""],"errors":{}},"failedElementNumber":3}]})", {}},
        {R"({"errorMessages":["", " \n\t"],"message":null,"error":false})", {}},
        // White space and what is none in texts.
        {R"({"message":"  two\r\n\tlines\u0000and\u001bmore \u0085\u2028\u2029\ufeff "})", {"two lines and more"}},
        {R"({"message":"\u00e9\ud83d\ude00"})", {"é😀"}},
    };
}

struct page_case {
    std::string body;
    texts messages;
    error_source source = error_source::edge;
};

std::vector<page_case> pages() {
    return {
        {"<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\" \"http://www.w3.org/TR/html4/loose.dtd\">\n"
         "<HTML><HEAD><META HTTP-EQUIV=\"Content-Type\" CONTENT=\"text/html; charset=iso-8859-1\">\n"
         "<TITLE>ERROR: The request could not be satisfied</TITLE>\n</HEAD><BODY>\n<H1>403 ERROR</H1>\n"
         "<H2>The request could not be satisfied.</H2>\n<PRE>\nGenerated by cloudfront "
         "(CloudFront)\n</PRE></BODY></HTML>",
         {"ERROR: The request could not be satisfied", "403 ERROR"}},
        {"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
         "Gateway</h1></center>\r\n"
         "<hr><center>nginx</center>\r\n</body>\r\n</html>",
         {"502 Bad Gateway"}},
        {"<!doctype html><title lang='en'>\n Atlassian Cloud Notifications -\n Page Unavailable </title><p>more",
         {"Atlassian Cloud Notifications - Page Unavailable"}},
        {"<html><h1 class=\"a\">Not <b>here</b></h1><h1>second</h1>", {"Not here"}},
        {"<html><title> </title><body><h2>Gone</h2><p>for\ngood</p>", {"Gone for good"}},
        {"<html><title>A &amp; B &lt;c&gt; &quot;d&quot; &apos;&#39; &amp;lt; &unknown; &</title>",
         {"A & B <c> \"d\" '' &lt; &unknown; &"}},
        {"<!--[if IE]><html><title>no</title><![endif]--><html><script>'<h1>no</h1>'</script><STYLE>h1{}</STYLE>"
         "<header>h</header><h1>yes</h1>",
         {"yes"}},
        {"<html><!-- no --><p>yes", {"yes"}},
        {"<html><titles>no</titles><title>yes</titles> it is</title>", {"yes it is"}},
        {"<body>Down for maintenance</body>", {"Down for maintenance"}},
        {"<h1>404</h1>", {"404"}},
        {"<html><head><title>Cut in the midd", {"Cut in the midd"}},
        {"<html><head><title", {}},
        {"<html><script>never ends", {}},
        {"proxy says: <html><title>Denied</title></html>", {"Denied"}},
        {"<?xml version=\"1.0\"?><status><status-code>401</status-code><message>a &lt; b</message></status>",
         {"401 a < b"},
         error_source::unknown},
        {"XSRF check failed", {"XSRF check failed"}, error_source::unknown},
        {"\r\n one \n\n two\r\nthree\n\t\n  four  \n\n", {"one two three four"}, error_source::unknown},
        {"a < b & c &lt; d", {"a < b & c &lt; d"}, error_source::unknown},
        {"<3 is no tag", {"<3 is no tag"}, error_source::unknown},
        {" \r\n\t", {}, error_source::unknown},
        {"", {}, error_source::unknown},
        // What is no JSON, though it begins like it.
        {R"({"errorMessages":["cut)", {R"({"errorMessages":["cut)"}, error_source::unknown},
        {R"({"message":"x","code":1e999})", {R"({"message":"x","code":1e999})"}, error_source::unknown},
        {R"({"message":"x"} and more)", {R"({"message":"x"} and more)"}, error_source::unknown},
        {"{\"message\":\"a\0b\"}"s, {R"({"message":"a b"})"}, error_source::unknown},
        {"null", {"null"}, error_source::unknown},
    };
}

constexpr std::array types = {""sv,
                              "application/json"sv,
                              "application/json;charset=UTF-8"sv,
                              "text/html; charset=utf-8"sv,
                              "text/plain"sv,
                              "application/xml"sv,
                              "nonsense"sv,
                              "text/html; charset=ISO-8859-1"sv};

/// A text of characters that come back as they are: no blanks at its ends or twice, nothing that is left out.
std::string some_text(std::mt19937& random) {
    static constexpr std::pair<char32_t, char32_t> ranges[] = {{0x21, 0x7e},       {0x21, 0x7e},     {0xa0, 0xff},
                                                               {0x100, 0x2027},    {0x2030, 0xd7ff}, {0xe000, 0xfefe},
                                                               {0x10000, 0x10ffff}};
    auto const below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    std::string out;
    auto const size = 1 + below(40);
    for (std::uint32_t i = 0; i < size; ++i) {
        if (i > 0 && below(6) == 0) out += ' ';
        auto const [first, last] = ranges[below(std::size(ranges))];
        char32_t const c = first + below(last - first + 1);
        if (c < 0x80) {
            out += static_cast<char>(c);
        } else if (c < 0x800) {
            out += {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))};
        } else if (c < 0x10000) {
            out += {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3f)),
                    static_cast<char>(0x80 | (c & 0x3f))};
        } else {
            out += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3f)),
                    static_cast<char>(0x80 | (c >> 6 & 0x3f)), static_cast<char>(0x80 | (c & 0x3f))};
        }
    }
    return out;
}

std::string in_json(std::string_view text) {
    std::string out = "\"";
    for (char const c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string in_html(std::string_view text) {
    std::string out;
    for (char const c : text) {
        if (c == '&') out += "&amp;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else out += c;
    }
    return out;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    auto const at = text.find(what);
    REQUIRE(at != text.npos);
    return text.replace(at, what.size(), by);
}

/// One to four edits: bytes changed, put in, left out, repeated, and the end cut off.
std::string mutated(std::string text, std::mt19937& random) {
    auto const below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
    for (auto edits = 1 + below(4); edits > 0; --edits) {
        auto const at = below(text.size() + 1);
        auto const size = std::min(below(9), text.size() - at);
        switch (below(5)) {
        case 0: text.insert(at, 1, static_cast<char>(below(256))); break;
        case 1: text.erase(at, size); break;
        case 2: text.insert(at, text.substr(at, size)); break;
        case 3:
            if (at < text.size()) text[at] = R"({}[]",:<>&\u0)"[below(13)];
            break;
        default: text.resize(at);
        }
    }
    return text;
}

}  // namespace

TEST_CASE("jira_error: each shape in JSON gives its messages and fields, whatever Content-Type says") {
    for (auto const& s : json_shapes()) {
        INFO(s.body);
        for (auto const type : types) {
            auto const e = read(s.body, 400, type);
            CHECK(e.messages == s.messages);
            CHECK(e.fields == s.fields);
            CHECK(e.source == error_source::jira);
            CHECK(e.status == 400);
            CHECK(e.empty() == (s.messages.empty() && s.fields.empty()));
            CHECK_FALSE(e.truncated);
            CHECK(test::broken_promise(e).empty());
        }
    }
}

TEST_CASE("jira_error: pages give what they are headed, texts their first lines, whatever Content-Type says") {
    for (auto const& p : pages()) {
        INFO(p.body);
        for (auto const type : types) {
            auto const e = read(p.body, 503, type);
            CHECK(e.messages == p.messages);
            CHECK(e.fields.empty());
            CHECK(e.source == p.source);
            CHECK_FALSE(e.truncated);
            CHECK(test::broken_promise(e).empty());
        }
    }
}

TEST_CASE("jira_error: of a long text the first four lines that are not blank are kept") {
    auto const e = read("java.lang.IllegalStateException: no\n\tat a.b.C\n\n\tat d.e.F\n\tat g.h.I\n\tat j.k.L\n");
    CHECK(e.messages == texts{"java.lang.IllegalStateException: no at a.b.C at d.e.F at g.h.I"});
    CHECK(e.truncated);
}

TEST_CASE("jira_error: a body says the same in UTF-8, with marks and in UTF-16") {
    std::vector<std::string> bodies;
    for (auto const& s : json_shapes()) bodies.push_back(s.body);
    for (auto const& p : pages()) bodies.push_back(p.body);
    for (auto const& body : bodies) {
        INFO(body);
        auto const plain = read(body);
        for (auto const& other : {"\xef\xbb\xbf" + body, "\xef\xbb\xbf\xef\xbb\xbf" + body, " \r\n\t" + body,
                                  to_utf16(body, false), to_utf16(body, true)}) {
            auto const e = read(other);
            CHECK(e.messages == plain.messages);
            CHECK(e.fields == plain.fields);
            CHECK(e.source == plain.source);
            CHECK_FALSE(e.truncated);
        }
    }
}

TEST_CASE("jira_error: bytes that are no UTF-8 are of the charset that Content-Type names, or replaced") {
    struct one {
        std::string_view bytes;
        std::string_view type;
        std::string_view text;
    };
    one const all[] = {
        {"gro\xdf \xf6", "text/plain; charset=ISO-8859-1", "groß ö"},
        {"gro\xdf \xf6", "text/plain;CHARSET=\"latin1\";x=y", "groß ö"},
        {"\x93Preis\x94: 5 \x80\x85", "text/html; charset=windows-1252", "“Preis”: 5 €…"},
        {"\x9f\x8e\xff", "text/html; charset=cp1252", "ŸŽÿ"},
        {"a\x81\x8d\x8f\x90\x9dz", "text/html; charset=cp1252", "a z"},
        // It is UTF-8, whatever is said.
        {"groß ö", "text/plain; charset=ISO-8859-1", "groß ö"},
        // Nothing is said that would help.
        {"gro\xdf \xf6", "text/plain; charset=utf-8", "gro\ufffd \ufffd"},
        {"gro\xdf \xf6", "text/plain", "gro\ufffd \ufffd"},
        {"x\xf6", "text/plain; charset=", "x\ufffd"},
        {"x\xf6", "text/plain; charset=iso-8859-15", "x\ufffd"},
        {"\xed\xa0\x80|\xc0\xaf|\xf4\x90\x80\x80|\xe2\x82", "",
         "\ufffd\ufffd\ufffd|\ufffd\ufffd|\ufffd\ufffd\ufffd\ufffd|\ufffd\ufffd"},
    };
    for (auto const& o : all) {
        INFO(o.text << " " << o.type);
        CHECK(read(o.bytes, 400, o.type).messages == texts{std::string(o.text)});
        CHECK(read("{\"message\":\"" + std::string(o.bytes) + "\"}", 400, o.type).messages ==
              texts{std::string(o.text)});
        CHECK(read("<html><title>" + std::string(o.bytes) + "</title>", 400, o.type).messages ==
              texts{std::string(o.text)});
    }
}

TEST_CASE("jira_error: UTF-16 that is broken has its halves replaced") {
    CHECK(read("\xff\xfe\x00\xd8x\x00"sv).messages == texts{"\ufffdx"});
    CHECK(read("\xff\xfe\x00\xdcx\x00"sv).messages == texts{"\ufffdx"});
    CHECK(read("\xff\xfe\x00\xdc\x00\xdcx\x00"sv).messages == texts{"\ufffd\ufffdx"});
    CHECK(read("\xff\xfe\x00\xd8\x00\xe0"sv).messages == texts{"\ufffd\ue000"});
    CHECK(read("\xfe\xff\xd8\x00"sv).messages == texts{"\ufffd"});
    CHECK(read("\xfe\xff\x00xy"sv).messages == texts{"x\ufffd"});
    CHECK(read("\xff\xfe"sv).messages.empty());
}

TEST_CASE("jira_error: any text comes back out of each shape as it was, however its characters are written") {
    auto const seed = 20261130u;
    std::mt19937 random(seed);
    for (int i = 0; i < 500; ++i) {
        auto const text = some_text(random);
        CAPTURE(seed, i, text);
        REQUIRE(test::code_points(text));
        for (auto const* const shape :
             {R"({"errorMessages":[$],"errors":{}})", R"({"code":401,"message":$})", R"({"error":$})", R"([$])", "$",
              R"({"errorMessage":$})", R"({"errors":[{"detail":$}]})"}) {
            auto const body = replaced(shape, "$", in_json(text));
            CHECK(read(body).messages == texts{text});
            CHECK(read(to_utf16(body, true)).messages == texts{text});
        }
        auto const field = read(replaced(R"({"errors":{"customfield_1":$}})", "$", in_json(text)));
        CHECK(field.fields == field_errors{{"customfield_1", text}});
        auto const name = read(replaced(R"({"errors":{$:"x"}})", "$", in_json(text)));
        CHECK(name.fields == field_errors{{text, "x"}});
        CHECK(read("<html><title>" + in_html(text) + "</title>").messages == texts{text});
        CHECK(read("x" + text).messages == texts{"x" + text});

        std::string escaped = "\"";
        auto const units = to_utf16(text, true, false);
        for (std::size_t k = 0; k < units.size(); k += 2) {
            char unit[8];
            std::snprintf(unit, sizeof unit, "\\u%02x%02x", static_cast<std::uint8_t>(units[k]),
                          static_cast<std::uint8_t>(units[k + 1]));
            escaped += unit;
        }
        CHECK(read(R"({"message":)" + escaped + "\"}").messages == texts{text});
    }
}

TEST_CASE("jira_error: of a 2xx answer only a bulk answer's failed elements are read") {
    auto const bulk =
        R"({"issues":[{"id":"1"}],"errors":[{"status":400,"elementErrors":{"errorMessages":["no"],"errors":)"
        R"({"summary":"is required"}},"failedElementNumber":3},{"message":"not of an element"},7],)"
        R"("message":"not of an element"})"s;
    for (int const status : {200, 201, 207}) {
        for (auto const& body : {bulk, to_utf16(bulk, false)}) {
            auto const e = read(body, status);
            CHECK(e.messages == texts{"element 3: no"});
            CHECK(e.fields == field_errors{{"element 3: summary", "is required"}});
            CHECK(e.source == error_source::jira);
            CHECK(e.status == status);
        }
    }
    for (auto const& body :
         {R"({"issues":[{"id":"1"}],"errors":[]})"s, R"({"message":"a commit's","errors":{"a":"b"}})"s, "<html><h1>no"s,
          "text"s, ""s, R"({"errors":[{"message":"elementErrors"}],"x":"\"elementErrors\""})"s,
          R"(["\"elementErrors\""])"s, R"({"elementErrors":{"errorMessages":["x"]}})"s,
          R"({"errors":[{"elementErrors")"s}) {
        INFO(body);
        auto const e = read(body, 200);
        CHECK(e.empty());
        CHECK(e.source == error_source::unknown);
        CHECK_FALSE(e.truncated);
    }
    // Too large to be one: it costs nothing.
    CHECK(read(bulk + std::string(256u << 10, ' '), 201).empty());
}

TEST_CASE("jira_error: a redirect's body is not read, as it may hold a secret URL") {
    for (int const status : {301, 302, 303, 307, 308}) {
        response r = answer_of(status, R"({"message":"https://api.media.example/binary?token=x"})");
        r.add_header("atl-traceid", "abc");
        auto const e = read_jira_error(r);
        CHECK(e.empty());
        CHECK(e.describe() == std::to_string(status) + " (trace abc)");
    }
}

TEST_CASE("jira_error: the first id that names the exchange is taken, the gateway's and the login's words with it") {
    response r = answer_of(401, {});
    CHECK(read_jira_error(r).trace_id.empty());
    r.add_header("X-ARequestId", "third");
    CHECK(read_jira_error(r).trace_id == "third");
    r.add_header("Atl-Request-Id", "second");
    CHECK(read_jira_error(r).trace_id == "second");
    r.add_header("ATL-TraceId", " ");
    CHECK(read_jira_error(r).trace_id == "second");
    r.remove_headers("atl-traceid");
    r.add_header("atl-traceid", "first");
    r.add_header("x-failure-category", "FAILURE_CLIENT_SCOPE_CHECK");
    r.add_header("x-seraph-loginreason", "AUTHENTICATED_FAILED");
    auto const e = read_jira_error(r);
    CHECK(e.trace_id == "first");
    CHECK(e.failure_category == "FAILURE_CLIENT_SCOPE_CHECK");
    CHECK(e.login_reason == "AUTHENTICATED_FAILED");
    CHECK(e.describe() == "401 (FAILURE_CLIENT_SCOPE_CHECK, login AUTHENTICATED_FAILED, trace first)");
}

TEST_CASE("jira_error: what headers hold is bounded and fit for a log as well") {
    response r = answer_of(400, {});
    r.add_header("atl-traceid", "a\x1b[31m\xff\x01" + std::string(300, 'x'));
    auto const e = read_jira_error(r);
    CHECK(e.trace_id == "a [31m\ufffd " + std::string(246, 'x'));
    CHECK(e.truncated);
    CHECK(test::broken_promise(e).empty());
}

TEST_CASE("jira_error: all of it in one line") {
    response r = answer_of(
        404, R"({"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}})");
    r.add_header("atl-traceid", "abc");
    CHECK(read_jira_error(r).describe() ==
          "404: Issue does not exist or you do not have permission to see it. (trace abc)");
    CHECK(read_jira_error(r).text() == "Issue does not exist or you do not have permission to see it.");
    auto const fields = read(
        R"({"errorMessages":["one","two"],"errors":{"summary":"is required","labels":"has a blank"}})");
    CHECK(fields.text() == "one; two; summary: is required; labels: has a blank");
    CHECK(fields.describe() == "400: one; two; summary: is required; labels: has a blank");
    CHECK(read("<html><h1>Denied", 403).describe() == "403: Denied (from the edge)");
    CHECK(read("1\n2\n3\n4\n5", 500).describe() == "500: 1 2 3 4 (cut)");
    CHECK(read("", 502).describe() == "502");
    CHECK(jira_error().describe() == "0");
    CHECK(jira_error().text().empty());
}

TEST_CASE("jira_error: one text is cut at the end of a character") {
    for (std::size_t ahead = 0; ahead < 8; ++ahead) {
        for (auto const character : {"x"sv, "é"sv, "€"sv, "😀"sv}) {
            std::string text(ahead, 'a');
            for (int i = 0; i < 1100; ++i) text += character;
            auto const fits = ahead + (jira_error::max_text - ahead) / character.size() * character.size();
            for (auto const& body : {text, "<html><h1>" + text, R"({"message":")" + text + "\"}"}) {
                auto const e = read(body);
                REQUIRE(e.messages.size() == 1);
                CHECK((e.messages[0] == text.substr(0, fits)));
                CHECK(e.truncated);
            }
        }
    }
    std::string const just(jira_error::max_text, 'a');
    CHECK_FALSE(read(just).truncated);
    CHECK((read(just).messages == texts{just}));
    CHECK_FALSE(read(just + " \n").truncated);
    // The blank counts, and does not stand alone at the end.
    auto const before_end = std::string(jira_error::max_text - 2, 'a');
    CHECK((read(before_end + " b").messages == texts{before_end + " b"}));
    CHECK((read(before_end + "a b").messages == texts{before_end + "a"}));
}

TEST_CASE("jira_error: all texts together are cut at the limit, at the end of a character") {
    for (std::size_t ahead = 0; ahead < 8; ++ahead) {
        std::string body = "{\"errors\":{\"" + std::string(ahead + 1, 'n') + "\":\"\"},\"errorMessages\":[";
        texts all;
        for (int i = 0; i < 20; ++i) {
            auto text = std::to_string(i);
            while (text.size() < 300) text += "€";
            body += (i > 0 ? "," : "") + in_json(text);
            all.push_back(text);
        }
        auto const e = read(body + "]}");
        CHECK(e.truncated);
        CHECK(test::broken_promise(e).empty());
        std::size_t size = ahead + 1;
        REQUIRE_FALSE(e.messages.empty());
        for (std::size_t i = 0; i < e.messages.size(); ++i) {
            size += e.messages[i].size();
            CHECK((i + 1 < e.messages.size() ? e.messages[i] == all[i] : all[i].starts_with(e.messages[i])));
        }
        CHECK(size > jira_error::max_size - 3);
        CHECK(size <= jira_error::max_size);
    }
}

TEST_CASE("jira_error: what is cut at the limit ends with no blank, and nothing stands behind it") {
    std::string body = "[";
    for (char const c : {'a', 'b', 'c'}) body += in_json(std::string(jira_error::max_text, c)) + ",";
    body += in_json(std::string(jira_error::max_text - 10, 'd'));
    auto const e = read(body + R"(,"ninechars tenth","x"])");
    REQUIRE(e.messages.size() == 5);
    CHECK(e.messages[4] == "ninechars");
    CHECK(e.truncated);
}

TEST_CASE("jira_error: so many messages and fields, and no more") {
    auto const list = [](std::size_t n) {
        std::string messages, fields;
        for (std::size_t i = 0; i < n; ++i) {
            auto const comma = i > 0 ? "," : "";
            messages += comma + in_json(std::to_string(i));
            fields += comma + in_json("f" + std::to_string(i)) + ":" + in_json(std::to_string(i));
        }
        return "{\"errorMessages\":[" + messages + "],\"errors\":{" + fields + "}}";
    };
    auto const fits = read(list(jira_error::max_entries));
    CHECK(fits.messages.size() == jira_error::max_entries);
    CHECK(fits.fields.size() == jira_error::max_entries);
    CHECK_FALSE(fits.truncated);
    auto const many = read(list(10'000));
    CHECK(many.messages == fits.messages);
    CHECK(many.fields == fits.fields);
    CHECK(many.truncated);
}

TEST_CASE("jira_error: JSON nested ten thousand deep is a text, less deep it is JSON in a text") {
    for (auto const* const open : {"[", "{\"errors\":", "{\"message\":", "{\"x\":", "[{\"errors\":{\"a\":["}) {
        std::string deep;
        for (int i = 0; i < 10'000; ++i) deep += open;
        auto const e = read(deep);
        CHECK(e.messages.size() == 1);
        CHECK(e.source == error_source::unknown);
        CHECK(e.truncated);
        CHECK(test::broken_promise(e).empty());
    }
    auto const nested = [](std::string const& open, std::string const& inner, std::string const& close, int times) {
        std::string out = inner;
        for (int i = 0; i < times; ++i) out = open + out + close;
        return out;
    };
    CHECK(read(nested("{\"error\":", "\"x\"", "}", 3)).messages == texts{"x"});
    CHECK(read(nested("{\"error\":", "\"x\"", "}", 10)).messages == texts{R"({"error":{"error":"x"}})"});
    auto const arrays = read(nested("[", "\"x\"", "]", 1000));
    CHECK(arrays.source == error_source::jira);
    REQUIRE(arrays.messages.size() == 1);
    CHECK(arrays.messages[0].starts_with("[[["));
    CHECK(test::broken_promise(arrays).empty());
    auto const objects = read(nested("{\"message\":", "\"x\"", "}", 1000));
    CHECK(objects.messages.size() == 1);
    CHECK(test::broken_promise(objects).empty());
}

TEST_CASE("jira_error: half a character that JSON escapes is replaced or the whole is a text") {
    for (auto const* const body : {R"({"message":"a\udc00b"})", R"({"message":"a\ud800b"})",
                                   R"({"message":"a\ud800\ud800b"})", R"({"errors":{"a\udc00":"\udfff"}})"}) {
        INFO(body);
        auto const e = read(body);
        CHECK_FALSE(e.empty());
        CHECK(test::broken_promise(e).empty());
    }
}

TEST_CASE("jira_error: of a body beyond 256 KiB the rest is not looked at") {
    std::size_t const limit = 256u << 10;
    auto const padded = [](std::string body, std::size_t size) { return body.append(size - body.size(), ' '); };
    auto const body = R"({"message":"read"})"s;
    CHECK(read(padded(body, limit)).messages == texts{"read"});
    CHECK_FALSE(read(padded(body, limit)).truncated);
    auto const larger = read(padded(body, limit + 1));
    CHECK(larger.messages == texts{"read"});
    CHECK(larger.truncated);
    CHECK(read(padded("", limit) + "late").empty());
    // What is cut there is a character of UTF-8, and no reason to take all of it for another charset.
    for (std::size_t size = limit - 3; size <= limit; ++size) {
        auto const e = read("ö\n" + padded("", size - 3) + "😀😀", 400, "text/plain; charset=iso-8859-1");
        REQUIRE(e.messages.size() == 1);
        CHECK(e.messages[0].starts_with("ö"));
        CHECK(test::broken_promise(e).empty());
    }
    std::string const garbage(limit + 100, '\x80');
    CHECK(read(garbage).messages[0].size() == jira_error::max_text / 3 * 3);
}

TEST_CASE("jira_error: whatever bytes come, its promises hold") {
    auto const seed = 4242u;
    std::mt19937 random(seed);
    static constexpr int statuses[] = {400, 401, 404, 503, 201, 303};
    for (int i = 0; i < 5000; ++i) {
        std::string body(random() % 200, '\0');
        // Few sorts of bytes, or any: the few make more of JSON and HTML.
        bool const few = random() % 2 == 0;
        for (auto& c : body) c = few ? R"({}[]",:\<>&;/!-htmle1 u0d\n)"[random() % 27] : static_cast<char>(random());
        auto const status = statuses[random() % 6];
        auto const type = types[random() % types.size()];
        CAPTURE(seed, i, body, status, type);
        REQUIRE(test::broken_promise(read(body, status, type)).empty());
    }
}

TEST_CASE("jira_error: however a shape is damaged, its promises hold") {
    auto const seed = 777u;
    std::mt19937 random(seed);
    std::vector<std::string> bodies;
    for (auto const& s : json_shapes()) bodies.push_back(s.body);
    for (auto const& p : pages()) bodies.push_back(p.body);
    std::size_t still_json = 0;
    for (int i = 0; i < 10'000; ++i) {
        auto body = mutated(bodies[random() % bodies.size()], random);
        if (random() % 8 == 0 && test::code_points(body)) body = to_utf16(body, random() % 2 == 0);
        auto const type = types[random() % types.size()];
        CAPTURE(seed, i, body, type);
        auto const e = read(body, 400, type);
        REQUIRE(test::broken_promise(e).empty());
        if (e.source == error_source::jira) ++still_json;
    }
    // Else this would have looked at texts only.
    CHECK(still_json > 500);
}

TEST_CASE("jira_error: the sources have names") {
    CHECK(to_string(error_source::unknown) == "unknown"sv);
    CHECK(to_string(error_source::jira) == "jira"sv);
    CHECK(to_string(error_source::edge) == "edge"sv);
}
