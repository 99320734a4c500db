// Texts from outside in the spellings that real servers, edges and people have.
#include "support/catch.hpp"

#include <jirapool/core/answer.hpp>
#include <jirapool/core/connections_file.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/tenant_info.hpp>
#include <jirapool/core/token_answer.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;
using std::chrono::seconds;

namespace {

std::string const mark = "\xef\xbb\xbf";

token_answer good_token(std::string const& more) {
    return read_token_answer(200, R"({"access_token":"abc.def",)" + more + "}");
}

// 1 Jan 2026 00:00:00 UTC
constexpr wall_time new_year{1'767'225'600'000ms};

rate_headers retry_after(std::vector<std::string> const& values) {
    response r;
    r.add_header("Date", "Thu, 01 Jan 2026 00:00:00 GMT");
    for (auto const& v : values) r.add_header("Retry-After", v);
    return read_rate_headers(r, new_year);
}

bool refused(request const& r, errc expected) {
    errc code{};
    char const* const rule = why_invalid(r, code);
    if (rule != nullptr) CHECK(code == expected);
    return rule != nullptr;
}

}  // namespace

TEST_CASE("faults: B2 only a named OAuth error about the credential fails it, whatever the status") {
    auto const permanent = [](int status, std::string const& body) {
        auto const a = read_token_answer(status, body);
        CHECK_FALSE(a.ok());
        CHECK_FALSE(a.reason.empty());
        return a.failed == refresh_failure::permanent;
    };
    for (int const status : {200, 400, 401, 403, 404, 409, 422}) {
        INFO(status);
        for (auto const* const code : {"invalid_client", "access_denied", "unauthorized_client", "invalid_grant",
                                       "invalid_scope", "unsupported_grant_type", "INVALID_CLIENT"}) {
            INFO(code);
            CHECK(permanent(status, std::string(R"({"error":")") + code + R"(","error_description":"Unauthorized"})"));
        }
        for (auto const* const body : {R"({"message":"Request blocked"})",
                                       R"({"error":"temporarily_unavailable"})",
                                       R"({"error":"server_error"})",
                                       R"({"error":"invalid_request"})",
                                       R"({"error":"slow_down"})",
                                       R"({"error":"too_many_requests"})",
                                       R"({"error":"Forbidden","status":403})",
                                       R"({"error":""})",
                                       R"({"error":null})",
                                       R"({"error":401})",
                                       R"({"error":{"code":"invalid_client"}})",
                                       R"({"errors":["invalid_client"]})",
                                       R"({"code":401,"message":"Unauthorized"})",
                                       "{}",
                                       "[]",
                                       "null",
                                       "\"invalid_client\"",
                                       "",
                                       "<html>Request blocked</html>",
                                       "invalid_client"}) {
            INFO(body);
            CHECK_FALSE(permanent(status, body));
        }
    }
    for (int const status : {429, 500, 502, 503, 504}) CHECK_FALSE(permanent(status, R"({"error":"invalid_client"})"));
}

TEST_CASE("faults: B3 a good token is kept whatever is said of its lifetime, unless that is 0 or less") {
    struct {
        char const* said;
        int lifetime;  ///< 0: dead
    } const cases[] = {
        {"3600", 3600},
        {"3599.97", 3599},
        {"\"3599.97\"", 3599},
        {"\"3600 \"", 3600},
        {"\" 3600\\n\"", 3600},
        {"\"+3600\"", 3600},
        {"\"03600\"", 3600},
        {"\"3600s\"", 3600},
        {"\"3600 seconds\"", 3600},
        {"\"3.6e3\"", 3600},
        {"1e10", 86400},
        {"\"1e10\"", 86400},
        {"1e300", 86400},
        {"1e400", 86400},
        {"99999999999999999999999999", 86400},
        {"18446744073709551616", 86400},
        {"\"99999999999999999999999999\"", 86400},
        {"\"1e999\"", 86400},
        {"03600", 3600},
        {"0.5", 1},
        {"\"0.5\"", 1},
        {"1e-400", 0},
        {"null", 300},
        {"\"\"", 300},
        {"\" \"", 300},
        {"\"soon\"", 300},
        {"\"12x\"", 300},
        {"\"1h\"", 300},
        {"\"NaN\"", 300},
        {"\"inf\"", 300},
        {"\"2026-11-28T23:59:00Z\"", 300},
        {"true", 300},
        {"[]", 300},
        {"{}", 300},
        {"0", 0},
        {"-0", 0},
        {"0.0", 0},
        {"-1", 0},
        {"-1e400", 0},
        {"-99999999999999999999999999", 0},
        {"\"0\"", 0},
        {"\"-5\"", 0},
        {"\"-0.5\"", 0},
    };
    for (auto const& c : cases) {
        INFO(c.said);
        auto const a = good_token(std::string(R"("expires_in":)") + c.said + R"(,"token_type":"Bearer")");
        CHECK(a.ok() == (c.lifetime > 0));
        if (a.ok()) CHECK(a.token.reveal() == "abc.def");
        CHECK(a.lifetime == seconds(c.lifetime > 0 ? c.lifetime : 0));
        if (!a.ok()) CHECK(a.failed == refresh_failure::transient);
    }
}

TEST_CASE("faults: B3 a good token is kept whatever 2xx it comes with, and whatever is not said of its type") {
    for (int const status : {200, 201, 202, 203, 206})
        CHECK(read_token_answer(status, R"({"access_token":"a","expires_in":60})").ok());
    for (auto const* const type :
         {"\"\"", "\" \"", "null", "7", "[]", "\"bearer\"", "\"BEARER\"", "\" Bearer \"", "\"Bearer\\r\\n\""}) {
        INFO(type);
        CHECK(good_token(std::string(R"("expires_in":60,"token_type":)") + type).ok());
    }
    // Of another type it is of no use to us.
    for (auto const* const type : {"\"mac\"", "\"DPoP\"", "\"Bearer x\""})
        CHECK_FALSE(good_token(std::string(R"("token_type":)") + type).ok());
    // An error beside a token is somebody's habit.
    CHECK(good_token(R"("error":null)").ok());
    CHECK(good_token(R"("error":"")").ok());
}

TEST_CASE("faults: B5 a byte order mark in front of JSON says nothing, at whichever door it comes") {
    CHECK(read_token_answer(200, mark + R"({"access_token":"a"})").ok());
    CHECK(read_token_answer(401, mark + R"({"error":"invalid_client"})").failed == refresh_failure::permanent);
    CHECK(read_tenant_info(200, mark + R"({"cloudId":"11111111-2222-3333-4444-555555555555"})").has_value());
    CHECK(parse_connections(mark + "[]", system_secrets()).has_value());
    // One, and in front.
    CHECK_FALSE(read_token_answer(200, mark + mark + R"({"access_token":"a"})").ok());
    CHECK_FALSE(
        read_tenant_info(200, mark + mark + R"({"cloudId":"11111111-2222-3333-4444-555555555555"})").has_value());
    CHECK_FALSE(parse_connections(mark + mark + "[]", system_secrets()).has_value());
    CHECK_FALSE(parse_connections(mark + mark + mark + "[]", system_secrets()).has_value());
    CHECK_FALSE(
        read_tenant_info(200, R"({)" + mark + R"("cloudId":"11111111-2222-3333-4444-555555555555"})").has_value());
    for (auto const* const part : {"\xef", "\xef\xbb", "\xef\xbb\xbf"}) {
        CHECK_FALSE(read_token_answer(200, part).ok());
        CHECK_FALSE(read_tenant_info(200, part).has_value());
        CHECK_FALSE(parse_connections(part, system_secrets()).has_value());
    }
}

TEST_CASE("faults: C3 a Retry-After is read in whatever spelling it comes, and never as less than it says") {
    struct {
        std::string value;
        int seconds;  ///< -1: it cannot be read
    } const cases[] = {
        {"3.5", 4},
        {"299.997", 300},
        {"0.001", 1},
        {".5", 1},
        {"3.", 3},
        {"+5", 5},
        {"4s", 4},
        {"4 s", 4},
        {"4sec", 4},
        {"4 Seconds", 4},
        {"1500ms", 2},
        {"2m", 120},
        {"2 minutes", 120},
        {"1h", 3600},
        {"1e2", 100},
        {"007", 7},
        {"\"30\"", 30},
        {"30, 60", 60},
        {"60,30", 60},
        {"1, 5", 5},
        {"Thu, 01 Jan 2026 00:01:00 UTC", 60},
        {"Thu, 01 Jan 2026 00:01:00 UT", 60},
        {"Thu, 01 Jan 2026 00:01:00 Z", 60},
        {"Thu, 01 Jan 2026 00:01:00 +0000", 60},
        {"Thu, 01 Jan 2026 01:01:00 +0100", 60},
        {"Wed, 31 Dec 2025 19:01:00 -05:00", 60},
        {"Thu, 01 Jan 2026 00:01:00", 60},
        {"Thu, 1 Jan 2026 00:01:00 GMT", 60},
        {"Thu,  1 Jan 2026 0:01:00 GMT", 60},
        {"Thu,01 Jan 2026 00:01:00 GMT", 60},
        {"Thursday, 01 Jan 2026 00:01:00 GMT", 60},
        {"Thurs, 01 January 2026 00:01:00 GMT", 60},
        {"01 Jan 2026 00:01:00 GMT", 60},
        {"Thu, 01-Jan-2026 00:01:00 GMT", 60},
        {"Thursday, 01-Jan-26 00:01:00 GMT", 60},
        {"Thursday, 01-Jan-26 00:01:00 UTC", 60},
        {"Thu, 01 Jan 26 00:01:00 GMT", 60},
        {"Thu Jan  1 00:01:00 2026", 60},
        {"Thu Jan 1 00:01:00 2026", 60},
        {"Thu Jan  1 00:01:00 UTC 2026", 60},
        {"Thu, 01 Jan 2026 00:01:00.25 GMT", 61},
        {"2026-01-01T00:01:00Z", 60},
        {"2026-01-01T00:01Z", 60},
        {"2026-01-01T00:01:00.250Z", 61},
        {"2026-01-01T01:01:00+01:00", 60},
        {"2026-01-01T00:01:00", 60},
        {"2026-01-01 00:01:00Z", 60},
        {"2026-01-01 00:01:00 UTC", 60},
        {"2026-01-01 00:01:00", 60},
        {"2026/01/01 00:01:00", 60},
        {"Thu, 01 Jan 2026 00:01:00 GMT, Thu, 01 Jan 2026 00:02:00 GMT", -1},
        // Long ago, and never
        {"0", 0},
        {"-1", 0},
        {"-0.5", 0},
        {"-99999999999999999999999999", 0},
        {"-1e400", 0},
        {"Thu, 01 Jan 1970 00:00:00 UTC", 0},
        {"2025-12-31T23:59:59Z", 0},
        {"86401", 86'400},
        {"86400.5", 86'400},
        {"99999999999999999999999999999", 86'400},
        {"1e400", 86'400},
        {"1e10s", 86'400},
        {"9999-12-31T23:59:59Z", 86'400},
        {"99999999h", 86'400},
        // Nobody knows
        {"soon", -1},
        {"5x", -1},
        {"0x5", -1},
        {"1.2.3", -1},
        {"inf", -1},
        {"nan", -1},
        {"5 6", -1},
        {"PT30S", -1},
        {"-", -1},
        {"-soon", -1},
        {",", -1},
        {"1;2", -1},
        {"Thu, 01 Jan 2026 00:01:00 CET", -1},
        {"Thu, 32 Jan 2026 00:01:00 GMT", -1},
        {"Thu, 01 Jan 99999 00:01:00 GMT", -1},
        {"2026-13-01T00:01:00Z", -1},
        {"123456-01-01T00:01:00Z", -1},
        {"\xff\xff", -1},
    };
    for (auto const& c : cases) {
        INFO(c.value);
        auto const h = retry_after({c.value});
        REQUIRE(h.retry_after);
        CHECK(h.retry_after_unreadable == (c.seconds < 0));
        // More than the second that a 429 without a word begins with, and as long as our own pauses get.
        CHECK(*h.retry_after == seconds(c.seconds < 0 ? 60 : c.seconds));
    }
    for (auto const* const nothing : {"", " ", "\t "}) {
        auto const h = retry_after({nothing});
        CHECK_FALSE(h.retry_after);
        CHECK_FALSE(h.retry_after_unreadable);
    }
}

TEST_CASE("faults: C3 of two Retry-After the longer one counts, whatever their spellings and order") {
    struct {
        std::vector<std::string> values;
        int seconds;
        bool unreadable;
    } const cases[] = {
        {{"3.5", "2s"}, 4, false},
        {{"0", "7"}, 7, false},
        {{"-1", "2026-01-01T00:01:00Z"}, 60, false},
        {{"90", "Thu, 01 Jan 2026 00:01:00 UTC"}, 90, false},
        {{"9", "soon"}, 9, true},
        {{"0", "soon"}, 60, true},
        {{"soon", "later"}, 60, true},
        {{"900", ""}, 900, false},
    };
    for (auto const& c : cases) {
        for (auto values : {c.values, std::vector<std::string>(c.values.rbegin(), c.values.rend())}) {
            auto const h = retry_after(values);
            CHECK(h.retry_after == seconds(c.seconds));
            CHECK(h.retry_after_unreadable == c.unreadable);
        }
    }
}

TEST_CASE("faults: C6 a server that says it did not act is told from one that may have") {
    struct {
        int status;
        char const* connection;
        answer_class what;
        bool reused;      ///< not processed on a channel that had served
        bool not_reused;  ///< and on a new one
    } const cases[] = {
        {408, "close", answer_class::transient, true, false},
        {408, "Keep-Alive, CLOSE ", answer_class::transient, true, false},
        {408, "keep-alive", answer_class::delivered, false, false},
        {408, "closed", answer_class::delivered, false, false},
        {408, nullptr, answer_class::delivered, false, false},
        {421, nullptr, answer_class::transient, true, true},
        {425, nullptr, answer_class::transient, true, true},
        {503, "close", answer_class::transient, false, false},
        {200, "close", answer_class::delivered, false, false},
        {400, "close", answer_class::delivered, false, false},
        {422, nullptr, answer_class::delivered, false, false},
    };
    for (auto const& c : cases) {
        INFO(c.status << " " << (c.connection != nullptr ? c.connection : "-"));
        response r;
        r.set_status(c.status);
        if (c.connection != nullptr) r.add_header("CONNECTION", c.connection);
        for (auto const kind : {connection_kind::personal_api_token, connection_kind::service_oauth})
            CHECK(judge(r, kind).what == c.what);
        CHECK(not_processed(r, true) == c.reused);
        CHECK(not_processed(r, false) == c.not_reused);
    }
}

TEST_CASE("faults: C9 what RFC 3986 has no place for is refused, raw, and taken encoded") {
    for (char const c : std::string("\"<>[]^`{|}\\# \x7f")) {
        INFO(c);
        for (std::string const before : {"/rest/api/3/issue/", "/rest/api/3/search?jql=", "/x?"}) {
            CHECK(refused(request::get(before + c), errc::invalid_target));
            CHECK(refused(request::get(before + "a" + c + "b"), errc::invalid_target));
        }
    }
    // All that it has a place for, RFC 3986, section 3.3 and 3.4.
    CHECK_FALSE(refused(request::get("/aZ09-._~!$&'()*+,;=:@/x?aZ09-._~!$&'()*+,;=:@/?"), errc::invalid_target));
    CHECK_FALSE(refused(request::get("/x?jql=%22%3C%3E%5B%5D%5E%60%7B%7C%7D%5C%23%20"), errc::invalid_target));
    CHECK_FALSE(refused(request::get("/%22%3C%3E%5B%5D%5E%60%7B%7C%7D%23%20"), errc::invalid_target));
}

TEST_CASE("faults: F6 bytes behind percent signs that a lenient decoder may take for dots or slashes are refused") {
    for (std::string const c : {"%c0%ae",
                                "%C0%AE",
                                "%c0%af",
                                "%c1%9c",
                                "%e0%80%ae",
                                "%e0%80%af",
                                "%f0%80%80%ae",
                                "%f8%80%80%80%ae",
                                "%fc%80%80%80%80%ae",
                                "%c0%2e",
                                "%c0.",
                                "%e0%40%ae",
                                "%ae",
                                "%ff",
                                "%c3",
                                "%e2%82",
                                "%ed%a0%80",
                                "%f4%90%80%80",
                                "%c0%80",
                                "%25c0%25ae",
                                "%25c0%ae",
                                "%c0%25ae"}) {
        INFO(c);
        CHECK(refused(request::get("/rest/" + c + c + "/x"), errc::invalid_target));
        CHECK(refused(request::get("/rest/a" + c), errc::invalid_target));
    }
    for (auto const* const fine : {"/%c3%bc", "/%e2%82%ac", "/%f0%9f%98%80", "/x?q=%fc", "/x?%c0%ae", "/%25fc"}) {
        INFO(fine);
        // What is encoded twice must be good once decoded twice.
        CHECK(refused(request::get(fine), errc::invalid_target) == (std::string(fine) == "/%25fc"));
    }
}

TEST_CASE("faults: F6 a header that makes another method of a request, or is ours under another spelling, is refused") {
    for (auto const* const name : {"X-HTTP-Method-Override", "x-http-method-override", "X-HTTP-Method",
                                   "X-Method-Override", "X_HTTP_Method_Override", "X-HTTP_METHOD-Override",
                                   "Content_Length", "Transfer_Encoding", "User_Agent", "Keep_Alive"}) {
        INFO(name);
        CHECK(refused(request::post("/x").header(name, "DELETE"), errc::invalid_header));
    }
    for (auto const* const name : {"X-HTTP-Methods", "X-Method", "X-Atlassian-Token", "X_Ours", "X-ExperimentalApi"})
        CHECK_FALSE(refused(request::post("/x").header(name, "v"), errc::invalid_header));
}

TEST_CASE("faults: D9 what makes a connections file no JSON is named with its line and column") {
    struct {
        std::string text;
        char const* says;
    } const cases[] = {
        {"[", "line 1, column 2: the text ends too early"},
        {"[\n  {\"id\": \"a\",}\n]", "line 2, column 13: nothing follows this comma"},
        {"[\n1,\n2,\n]", "line 3, column 2: nothing follows this comma"},
        {"[\r\n  x\r\n]", "line 2, column 3: a value must stand here"},
        {"[{id: 1}]", "line 1, column 3: a name in double quotes must stand here"},
        {"[{'id': 1}]", "line 1, column 3: a name in double quotes must stand here"},
        {"[{\"id\" 1}]", "line 1, column 8: a colon must stand here"},
        {"[{\"id\": }]", "line 1, column 9: a value must stand here"},
        {"[{\"a\":1 \"b\":2}]", "line 1, column 9: a comma or } must stand here"},
        {"[1 2]", "line 1, column 4: a comma or ] must stand here"},
        {"[1}", "line 1, column 3: a comma or ] must stand here"},
        {"[]\n[]", "line 2, column 1: something follows the document"},
        {"[] // done", "line 1, column 4: something follows the document"},
        {"# connections\n[]", "line 1, column 1: a value must stand here"},
        {"[\"\xc3\xbc\xc3\xbc\" x]", "line 1, column 7: a comma or ] must stand here"},
        {mark + "[x]", "line 1, column 2: a value must stand here"},
        {"[\"a\nb\"]", "line 1, column 4: a string must have no line break or other control character in it"},
        {"[\n\"secret", "line 2, column 1: this string has no end"},
        {"[\"C:\\secret\"]", "line 1, column 5: this backslash begins no escape of JSON"},
        {"[\"\\u12g4\"]", "line 1, column 3: this backslash begins no escape of JSON"},
        {"[01]", "line 1, column 2: this is no number of JSON"},
        {"[1.]", "line 1, column 2: this is no number of JSON"},
        {"[-]", "line 1, column 2: this is no number of JSON"},
        {"[+1]", "line 1, column 2: a value must stand here"},
        {"[1e]", "line 1, column 2: this is no number of JSON"},
        {"[1e999]", "line 1, column 2: this number is too large"},
        {"[99999999999999999999]", "line 1, column 2: this number is too large"},
        {"[True]", "line 1, column 2: a value must stand here"},
        {"[truely]", "line 1, column 6: a comma or ] must stand here"},
        {"[\xc2\xa0]", "line 1, column 2: a value must stand here"},
        {std::string(2000, '[') + std::string(2000, ']'), "column 1025: "},
    };
    for (auto const& c : cases) {
        INFO(c.text.substr(0, 60));
        auto const r = parse_connections(c.text, system_secrets());
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::not_json);
        INFO(r.error().rule());
        CHECK(r.error().rule().find(c.says) != std::string::npos);
        CHECK(r.error().rule().find("secret") == std::string::npos);
    }
    auto const utf8 = parse_connections("[\n\"\xc3\xbc\xff\"]", system_secrets());
    REQUIRE_FALSE(utf8.has_value());
    CHECK(utf8.error().code() == errc::not_utf8);
    CHECK(utf8.error().rule().find("line 2, column 3") != std::string::npos);
}

TEST_CASE("faults: D9 whatever simdjson refuses has a place") {
    std::string const good = R"({"connections":[{"id":"a\u00fc","n":[-1.5e+3,true,null,{}],"e":""}]})";
    REQUIRE(parse_connections("[" + good + "]", system_secrets()).has_value());
    std::string const bytes = std::string("\"\\{}[],:x0-. \n\x01", 15);
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (char const c : bytes) {
            for (bool const insert : {false, true}) {
                auto text = good;
                if (insert) text.insert(at, 1, c);
                else text[at] = c;
                auto const r = parse_connections(text, system_secrets());
                if (r || r.error().code() != errc::not_json || r.error().rule().starts_with("must be an array"))
                    continue;
                INFO(text);
                INFO(r.error().rule());
                CHECK(r.error().rule().find("line ") != std::string::npos);
            }
        }
        auto const cut = parse_connections(good.substr(0, at), system_secrets());
        REQUIRE_FALSE(cut.has_value());
        if (at > 0) CHECK(cut.error().rule().find("line 1, column ") != std::string::npos);
    }
}
