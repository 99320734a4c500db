#include "support/catch.hpp"

#include "unit/mock/ask.hpp"

#include <cmath>
#include <stdexcept>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

TEST_CASE("mock app: a personal token works on its own site") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    reply const r = ask("GET", host_of(a, c), "/rest/api/3/myself").basic(c).of(a);
    CHECK(r.status == 200);
    CHECK(has(r.body, c.account_id));
    CHECK(has(r.headers, "X-AAccountId: " + c.account_id));
    CHECK(has(r.headers, "atl-traceid: "));
    CHECK(has(r.headers, "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 99\r\n"));
    CHECK(a.snapshot().isolation_violations == 0);
    CHECK(a.snapshot().connections[0].requests == 1);
}

TEST_CASE("mock app: a refused personal token is anonymous where that is allowed and 401 elsewhere") {
    app a(small());
    connection_info c = *a.world().find("personal-0001");
    c.secret += "x";
    std::string const host = host_of(a, c);
    reply const issue = ask("GET", host, "/rest/api/3/issue/PROJ-1").basic(c).of(a);
    CHECK(issue.status == 200);
    CHECK(has(issue.headers, "x-seraph-loginreason: AUTHENTICATED_FAILED"));
    CHECK_FALSE(has(issue.headers, "X-AAccountId"));
    reply const search = ask("GET", host, "/rest/api/3/search/jql?jql=project%3DPROJ").basic(c).of(a);
    CHECK(search.status == 200);
    CHECK(search.body == R"({"issues":[],"isLast":true})");
    CHECK(ask("GET", host, "/rest/api/3/myself").basic(c).of(a).status == 401);
    CHECK(ask("PUT", host, "/rest/api/3/issue/PROJ-1").basic(c).body("{}").of(a).status == 401);
    CHECK(ask("GET", host, "/rest/api/3/myself").of(a).status == 401);
    CHECK(a.snapshot().anonymous_answers == 2);
    CHECK(a.snapshot().unauthorized == 3);
}

TEST_CASE("mock app: a bearer on the site host fails to parse") {
    app a(small());
    connection_info const& c = *a.world().find("service-0001");
    reply const r = ask("GET", host_of(a, c), "/rest/api/3/myself").bearer(c.secret).of(a);
    CHECK(r.status == 403);
    CHECK(r.body == R"({"error": "Failed to parse Connect Session Auth Token"})");
    CHECK(a.snapshot().isolation_violations == 1);
}

TEST_CASE("mock app: a service token works on the gateway below its own cloud id only") {
    app a(small());
    connection_info const& c = *a.world().find("service-0001");
    CHECK(
        ask("GET", "api.atlassian.com", gateway_path(a, c.site, "/rest/api/3/myself")).bearer(c.secret).of(a).status ==
        200);
    CHECK(a.snapshot().isolation_violations == 0);
    std::size_t const other = (c.site + 1) % 3;
    reply const r =
        ask("GET", "api.atlassian.com", gateway_path(a, other, "/rest/api/3/myself")).bearer(c.secret).of(a);
    CHECK(r.status == 403);
    CHECK(r.body == R"({"code":403,"message":"The app is not installed on this instance"})");
    CHECK(a.snapshot().isolation_violations == 1);
    CHECK(ask("GET", "api.atlassian.com", "/ex/jira/nowhere/rest/api/3/myself").bearer(c.secret).of(a).status == 404);
    CHECK(a.snapshot().isolation_violations == 2);
    CHECK(ask("GET", "api.atlassian.com", gateway_path(a, c.site, "/rest/api/3/myself")).bearer("x").of(a).status ==
          401);
    CHECK(a.snapshot().isolation_violations == 2);
}

