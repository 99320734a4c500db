#include "support/catch.hpp"

#include <jirapool/core/answer.hpp>
#include <jirapool/core/tenant_info.hpp>
#include <jirapool/core/token_answer.hpp>

#include <string>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

answer_class of(int status, connection_kind kind, std::string_view header = {}, std::string_view value = {},
                std::string_view body = {}) {
    response r;
    r.set_status(status);
    if (!header.empty()) r.add_header(header, value);
    r.mutable_body().append(body.data(), body.size());
    return judge(r, kind).what;
}

constexpr auto personal = connection_kind::personal_api_token;
constexpr auto oauth = connection_kind::service_oauth;

}  // namespace

TEST_CASE("answer: a 200 to an ignored credential is anonymous, whatever case its header has") {
    CHECK(of(200, personal, "X-Seraph-LoginReason", "AUTHENTICATED_FAILED") == answer_class::anonymous);
    CHECK(of(200, personal, "x-seraph-loginreason", "AUTHENTICATION_DENIED") == answer_class::anonymous);
    CHECK(of(200, personal, "x-seraph-loginreason", "OK") == answer_class::delivered);
    CHECK(of(204, personal) == answer_class::delivered);
}

TEST_CASE("answer: a 401 over a missing scope is no matter of the token's age") {
    CHECK(of(401, oauth) == answer_class::unauthorized);
    CHECK(of(401, oauth, {}, {}, R"({"code":401,"message":"Unauthorized; scope does not match"})") ==
          answer_class::scope_mismatch);
    CHECK(of(401, oauth, "x-failure-category", "FAILURE_CLIENT_SCOPE_CHECK") == answer_class::scope_mismatch);
}

TEST_CASE("answer: 403 and 404 may mean an expired token at the gateway, and only there") {
    CHECK(of(404, oauth) == answer_class::maybe_expired);
    CHECK(of(403, oauth) == answer_class::maybe_expired);
    CHECK(of(404, personal) == answer_class::delivered);
    CHECK(of(403, connection_kind::service_api_token) == answer_class::delivered);
}

TEST_CASE("answer: 429 is limited, the gateway's 5xx are transient, 500 is delivered") {
    CHECK(of(429, personal) == answer_class::limited);
    for (int status : {502, 503, 504}) CHECK(of(status, personal) == answer_class::transient);
    CHECK(of(500, personal) == answer_class::delivered);
    CHECK(of(303, personal) == answer_class::delivered);
}

