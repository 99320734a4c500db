#include "support/catch.hpp"

#include "text.hpp"

using namespace jirapool::mock;

TEST_CASE("mock text: base64 is read back as it was, with RFC 4648's test vectors") {
    CHECK(base64("").empty());
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foobar") == "Zm9vYmFy");
    for (std::string const text : {"", "f", "fo", "foo", "foob", "fooba", "a:b"}) {
        CHECK(from_base64(base64(text)) == text);
    }
}

TEST_CASE("mock text: what is no base64 is refused") {
    for (auto const* const text : {"Zg", "Zg=", "====", "Z===", "Zg==Zg==", "Zm9 ", "Zm9\n"}) {
        INFO(text);
        CHECK_FALSE(from_base64(text));
    }
}

TEST_CASE("mock text: a form's field is found and decoded") {
    CHECK(form_field("a=1&b=x%20y+z&c", "b") == "x y z");
    CHECK(form_field("a=1&b=2", "a") == "1");
    CHECK(form_field("a=1&c", "c") == "");
    CHECK(form_field("a=1&a=2", "a") == "1");
    CHECK_FALSE(form_field("ab=1", "a"));
    CHECK_FALSE(form_field("", "a"));
    CHECK(percent_decode("100%", false) == "100%");
    CHECK(percent_decode("%zz%4", false) == "%zz%4");
    CHECK(percent_decode("a+b", false) == "a+b");
}

TEST_CASE("mock text: JSON strings are escaped") {
    std::string out;
    append_json(out, "a\"b\\c\n\x01");
    CHECK(out == R"("a\"b\\c\n\u0001")");
}

TEST_CASE("mock text: dates come in the three forms that Jira uses") {
    wall_time const t{std::chrono::milliseconds{1'767'229'261'042}};
    CHECK(iso8601(t) == "2026-01-01T01:01:01Z");
    CHECK(jira_date(t) == "2026-01-01T01:01:01.042+0000");
    CHECK(http_date(t) == "Thu, 01 Jan 2026 01:01:01 GMT");
}

TEST_CASE("mock text: numbers are digits and nothing else") {
    CHECK(to_number("0") == 0u);
    CHECK(to_number("123456789012345678") == 123'456'789'012'345'678u);
    for (auto const* const text : {"", "-1", "+1", "1 ", "1.0", "0x1", "1234567890123456789"}) {
        INFO(text);
        CHECK_FALSE(to_number(text));
    }
}

TEST_CASE("mock text: header names match in any case") {
    CHECK(same_name("Content-Length", "content-length"));
    CHECK_FALSE(same_name("content-lengt", "content-length"));
    CHECK(starts_with_name("BEARER x", "bearer "));
    CHECK(lower("API.Atlassian.COM") == "api.atlassian.com");
}