TEST_CASE("mock app: an access token lives exactly as long as it should, and older ones live on beside newer ones") {
    params p = small();
    p.token_lifetime = 10s;
    app a(p);
    connection_info const& c = *a.world().find("oauth-0001");
    reply const r = exchange(c).of(a);
    REQUIRE(r.status == 200);
    CHECK(has(r.body, R"("expires_in":10,"token_type":"Bearer","scope":"read:jira-work write:jira-work"})"));
    std::string const token = token_of(r);
    std::string const newer = token_of(exchange(c).of(a, later(5s)));
    auto const status = [&](std::string const& t, instant now) {
        return ask("GET", "api.atlassian.com", gateway_path(a, c.site, "/rest/api/3/myself"))
            .bearer(t)
            .of(a, now)
            .status;
    };
    CHECK(status(token, later(9999ms)) == 200);
    CHECK(status(newer, later(9999ms)) == 200);
    CHECK(status(token, later(10s)) == 401);
    CHECK(status(newer, later(10s)) == 200);
    a.auth().revoke_tokens(static_cast<std::size_t>(&c - a.world().connections().data()), later(10s));
    CHECK(status(newer, later(11s)) == 401);
    CHECK(status(token_of(exchange(c).of(a, later(11s))), later(12s)) == 200);
    CHECK(a.snapshot().refreshes == 3);
    CHECK(a.snapshot().min_refreshes_per_credential == 0);
    CHECK(a.snapshot().max_refreshes_per_credential == 3);
}

TEST_CASE("mock app: the token endpoint names what is wrong") {
    app a(small());
    connection_info const& c = *a.world().find("oauth-0001");
    auto const form = [&](std::string const& text) {
        return ask("POST", "auth.atlassian.com", "/oauth/token")
            .with("content-type", "application/x-www-form-urlencoded")
            .body(text)
            .of(a);
    };
    std::string const good = "client_id=" + c.client_id + "&client_secret=" + c.secret;
    reply r = form(good + "&grant_type=client_credentials&scope=read%3Ajira-work");
    CHECK(r.status == 400);
    CHECK(has(r.body, "invalid_scope"));
    r = form("client_id=nobody&client_secret=x&grant_type=client_credentials");
    CHECK(r.status == 400);
    CHECK(has(r.body, "invalid_client"));
    r = form("client_id=" + c.client_id + "&client_secret=x&grant_type=client_credentials");
    CHECK(r.status == 401);
    CHECK(has(r.body, "access_denied"));
    CHECK(form(good + "&grant_type=password").status == 400);
    CHECK(form(good).status == 400);
    CHECK(ask("POST", "auth.atlassian.com", "/oauth/token").body("{}").of(a).status == 400);
    CHECK(ask("GET", "auth.atlassian.com", "/oauth/token").of(a).status == 404);
    CHECK(a.snapshot().refreshes == 0);
    CHECK(a.snapshot().isolation_violations == 0);
}

TEST_CASE("mock app: a client secret has one place, and under another client's id it is a violation") {
    app a(small());
    connection_info const& first = *a.world().find("oauth-0001");
    connection_info mixed = *a.world().find("oauth-0002");
    mixed.secret = first.secret;
    CHECK(exchange(mixed).of(a).status == 401);
    CHECK(a.snapshot().isolation_violations == 1);
    ask("POST", "api.atlassian.com", "/oauth/token")
        .with("content-type", "application/x-www-form-urlencoded")
        .body("client_secret=" + first.secret)
        .of(a);
    CHECK(a.snapshot().isolation_violations == 2);
    ask("GET", "api.atlassian.com", gateway_path(a, first.site, "/rest/api/3/myself")).bearer(first.secret).of(a);
    CHECK(a.snapshot().isolation_violations == 3);
}

TEST_CASE("mock app: exchanges in flight are counted until the answer is under way") {
    app a(small());
    connection_info const& c = *a.world().find("oauth-0001");
    {
        reply first = exchange(c).of(a);
        first.exchange.end();
        first.exchange.end();
        reply const second = exchange(c).of(a);
        CHECK(a.snapshot().max_in_flight_per_credential == 1);
        reply const third = exchange(c).of(a);
        CHECK(a.snapshot().max_in_flight_per_credential == 2);
    }
    std::size_t const index = static_cast<std::size_t>(&c - a.world().connections().data());
    CHECK(a.snapshot().connections[index].in_flight == 0);
    CHECK(a.snapshot().connections[index].exchanges == 3);
    a.reset_stats();
    CHECK(a.snapshot().max_in_flight_per_credential == 0);
}

