#include <jirapool/core/connection_config.hpp>

#include "support/canary.hpp"
#include "support/catch.hpp"

#include <string>
#include <utility>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

std::string const site = "https://acme.atlassian.net";
std::string const cloud = "11223344-aabb-4cdd-8eff-001122334455";
std::string const canary = "canary-key-that-nobody-may-see";

result<connection_config> with_email(std::string email) {
    return make_connection_config("acme", personal_api_token(site, std::move(email), secret(canary)));
}

result<connection_config> with_options(connection_options o) {
    return make_connection_config("acme", service_api_token(cloud, secret(canary)), o);
}

void check_refused(result<connection_config> const& r, errc code, std::string const& field) {
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == code);
    CHECK(r.error().field() == field);
    CHECK_FALSE(r.error().rule().empty());
    CHECK_FALSE(test::shows(r.error().describe(), canary));
}

}  // namespace

TEST_CASE("connection_config: a personal API token goes to the site itself") {
    auto const c = make_connection_config("acme", personal_api_token("https://ACME.atlassian.net/", "ann@acme.example",
                                                                     secret(canary)));
    REQUIRE(c.has_value());
    CHECK(c->id() == "acme");
    CHECK(c->kind() == connection_kind::personal_api_token);
    CHECK(c->host() == "acme.atlassian.net");
    CHECK(c->base_path().empty());
    CHECK_FALSE(c->cloud());
    CHECK(c->principal() == "ann@acme.example");
    CHECK(c->key() == secret(canary));
    CHECK(c->options().timeout == 30s);
    CHECK(c->options().weight == 1);
}

TEST_CASE("connection_config: a service account's API token goes through the gateway") {
    auto const c = make_connection_config("acme", service_api_token(cloud, secret(canary)));
    REQUIRE(c.has_value());
    CHECK(c->kind() == connection_kind::service_api_token);
    CHECK(c->host() == gateway_host);
    CHECK(c->base_path() == "/ex/jira/" + cloud);
    CHECK(c->cloud()->str() == cloud);
    CHECK(c->principal().empty());
    CHECK(c->key() == secret(canary));
}

TEST_CASE("connection_config: an OAuth client goes through the gateway") {
    auto const c = make_connection_config("acme", service_oauth(cloud, "client-1", secret(canary)));
    REQUIRE(c.has_value());
    CHECK(c->kind() == connection_kind::service_oauth);
    CHECK(c->host() == gateway_host);
    CHECK(c->base_path() == "/ex/jira/" + cloud);
    CHECK(c->principal() == "client-1");
    CHECK(c->key() == secret(canary));
}

TEST_CASE("connection_config: the kinds have names") {
    CHECK(std::string(to_string(connection_kind::personal_api_token)) == "personal_api_token");
    CHECK(std::string(to_string(connection_kind::service_api_token)) == "service_api_token");
    CHECK(std::string(to_string(connection_kind::service_oauth)) == "service_oauth");
}

TEST_CASE("connection_config: an id out of its alphabet is refused and not repeated") {
    auto const with_id = [](std::string id) {
        return make_connection_config(std::move(id), service_api_token(cloud, secret(canary)));
    };
    CHECK(with_id("A.b_c:d-9").has_value());
    CHECK(with_id(std::string(128, 'a')).has_value());
    check_refused(with_id(""), errc::empty_field, "id");
    for (std::string const& id : {std::string(129, 'a'), std::string("a b"), std::string("a/b"), std::string("a\nb"),
                                  std::string("\xc3\xbc"), std::string("a\0b", 3), std::string("'")}) {
        CAPTURE(id);
        auto const r = with_id(id);
        check_refused(r, errc::invalid_field, "id");
        CHECK(r.error().connection().empty());
    }
}

TEST_CASE("connection_config: a problem names the connection") {
    CHECK(with_email("no").error().connection() == "acme");
    CHECK(with_options({.weight = 0}).error().connection() == "acme");
}

TEST_CASE("connection_config: an e-mail address is one @ with something around it") {
    CHECK(with_email("a@b").has_value());
    CHECK(with_email("j\xc3\xbcrgen@acme.example").has_value());
    check_refused(with_email(""), errc::empty_field, "email");
    for (std::string const& email :
         {std::string("ann"), std::string("@acme"), std::string("ann@"), std::string("a@b@c"), std::string("@"),
          std::string("ann:x@acme"), std::string("ann @acme"), std::string(" ann@acme"), std::string("ann@acme\n"),
          std::string("ann\0@acme", 9), std::string("ann\x7f@acme"), std::string("ann@acme\xe2\x80\x8b"),
          std::string("ann\xc2\xa0@acme"),
          std::string("\xef\xbb\xbf"
                      "ann@acme"),
          std::string("ann@acme\xff"), std::string("\xe2\x80"), "a@" + std::string(320, 'b')}) {
        CAPTURE(email);
        check_refused(with_email(email), errc::invalid_field, "email");
    }
}