TEST_CASE("answer: what each row of the fact sheet says of the call and of the connection") {
    using c = answer_class;
    using s = answer_sign;
    constexpr auto service = connection_kind::service_api_token;
    constexpr std::string_view json404 = R"({"errorMessages":["Issue does not exist"],"errors":{}})";
    constexpr std::string_view page404 =
        "<!DOCTYPE html><html><head><title>Atlassian Cloud Notifications - Page Unavailable</title></head></html>";
    constexpr std::string_view edge = "\xef\xbb\xbf\n <HTML><H1>ERROR: The request could not be satisfied</H1></HTML>";
    struct {
        int status;
        connection_kind kind;
        std::string_view header;
        std::string_view value;
        std::string_view body;
        c what;
        s says;
    } const rows[] = {
        {200, personal, {}, {}, "{}", c::delivered, s::works},
        {204, oauth, {}, {}, {}, c::delivered, s::works},
        {200, personal, "x-seraph-loginreason", "OK", "[]", c::delivered, s::works},
        {200, personal, "x-seraph-loginreason", "AUTHENTICATED_FAILED", "[]", c::anonymous, s::ignored_credential},
        {404, personal, "x-seraph-loginreason", "AUTHENTICATED_FAILED", json404, c::anonymous, s::ignored_credential},
        {403, personal, "x-seraph-loginreason", "AUTHENTICATION_DENIED", "{}", c::anonymous, s::ignored_credential},
        {400, personal, "x-seraph-loginreason", "AUTHENTICATED_FAILED", "{}", c::anonymous, s::ignored_credential},
        {401, personal, "x-seraph-loginreason", "AUTHENTICATED_FAILED", "no", c::unauthorized, s::refused_credential},
        {429, personal, "x-seraph-loginreason", "AUTHENTICATED_FAILED", "{}", c::limited, s::none},
        {503, personal, "x-seraph-loginreason", "AUTHENTICATED_FAILED", "{}", c::transient, s::none},
        {500, personal, "x-seraph-loginreason", "AUTHENTICATED_FAILED", "{}", c::delivered, s::none},
        {303, personal, {}, {}, {}, c::delivered, s::none},
        {401,
         oauth,
         {},
         {},
         R"({"code":401,"message":"Unauthorized; scope does not match"})",
         c::scope_mismatch,
         s::lacks_scope},
        {401, service, "x-failure-category", "FAILURE_CLIENT_SCOPE_CHECK", {}, c::scope_mismatch, s::lacks_scope},
        {401, service, {}, {}, R"({"code":401,"message":"Unauthorized"})", c::unauthorized, s::refused_credential},
        {401, personal, "x-failure-category", "FAILURE_CLIENT_AUTH_MISMATCH", {}, c::unauthorized, s::wrong_host},
        {401, personal, {}, {}, "login required", c::unauthorized, s::refused_credential},
        {403,
         oauth,
         {},
         {},
         R"({"code":403,"message":"The app is not installed on this instance"})",
         c::maybe_expired,
         s::not_installed},
        {403,
         service,
         {},
         {},
         R"({"code":403,"message":"The app is not installed on this instance"})",
         c::delivered,
         s::not_installed},
        {403, personal, {}, {}, json404, c::delivered, s::none},
        {403, oauth, {}, {}, json404, c::maybe_expired, s::none},
        {403, personal, {}, {}, "XSRF check failed", c::delivered, s::xsrf_refused},
        {403, personal, {}, {}, edge, c::delivered, s::edge_refused},
        {400, personal, {}, {}, edge, c::delivered, s::edge_refused},
        {405, service, {}, {}, "<html>nginx</html>", c::delivered, s::edge_refused},
        {400, personal, {}, {}, json404, c::delivered, s::none},
        {404, personal, {}, {}, json404, c::delivered, s::none},
        {404, oauth, {}, {}, json404, c::maybe_expired, s::none},
        {404, personal, {}, {}, page404, c::delivered, s::unknown_site},
        {404, personal, {}, {}, "<html>no such page of an add-on</html>", c::delivered, s::none},
        {404, service, {}, {}, page404, c::delivered, s::unknown_site},
        {404, oauth, {}, {}, R"({"code":404,"message":"Not Found"})", c::maybe_expired, s::unknown_site},
        {404, service, {}, {}, {}, c::delivered, s::none},
        {410,
         personal,
         {},
         {},
         R"({"errorMessages":["The requested API has been removed."]})",
         c::delivered,
         s::endpoint_removed},
        {409, personal, {}, {}, "{}", c::delivered, s::none},
        {413, personal, {}, {}, "{}", c::delivered, s::none},
        {502, personal, {}, {}, edge, c::transient, s::none},
    };
    for (auto const& row : rows) {
        INFO(row.status << " " << row.value << " " << row.body);
        response r;
        r.set_status(row.status);
        if (!row.header.empty()) r.add_header(row.header, row.value);
        r.mutable_body().append(row.body.data(), row.body.size());
        auto const verdict = judge(r, row.kind);
        CHECK(verdict.what == row.what);
        CHECK(verdict.says == row.says);
    }
}

TEST_CASE("token_answer: what Atlassian answers is read") {
    auto const a = read_token_answer(
        200, R"({"access_token":"abc.def","expires_in":3600,"token_type":"Bearer","scope":"read:jira-work","new":1})");
    REQUIRE(a.ok());
    CHECK(a.token.reveal() == "abc.def");
    CHECK(a.lifetime == 3600s);
}