TEST_CASE("mock app: site URL and cloud id share one bucket") {
    params p = small();
    p.sites = 1;
    p.burst_get_issue = 2;
    app a(p);
    connection_info const& site = *a.world().find("personal-0001");
    connection_info const& cloud = *a.world().find("service-0001");
    CHECK(ask("GET", host_of(a, site), "/rest/api/3/issue/PROJ-1").basic(site).of(a).status == 200);
    std::string const path = gateway_path(a, 0, "/rest/api/2/issue/PROJ-2");
    reply const second = ask("GET", "api.atlassian.com", path).bearer(cloud.secret).of(a);
    CHECK(has(second.headers, "X-RateLimit-Limit: 2\r\nX-RateLimit-Remaining: 0\r\n"));
    reply const third = ask("GET", "api.atlassian.com", path).bearer(cloud.secret).of(a);
    CHECK(third.status == 429);
    CHECK(has(third.headers, "Retry-After: 1\r\n"));
    CHECK(has(third.headers, "RateLimit-Reason: jira-burst-based\r\n"));
    CHECK(has(third.headers, "X-RateLimit-Reset: 2027-01-15T08:00:01Z\r\n"));
    CHECK(has(third.headers, "X-RateLimit-Limit: 2\r\nX-RateLimit-Remaining: 0\r\n"));
    CHECK(
        third.body ==
        R"({"errorMessages":["The request has been rate-limited. Please try again later."],"errors":{},"status":429})");
    stats const s = a.snapshot();
    CHECK(s.limited.at("jira-burst-based") == 1);
    CHECK(s.bucket_admitted == 2);
    CHECK(s.bucket_refused == 1);
}

TEST_CASE("mock app: an unauthenticated request spends nothing") {
    params p = small();
    p.burst_get = 1;
    app a(p);
    connection_info c = *a.world().find("personal-0001");
    std::string const host = host_of(a, c);
    CHECK(ask("GET", host, "/rest/api/3/myself").of(a).status == 401);
    CHECK(ask("GET", host, "/rest/api/3/myself").basic(c).of(a).status == 200);
    CHECK(ask("GET", host, "/rest/api/3/myself").of(a).status == 401);
    CHECK(ask("GET", host, "/rest/api/3/myself").basic(c).of(a).status == 429);
}

TEST_CASE("mock app: busy buckets show how much of what was permitted was used") {
    params p = small();
    p.burst_get = 10;
    app a(p);
    connection_info const& c = *a.world().find("personal-0001");
    for (int i = 0; i <= 40; ++i) {
        ask("GET", host_of(a, c), "/rest/api/3/myself").basic(c).of(a, later(i * 100ms));
    }
    stats const s = a.snapshot();
    CHECK(s.busy_buckets == 1);
    CHECK(s.busy_admitted == 41);
    CHECK(std::abs(s.busy_permitted - 40) < 1e-6);
    CHECK(std::abs(s.busy_used - 1.025) < 1e-6);
}

TEST_CASE("mock app: the hourly quota shows in headers and refuses until the hour ends") {
    params p = small();
    p.quota_points = 5;
    app a(p);
    connection_info const& c = *a.world().find("personal-0001");
    auto const read = [&](instant now) {
        return ask("GET", host_of(a, c), "/rest/api/3/issue/PROJ-1").basic(c).of(a, now);
    };
    reply const first = read(later(59min));
    CHECK(has(first.headers, "RateLimit-Policy: \"tenant-app-quota\";q=5;w=3600\r\n"));
    CHECK(has(first.headers, "RateLimit: \"tenant-app-quota\";t=60\r\n"));
    CHECK(read(later(59min)).status == 200);
    CHECK(has(read(later(59min)).headers, "RateLimit: \"tenant-app-quota\";r=0;t=60\r\n"));
    reply const refused = read(later(59min));
    CHECK(refused.status == 429);
    CHECK(has(refused.headers, "Retry-After: 60\r\n"));
    CHECK(has(refused.headers, "RateLimit-Reason: jira-quota-tenant-based\r\n"));
    CHECK(has(refused.headers, "X-RateLimit-Reset: 2027-01-15T09:00:00Z\r\n"));
    CHECK(read(later(60min)).status == 200);
}

TEST_CASE("mock app: with an OAuth-only quota API tokens spend nothing") {
    params p = small();
    p.quota_points = 1;
    p.quota_oauth_only = true;
    app a(p);
    connection_info const& c = *a.world().find("personal-0001");
    for (int i = 0; i < 3; ++i) {
        reply const r = ask("GET", host_of(a, c), "/rest/api/3/issue/PROJ-1").basic(c).of(a);
        CHECK(r.status == 200);
        CHECK_FALSE(has(r.headers, "RateLimit-Policy"));
    }
}