TEST_CASE("connection_config: site and cloud ID follow their own rules") {
    check_refused(make_connection_config("acme", personal_api_token("https://evil.example", "a@b", secret(canary))),
                  errc::invalid_field, "site_url");
    check_refused(make_connection_config("acme", personal_api_token("", "a@b", secret(canary))), errc::empty_field,
                  "site_url");
    check_refused(make_connection_config("acme", service_api_token("x", secret(canary))), errc::invalid_field,
                  "cloud_id");
    check_refused(make_connection_config("acme", service_oauth("", "client", secret(canary))), errc::empty_field,
                  "cloud_id");
}

TEST_CASE("connection_config: a secret is printable ASCII without white space") {
    CHECK(make_connection_config("acme", service_api_token(cloud, secret(std::string(8192, 'k')))).has_value());
    for (std::string const& key :
         {canary + "\n", canary + "\r\n", " " + canary, canary + " ", "\t" + canary, canary + " and more",
          canary + std::string(1, '\0'), canary + "\x7f", canary + "\xc3\xbc", canary + std::string(8192, 'k')}) {
        check_refused(make_connection_config("acme", personal_api_token(site, "a@b", secret(key))), errc::invalid_field,
                      "apiKey");
        check_refused(make_connection_config("acme", service_api_token(cloud, secret(key))), errc::invalid_field,
                      "apiKey");
        check_refused(make_connection_config("acme", service_oauth(cloud, "client", secret(key))), errc::invalid_field,
                      "clientSecret");
        check_refused(make_connection_config("acme", service_oauth(cloud, key, secret("k"))), errc::invalid_field,
                      "client_id");
    }
    check_refused(make_connection_config("acme", personal_api_token(site, "a@b", secret())), errc::empty_field,
                  "apiKey");
    check_refused(make_connection_config("acme", service_oauth(cloud, "client", secret())), errc::empty_field,
                  "clientSecret");
    check_refused(make_connection_config("acme", service_oauth(cloud, "", secret("k"))), errc::empty_field,
                  "client_id");
}

TEST_CASE("connection_config: options out of range are refused") {
    CHECK(with_options({.timeout = 1ms, .weight = 100}).has_value());
    CHECK(with_options({.timeout = 10min}).has_value());
    check_refused(with_options({.timeout = 0ms}), errc::invalid_field, "options.timeout_ms");
    check_refused(with_options({.timeout = -1ms}), errc::invalid_field, "options.timeout_ms");
    check_refused(with_options({.timeout = 10min + 1ms}), errc::invalid_field, "options.timeout_ms");
    check_refused(with_options({.weight = 0}), errc::invalid_field, "options.weight");
    check_refused(with_options({.weight = 101}), errc::invalid_field, "options.weight");
}

TEST_CASE("connection: a clone says the same, and each field makes a difference") {
    auto const made = [](std::string id, credential c, connection_options o = {}) {
        return make_connection_config(std::move(id), std::move(c), o).value();
    };
    auto const personal = [&](std::string id, std::string site, std::string email, std::string key) {
        return made(std::move(id), personal_api_token("https://" + site, std::move(email), secret(key)));
    };
    auto const one = personal("a", "one.atlassian.net", "a@b", "k");
    auto const same = one.clone();
    CHECK(same == one);
    CHECK(same.key().reveal() == "k");
    CHECK(same.same_place(one));
    CHECK_FALSE(one == personal("b", "one.atlassian.net", "a@b", "k"));
    CHECK_FALSE(one.same_place(personal("b", "one.atlassian.net", "a@b", "k")));
    CHECK_FALSE(one == personal("a", "two.atlassian.net", "a@b", "k"));
    CHECK_FALSE(one.same_place(personal("a", "two.atlassian.net", "a@b", "k")));
    CHECK_FALSE(one == personal("a", "one.atlassian.net", "c@b", "k"));
    CHECK(one.same_place(personal("a", "one.atlassian.net", "c@b", "k")));
    CHECK_FALSE(one == personal("a", "one.atlassian.net", "a@b", "l"));
    connection_options slow;
    slow.timeout = std::chrono::milliseconds(7);
    CHECK_FALSE(one == made("a", personal_api_token("https://one.atlassian.net", "a@b", secret("k")), slow));

    std::string const cloud = "11223344-aabb-4cdd-8eff-001122334455";
    auto const service = made("a", service_api_token(cloud, secret("k")));
    auto const oauth = made("a", service_oauth(cloud, "c", secret("k")));
    CHECK(service.clone() == service);
    CHECK(oauth.clone() == oauth);
    CHECK_FALSE(service == oauth);
    CHECK_FALSE(service.same_place(oauth));
}
