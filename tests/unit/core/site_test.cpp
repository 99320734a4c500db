#include <jirapool/core/site.hpp>

#include "support/catch.hpp"

#include <string>
#include <string_view>

using namespace jirapool;

namespace {

std::string host_of(std::string_view url) {
    auto const host = site_host::parse_url(url);
    return host ? host->str() : host.error().describe();
}

void check_url_refused(std::string_view url, std::string_view said) {
    CAPTURE(url);
    auto const host = site_host::parse_url(url);
    REQUIRE_FALSE(host.has_value());
    CHECK(host.error().code() == errc::invalid_field);
    CHECK(host.error().field() == "site_url");
    CHECK(host.error().rule().find(said) != std::string::npos);
    CHECK(host.error().describe().find(url) == std::string::npos);
}

}  // namespace

TEST_CASE("site_host: an https URL of a Jira Cloud site is its host") {
    CHECK(host_of("https://acme.atlassian.net") == "acme.atlassian.net");
    CHECK(host_of("https://a-1.atlassian.net") == "a-1.atlassian.net");
    CHECK(host_of("https://7.atlassian.net") == "7.atlassian.net");
}

TEST_CASE("site_host: one slash at the end is dropped") {
    CHECK(host_of("https://acme.atlassian.net/") == "acme.atlassian.net");
}

TEST_CASE("site_host: upper case is lowered") {
    auto const host = site_host::parse_url("HTTPS://AcMe.Atlassian.NET");
    REQUIRE(host.has_value());
    CHECK(host->str() == "acme.atlassian.net");
    CHECK(*host == site_host::parse_url("https://acme.atlassian.net").value());
}

TEST_CASE("site_host: a name of 63 characters is the longest") {
    std::string const longest(63, 'a');
    CHECK(site_host::parse_url("https://" + longest + ".atlassian.net").has_value());
    check_url_refused("https://a" + longest + ".atlassian.net", "63 characters");
}

TEST_CASE("site_host: an empty URL is an empty field") {
    auto const host = site_host::parse_url("");
    REQUIRE_FALSE(host.has_value());
    CHECK(host.error().code() == errc::empty_field);
    CHECK(host.error().field() == "site_url");
    CHECK_FALSE(host.error().rule().empty());
}

TEST_CASE("site_host: another scheme is refused") {
    for (auto const* url : {"http://acme.atlassian.net", "acme.atlassian.net", "//acme.atlassian.net", "ftp://acme.net",
                            "https:/acme.atlassian.net", "https:acme.atlassian.net", "httpss://acme.atlassian.net",
                            "://acme.atlassian.net", "javascript:alert(1)"}) {
        check_url_refused(url, "https://");
    }
    for (auto const* url : {"/", "https", "https:", "https://"}) {
        CAPTURE(url);
        CHECK_FALSE(site_host::parse_url(url).has_value());
    }
}

TEST_CASE("site_host: a port is refused") {
    check_url_refused("https://acme.atlassian.net:443", "port");
    check_url_refused("https://acme.atlassian.net:", "port");
    check_url_refused("https://acme.atlassian.net:8443/", "port");
    check_url_refused("https://[::1]/", "port");
}

TEST_CASE("site_host: a path, query or fragment is refused") {
    check_url_refused("https://acme.atlassian.net/jira", "path");
    check_url_refused("https://acme.atlassian.net//", "path");
    check_url_refused("https://acme.atlassian.net/.", "path");
    check_url_refused("https://acme.atlassian.net?a=b", "query");
    check_url_refused("https://acme.atlassian.net/?", "query");
    check_url_refused("https://acme.atlassian.net#x", "fragment");
    check_url_refused("https://acme.atlassian.net/#x", "fragment");
    check_url_refused("https://acme.atlassian.net\\jira", "backslash");
}

TEST_CASE("site_host: user info is refused") {
    check_url_refused("https://user@acme.atlassian.net", "user name");
    check_url_refused("https://user:password@acme.atlassian.net", "user name");
    check_url_refused("https://acme.atlassian.net@evil.com", "user name");
    check_url_refused("https://@acme.atlassian.net", "user name");
}