TEST_CASE("mock app: an issue is about as large as asked for, and holds what was written") {
    params p = small();
    p.issue_bytes = 3000;
    app a(p);
    connection_info const& c = *a.world().find("personal-0001");
    std::string const host = host_of(a, c);
    reply r = ask("GET", host, "/rest/api/3/issue/PROJ-7").basic(c).of(a);
    CHECK(r.body.size() == 3000);
    CHECK(ask("PUT", host, "/rest/api/3/issue/PROJ-7")
              .basic(c)
              .body(R"({"fields":{"summary":"a \"b\""}})")
              .of(a)
              .status == 204);
    r = ask("GET", host, "/rest/api/3/issue/10007").basic(c).of(a);
    CHECK(has(r.body, R"("key":"PROJ-7")"));
    CHECK(has(r.body, R"("summary":"a \"b\"")"));
    CHECK(a.site(0).issue(7)->summary == "a \"b\"");
    CHECK(ask("PUT", host, "/rest/api/3/issue/PROJ-7").basic(c).body("{").of(a).status == 400);
    CHECK(ask("PUT", host, "/rest/api/3/issue/PROJ-7").basic(c).body("[]").of(a).status == 400);
    CHECK(ask("PUT", host, "/rest/api/3/issue/PROJ-7").basic(c).body(R"({"fields":{"summary":7}})").of(a).status ==
          400);
    reply const absent = ask("GET", host, "/rest/api/3/issue/PROJ-51").basic(c).of(a);
    CHECK(absent.status == 404);
    CHECK(absent.body ==
          R"({"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}})");
    CHECK(ask("DELETE", host, "/rest/api/3/issue/PROJ-7").basic(c).of(a).status == 204);
    CHECK(ask("GET", host, "/rest/api/3/issue/PROJ-7").basic(c).of(a).status == 404);
}

TEST_CASE("mock app: a new issue answers 201 with its key") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    auto const post = [&](std::string const& body) {
        return ask("POST", host_of(a, c), "/rest/api/3/issue").basic(c).body(body).of(a);
    };
    reply const r = post(R"({"fields":{"project":{"key":"PROJ"},"summary":"s","issuetype":{"name":"Bug"}}})");
    CHECK(r.status == 201);
    CHECK(r.body ==
          R"({"id":"10051","key":"PROJ-51","self":"https://site-0001.atlassian.net/rest/api/3/issue/10051"})");
    CHECK(post(R"({"fields":{"project":{"key":"PROJ"},"issuetype":{"name":"Bug"}}})").status == 400);
    CHECK(post(R"({"fields":{"project":{"key":"X"},"summary":"s","issuetype":{"name":"Bug"}}})").status == 400);
    CHECK(post("").status == 400);
    CHECK(a.site(0).issue_count() == 51);
}

TEST_CASE("mock app: pages of a search meet every issue once") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    std::string token;
    std::size_t issues = 0;
    int pages = 0;
    do {
        std::string body = R"({"jql":"project = PROJ","maxResults":15,"fields":["summary"])";
        if (!token.empty()) body += R"(,"nextPageToken":")" + token + '"';
        reply const r = ask("POST", host_of(a, c), "/rest/api/3/search/jql").basic(c).body(body + '}').of(a);
        REQUIRE(r.status == 200);
        for (std::size_t at = 0; (at = r.body.find("\"key\":\"PROJ-", at)) != std::string::npos; ++at) ++issues;
        std::string const key = "\"nextPageToken\":\"";
        auto const at = r.body.find(key);
        token = at == std::string::npos
                    ? ""
                    : r.body.substr(at + key.size(), r.body.find('"', at + key.size()) - at - key.size());
        CHECK(has(r.body, token.empty() ? "\"isLast\":true" : "\"isLast\":false"));
        ++pages;
    } while (!token.empty() && pages < 10);
    CHECK(pages == 4);
    CHECK(issues == 50);
}