TEST_CASE("token_answer: the scopes are told as they are, and nothing that is none") {
    auto const scopes = [](std::string const& field) {
        auto const a = read_token_answer(200, R"({"access_token":"a",)" + field + "}");
        CHECK(a.ok());
        return a.scopes;
    };
    CHECK(scopes(R"("scope":"read:jira-work  write:jira-work ")") == "read:jira-work write:jira-work");
    CHECK(scopes(R"("scope":"manage:jira-webhook")") == "manage:jira-webhook");
    for (auto const* const none : {R"("x":1)", R"("scope":"")", R"("scope":7)", R"("scope":["a"])",
                                   R"("scope":"a\u001b[31m b")", R"("scope":"a\"b")", R"("scope":"\u00e4")"})
        CHECK(scopes(none).empty());
    CHECK(scopes("\"scope\":\"" + std::string(4096, 'a') + "\"").size() == 4096);
    CHECK(scopes("\"scope\":\"" + std::string(4097, 'a') + "\"").empty());
}

TEST_CASE("token_answer: a lifetime may be absent or a string, and must be positive") {
    CHECK(read_token_answer(200, R"({"access_token":"a"})").lifetime == 300s);
    CHECK(read_token_answer(200, R"({"access_token":"a","expires_in":"1800"})").lifetime == 1800s);
    CHECK(read_token_answer(200, R"({"access_token":"a","expires_in":59.9})").lifetime == 59s);
    CHECK(read_token_answer(200, R"({"access_token":"a","expires_in":99999999999})").lifetime == 86400s);
    for (auto const* const bad : {"-1", "0", "0.0", "\"-5\"", "\"0\""}) {
        auto const a = read_token_answer(200, std::string(R"({"access_token":"a","expires_in":)") + bad + "}");
        INFO(bad);
        CHECK_FALSE(a.ok());
        CHECK(a.failed == refresh_failure::transient);
    }
}

TEST_CASE("token_answer: an answer that makes no sense is worth another try") {
    for (auto const* const body : {"", "null", "[]", "<html><body>busy</body></html>", "{", R"({"access_token":""})",
                                   R"({"access_token":7})", R"({"access_token":"a\r\nX: y"})",
                                   R"({"access_token":"a b"})", R"({"access_token":"a","token_type":"mac"})"}) {
        INFO(body);
        auto const a = read_token_answer(200, body);
        CHECK_FALSE(a.ok());
        CHECK(a.failed == refresh_failure::transient);
        CHECK_FALSE(a.reason.empty());
    }
}

TEST_CASE("token_answer: a refused credential is permanent, an ailing endpoint is not") {
    auto const permanent = [](int status, char const* body) {
        return read_token_answer(status, body).failed == refresh_failure::permanent;
    };
    CHECK(permanent(400, R"({"error":"invalid_client"})"));
    CHECK(permanent(401, R"({"error":"access_denied","error_description":"Unauthorized"})"));
    CHECK(permanent(403, R"({"error":"access_denied"})"));
    CHECK_FALSE(permanent(403, R"({})"));
    CHECK_FALSE(permanent(403, "<html>WAF</html>"));
    CHECK_FALSE(permanent(429, R"({"error":"access_denied"})"));
    CHECK_FALSE(permanent(500, R"({"error":"invalid_client"})"));
    CHECK_FALSE(permanent(404, R"({"error":"server_error"})"));
}

TEST_CASE("token_answer: the reason names the error and quotes nothing else of the answer") {
    CHECK(read_token_answer(400, R"({"error":"invalid_client","error_description":"s3cret"})").reason ==
          "status 400: invalid_client");
    CHECK(read_token_answer(400, R"({"error":"s3cret with spaces"})").reason.find("s3cret") == std::string::npos);
}

TEST_CASE("tenant_info: only a UUID under cloudId is taken") {
    auto const good = read_tenant_info(200, R"({"cloudId":"11111111-2222-3333-4444-55555555ABCD"})");
    REQUIRE(good.has_value());
    CHECK(good->str() == "11111111-2222-3333-4444-55555555abcd");
    CHECK_FALSE(read_tenant_info(200, R"({"cloudId":"../../x"})").has_value());
    CHECK_FALSE(read_tenant_info(200, R"({"id":"11111111-2222-3333-4444-555555555555"})").has_value());
    CHECK_FALSE(read_tenant_info(404, "<html></html>").has_value());
    CHECK_FALSE(read_tenant_info(200, "[]").has_value());
}