TEST_CASE("site_host: a look-alike domain is refused") {
    for (auto const* url :
         {"https://x.atlassian.net.evil.com", "https://xatlassian.net", "https://x-atlassian.net",
          "https://acme.atlassian.com", "https://acme.atlassian.net.", "https://acme.atlassian.nett",
          "https://acme.atlassian", "https://evil.com/acme.atlassian.net", "https://evil.com?.atlassian.net",
          "https://evil.com#.atlassian.net", "https://evil.com\\.atlassian.net", "https://acme.jira.com"}) {
        check_url_refused(url, "must");
    }
}

TEST_CASE("site_host: a Data Center host is told that only Jira Cloud works") {
    check_url_refused("https://jira.acme.example", "Jira Cloud only");
    check_url_refused("https://jira.acme.example/context", "Jira Cloud only");
    check_url_refused("https://10.0.0.7", "Jira Cloud only");
    check_url_refused("https://localhost", "Jira Cloud only");
    check_url_refused("https://api.atlassian.com", "Jira Cloud only");
}

TEST_CASE("site_host: the name is one DNS label") {
    check_url_refused("https://atlassian.net", "name the site");
    check_url_refused("https://.atlassian.net", "name the site");
    check_url_refused("https://a.b.atlassian.net", "without dots");
    check_url_refused("https://a..atlassian.net", "without dots");
    check_url_refused("https://-acme.atlassian.net", "hyphen");
    check_url_refused("https://acme-.atlassian.net", "hyphen");
    check_url_refused("https://ac_me.atlassian.net", "letters, digits and hyphens");
    check_url_refused("https://*.atlassian.net", "letters, digits and hyphens");
    check_url_refused("https://acme.atlassian.net.", "dot");
}

TEST_CASE("site_host: percent-encoding, international names and white space are refused") {
    check_url_refused("https://ac%6de.atlassian.net", "percent");
    check_url_refused("https://acme%2eatlassian.net", "percent");
    check_url_refused("https://m\xc3\xbcller.atlassian.net", "ASCII");
    check_url_refused(
        "https://acme\xe3\x80\x82"
        "atlassian.net",
        "ASCII");
    check_url_refused("https://acme\xff.atlassian.net", "ASCII");
    check_url_refused("https://xn--mller-kva.atlassian.net", "internationalised");
    check_url_refused(" https://acme.atlassian.net", "white space");
    check_url_refused("https://acme.atlassian.net ", "white space");
    check_url_refused("https://acme.atlassian.net\n", "white space");
    check_url_refused("https://ac\tme.atlassian.net", "white space");
    check_url_refused(std::string_view("https://acme.atlassian.net\0.evil.com", 36), "control");
}

TEST_CASE("cloud_id: a UUID is accepted and lowered") {
    auto const id = cloud_id::parse("11223344-AABB-4CDD-8eff-001122334455");
    REQUIRE(id.has_value());
    CHECK(id->str() == "11223344-aabb-4cdd-8eff-001122334455");
    CHECK(*id == cloud_id::parse("11223344-aabb-4cdd-8eff-001122334455").value());
}

TEST_CASE("cloud_id: what is no UUID is refused") {
    for (auto const* text : {"acme", "11223344aabb4cdd8eff001122334455", "11223344-aabb-4cdd-8eff-00112233445",
                             "11223344-aabb-4cdd-8eff-0011223344555", "11223344-aabb-4cdd-8eff-00112233445g",
                             "{1223344-aabb-4cdd-8eff-00112233445}", " 1223344-aabb-4cdd-8eff-001122334455",
                             "11223344-aabb-4cdd-8eff-001122334455 ", "112233445aabb-4cdd-8eff-001122334455",
                             "../../..-aabb-4cdd-8eff-001122334455", "11223344-aabb-4cdd-8eff/001122334455",
                             "1122334-4aabb-4cdd-8eff-001122334455", "%1223344-aabb-4cdd-8eff-001122334455",
                             "\303\274223344-aabb-4cdd-8eff-001122334455"}) {
        CAPTURE(text);
        auto const id = cloud_id::parse(text);
        REQUIRE_FALSE(id.has_value());
        CHECK(id.error().code() == errc::invalid_field);
        CHECK(id.error().field() == "cloud_id");
        CHECK(id.error().rule().find("UUID") != std::string::npos);
        CHECK(id.error().describe().find(text) == std::string::npos);
    }
}

TEST_CASE("cloud_id: an empty one is an empty field") {
    auto const id = cloud_id::parse("");
    REQUIRE_FALSE(id.has_value());
    CHECK(id.error().code() == errc::empty_field);
    CHECK_FALSE(id.error().rule().empty());
}