TEST_CASE("mock app: a search needs JQL, and a page token of its own query") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    auto const get = [&](std::string const& query) {
        return ask("GET", host_of(a, c), "/rest/api/3/search/jql?" + query).basic(c).of(a);
    };
    reply const first = get("jql=project%3DPROJ&maxResults=1&fields=key");
    CHECK(has(first.body, R"("key":"PROJ-1")"));
    auto const at = first.body.find("\"nextPageToken\":\"") + 17;
    std::string const token = first.body.substr(at, first.body.find('"', at) - at);
    CHECK(has(get("jql=project%3DPROJ&maxResults=1&nextPageToken=" + token).body, R"({"id":"10002"})"));
    CHECK(get("jql=project%3DOTHER&nextPageToken=" + token).status == 400);
    CHECK(get("jql=project%3DPROJ&nextPageToken=x").status == 400);
    CHECK(get("maxResults=1").status == 400);
    CHECK(get("jql=a&maxResults=x").status == 400);
}

TEST_CASE("mock app: the old search is gone, and a GET with a body does not pass the edge") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    CHECK(ask("GET", host_of(a, c), "/rest/api/3/search?jql=x").basic(c).of(a).status == 410);
    reply const r = ask("GET", host_of(a, c), "/rest/api/3/myself").basic(c).body("{}").of(a);
    CHECK(r.status == 400);
    CHECK(has(r.body, "ERROR: The request could not be satisfied"));
    CHECK(has(r.body, "Generated by cloudfront"));
    CHECK(ask("GET", host_of(a, c), '/' + std::string(9000, 'x')).basic(c).of(a).status == 414);
}

TEST_CASE("mock app: a browser's write fails the XSRF check") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    ask put("PUT", host_of(a, c), "/rest/api/3/issue/PROJ-1");
    put.basic(c).body(R"({"fields":{}})");
    CHECK(put.of(a).status == 204);
    CHECK(put.with("user-agent", "Mozilla/5.0").of(a).status == 403);
}

TEST_CASE("mock app: webhooks live on the site and never show their secret") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    std::string const host = host_of(a, c);
    std::string const path = "/rest/webhooks/1.0/webhook";
    reply const made =
        ask("POST", host, path)
            .basic(c)
            .body(R"({"name":"n","url":"https://a.example/","events":["comment_created"],"secret":"hush"})")
            .of(a);
    CHECK(made.status == 201);
    CHECK(has(made.body, R"("self":"https://site-0001.atlassian.net/rest/webhooks/1.0/webhook/1")"));
    CHECK(has(made.body, R"("enabled":true,"isSigned":true)"));
    CHECK_FALSE(has(made.body, "hush"));
    reply const changed = ask("PUT", host, path + "/1").basic(c).body(R"({"enabled":false})").of(a);
    CHECK(changed.status == 200);
    CHECK(has(changed.body, R"("events":["comment_created"],"enabled":false,"isSigned":true)"));
    CHECK(ask("GET", host, path).basic(c).of(a).body == '[' + changed.body + ']');
    CHECK(ask("GET", host, path + "/2").basic(c).of(a).status == 404);
    CHECK(ask("POST", host, path).basic(c).body(R"({"name":"n"})").of(a).status == 400);
    CHECK(ask("DELETE", host, path + "/1").basic(c).of(a).status == 204);
    CHECK(a.site(0).webhook_count() == 0);

    connection_info const& service = *a.world().find("service-0001");
    reply const refused =
        ask("POST", "api.atlassian.com", gateway_path(a, service.site, path)).bearer(service.secret).body("{}").of(a);
    CHECK(refused.status == 404);
    stats const s = a.snapshot();
    CHECK(s.webhook_requests_personal == 6);
    CHECK(s.webhook_requests_service == 1);
    CHECK(s.webhook_requests_refused == 1);
}

TEST_CASE("mock app: only its own hosts are served, under the name of the handshake") {
    app a(small());
    CHECK(ask("GET", "site-0004.atlassian.net", "/").of(a).status == 404);
    CHECK(has(ask("GET", "example.com", "/").of(a).body, "Atlassian Cloud Notifications - Page Unavailable"));
    CHECK(ask("GET", "site-0001.atlassian.net", "/_edge/tenant_info").sni("site-0002.atlassian.net").of(a).status ==
          421);
    CHECK(a.snapshot().sni_mismatches == 1);
    CHECK(a.snapshot().unknown_host_requests == 2);
    CHECK(ask("GET", "site-0001.atlassian.net", "/_edge/tenant_info").of(a).body ==
          "{\"cloudId\":\"" + a.world().sites()[0].cloud_id + "\"}");
}

TEST_CASE("mock app: a personal token on another site is a violation, whatever the answer") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    CHECK(ask("GET", "site-0002.atlassian.net", "/rest/api/3/myself").basic(c).of(a).status == 401);
    CHECK(ask("GET", "site-0002.atlassian.net", "/rest/api/3/serverInfo").basic(c).of(a).status == 200);
    CHECK(ask("GET", "api.atlassian.com", gateway_path(a, 0, "/rest/api/3/myself")).basic(c).of(a).status == 401);
    CHECK(ask("GET", "example.com", "/").basic(c).of(a).status == 404);
    CHECK(a.snapshot().isolation_violations == 4);
}

TEST_CASE("mock app: a replaced secret counts from now on, and the old one is still known") {
    app a(small());
    connection_info c = *a.world().find("oauth-0001");
    std::size_t const index = 6;
    REQUIRE(a.world().connections()[index].id == c.id);
    a.auth().replace_secret(index, "ATOAnew");
    CHECK(exchange(c).of(a).status == 401);
    CHECK(a.snapshot().isolation_violations == 0);
    c.secret = "ATOAnew";
    CHECK(exchange(c).of(a).status == 200);
}

TEST_CASE("mock app: faults come at about their rate, and after the limits") {
    params p = small();
    p.burst_get = 1000;
    p.faulty.error_rate = 0.5;
    p.faulty.token_error_rate = 1;
    p.faulty.latency = 20ms;
    p.faulty.latency_jitter = 10ms;
    p.faulty.token_latency = 70ms;
    app a(p);
    connection_info const& c = *a.world().find("personal-0001");
    int errors = 0;
    for (int i = 0; i < 1000; ++i) {
        reply const r = ask("GET", host_of(a, c), "/rest/api/3/myself").basic(c).of(a);
        CHECK(r.delay >= 20ms);
        CHECK(r.delay <= 30ms);
        if (r.status == 503) ++errors;
    }
    CHECK(errors > 400);
    CHECK(errors < 600);
    CHECK(a.snapshot().injected_errors == static_cast<std::uint64_t>(errors));
    CHECK(a.snapshot().bucket_admitted == 1000);
    reply const token = exchange(*a.world().find("oauth-0001")).of(a);
    CHECK(token.status == 503);
    CHECK(token.delay == 70ms);
}

TEST_CASE("mock app: an intercept comes first, and what it throws is shown") {
    params p = small();
    p.intercept = [](request_view const& r) -> std::optional<scripted_reply> {
        if (r.target == "/throw") throw std::runtime_error("oops");
        if (r.header("X-Script").empty()) return std::nullopt;
        return scripted_reply(299, std::string(r.body));
    };
    app a(p);
    reply const r = ask("POST", "site-0001.atlassian.net", "/x").with("x-script", "1").body("b").of(a);
    REQUIRE(r.scripted);
    CHECK(r.scripted->status == 299);
    CHECK(r.scripted->body == "b");
    CHECK(ask("GET", "site-0001.atlassian.net", "/_edge/tenant_info").of(a).status == 200);
    reply const thrown = ask("GET", "site-0001.atlassian.net", "/throw").of(a);
    REQUIRE(thrown.scripted);
    CHECK(thrown.scripted->status == 500);
    CHECK(has(thrown.scripted->body, "oops"));
    CHECK(a.snapshot().intercepted == 2);
    a.settings().set_intercept({});
    CHECK_FALSE(ask("GET", "site-0001.atlassian.net", "/throw").of(a).scripted);
}

TEST_CASE("mock app: statistics are JSON") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    ask("GET", host_of(a, c), "/rest/api/3/myself").basic(c).of(a);
    std::string const text = to_json(a.snapshot());
    CHECK(has(text, R"({"requests":{"total":1,"site":1,)"));
    CHECK(has(text, R"("by_status":{"200":1},"by_route":{"GET /rest/api/{version}/myself":1})"));
    CHECK(has(text, R"("isolation_violations":0)"));
}

}  // namespace
