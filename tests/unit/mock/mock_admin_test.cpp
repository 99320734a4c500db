#include "support/catch.hpp"

#include "admin.hpp"
#include "unit/mock/ask.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

class port_stub final : public api_port {
public:
    void take_down() override { is_up = false; }
    std::string bring_up() override {
        if (problem.empty()) is_up = true;
        return problem;
    }
    void play_now(http2_step const& s) override { played.push_back(s); }
    void set_http2(http2_settings s) override { http2 = s; }

    bool is_up = true;
    std::vector<http2_step> played;
    http2_settings http2;
    std::string problem;
};

class outbox_stub final : public outbox {
public:
    void send(delivery_round round) override { sent.push_back(std::move(round)); }

    std::vector<delivery_round> sent;
};

reply order(app& a, port_stub& port, std::string const& line, std::string_view body = {}) {
    outbox_stub mail;
    return answer_admin(a, port, mail, line + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", body, t0);
}
reply order(app& a, std::string const& line, std::string_view body = {}) {
    port_stub port;
    return order(a, port, line, body);
}

/// 204, as what changes something answers, or the line that says what is wrong with it.
std::string outcome(reply const& r) {
    if (r.status == 204) return "done";
    return r.content_type == "text/plain" && r.body.ends_with('\n') ? std::to_string(r.status) + ' ' + r.body : "?";
}

int status_of_myself(app& a, connection_info const& c) {
    return ask("GET", host_of(a, c), "/rest/api/3/myself").basic(c).of(a).status;
}

/// One GET of tenant_info, which no credential and no bucket has to do with.
void visit_once(app& a) {
    request_view r;
    r.method = "GET";
    r.target = "/_edge/tenant_info";
    r.host = r.sni = a.world().sites()[0].host;
    a.handle(r, instant{});
}

TEST_CASE("mock admin: counters are shown as JSON and become 0 when asked") {
    app a{params()};
    visit_once(a);
    reply const before = order(a, "GET /stats");
    CHECK(before.status == 200);
    CHECK(before.content_type == "application/json");
    CHECK(has(before.body, R"("requests":{"total":1,"site":1,)"));
    CHECK(order(a, "POST /reset").status == 204);
    CHECK(has(order(a, "GET /stats").body, R"("requests":{"total":0,"site":0,)"));
}

TEST_CASE("mock admin: connections and touched buckets are listed one a line") {
    app a{params()};
    CHECK(order(a, "GET /buckets").body == "[]\n");
    request_view r;
    r.method = "GET";
    r.target = "/rest/api/3/issue/PROJ-1";
    r.host = r.sni = a.world().sites()[1].host;
    a.handle(r, instant{});
    CHECK(order(a, "GET /buckets").body ==
          R"([{"site":"site-0002.atlassian.net","route":"GET /rest/api/{version}/issue/{issueIdOrKey}","rate":150,)"
          "\"admitted\":1,\"refused\":0,\"span_s\":0,\"permitted\":0}]\n");
    std::string const connections = order(a, "GET /connections").body;
    CHECK(connections.starts_with(R"([{"id":"personal-0001","requests":0,"limited":0,"refreshes":0,"exchanges":0,)"));
    CHECK(has(connections, ",\n{\"id\":\"oauth-0002\","));
}

TEST_CASE("mock admin: faults change by name, and those not named stay") {
    app a{params()};
    CHECK(order(a, "POST /faults?latency_ms=100&error_rate=0.25").status == 204);
    CHECK(order(a, "POST /faults?latency_jitter_ms=5&token_latency_ms=7&token_error_rate=1&close_rate=0.5").status ==
          204);
    faults const f = a.settings().get_faults();
    CHECK(f.latency == 100ms);
    CHECK(f.latency_jitter == 5ms);
    CHECK(f.token_latency == 7ms);
    CHECK(f.error_rate == 0.25);
    CHECK(f.token_error_rate == 1);
    CHECK(f.close_rate == 0.5);
}

TEST_CASE("mock admin: faults that are none change nothing and are named") {
    app a{params()};
    for (char const* const wrong : {"error_rate=2", "latency_ms=-1", "latency_ms=x", "latency_ms=", "close_rate=nan",
                                    "latency_ms=1e300", "error_rate=0.5&token_error_rate=1.5", "nonsense=1", "=1",
                                    "latency_ms=1&latency_ms=2", "latency_ms=1&eror_rate=1"}) {
        INFO(wrong);
        reply const r = order(a, std::string("POST /faults?") + wrong);
        CHECK(r.status == 400);
        CHECK(r.content_type == "text/plain");
        CHECK_FALSE(r.body.empty());
        CHECK(a.settings().get_faults().error_rate == 0);
        CHECK(a.settings().get_faults().latency == 0ms);
    }
    CHECK(order(a, "POST /faults?error_rate=2").body == "faults::error_rate must be 0 to 1\n");
    CHECK(order(a, "POST /faults?eror_rate=1").body == "eror_rate: there is no such field here\n");
    CHECK(order(a, "POST /faults?close_rate=0&close_rate=1").body == "close_rate: it is there twice\n");
    CHECK(order(a, "POST /faults?latency_ms=x").body == "latency_ms: must be a number from 0 to 1000000000\n");
}

TEST_CASE("mock admin: scenes are listed one a line, played by name and ended") {
    app a(small());
    connection_info const& first = *a.world().find("personal-0001");
    connection_info const& second = *a.world().find("personal-0002");
    std::string const list = order(a, "GET /scenes").body;
    CHECK(list.starts_with(
        R"([{"name":"anonymous","status":200,"where":"jira","imitates":"a bad API token where anybody )"
        "may ask\",\"playing\":0},\n"));
    CHECK(std::count(list.begin(), list.end(), '\n') == static_cast<std::ptrdiff_t>(scene_count));
    CHECK(has(list, R"("name":"token_html_502","status":502,"where":"token_endpoint")"));

    CHECK(outcome(order(a, "POST /scene?name=limited_burst&site=site-0001.atlassian.net&times=1&seconds=9")) == "done");
    CHECK(outcome(order(a, "POST /scene?name=forbidden&connection=personal-0002")) == "done");
    CHECK(has(order(a, "GET /scenes").body, R"("imitates":"requests a second to one route","playing":1)"));
    reply const limited = ask("GET", host_of(a, first), "/rest/api/3/myself").basic(first).of(a);
    CHECK(limited.status == 429);
    CHECK(has(limited.headers, "Retry-After: 9\r\n"));
    CHECK(status_of_myself(a, first) == 200);
    CHECK(status_of_myself(a, second) == 403);
    CHECK(status_of_myself(a, second) == 403);
    CHECK(outcome(order(a, "DELETE /scenes")) == "done");
    CHECK(status_of_myself(a, second) == 200);
}

TEST_CASE("mock admin: faults of HTTP/2 are listed one a line, played by name and ended") {
    app a(small());
    std::string const list = order(a, "GET /http2_faults").body;
    CHECK(list.starts_with(
        R"([{"name":"refuse","does":"REFUSED_STREAM: the request is not touched","now":false,"playing":0},)"
        "\n"));
    CHECK(std::count(list.begin(), list.end(), '\n') == static_cast<std::ptrdiff_t>(http2_fault_count));
    CHECK(outcome(order(a, "POST /http2_fault?name=reset&code=11&every=2&times=1")) == "done");
    CHECK(outcome(order(a, "POST /http2_fault?name=slow_body&size=7&count=9&wait_ms=5")) == "done");
    CHECK(has(order(a, "GET /http2_faults").body, R"("name":"reset","does":"RST_STREAM with a code in place of the )"
                                                  R"(answer","now":false,"playing":1})"));
    auto const first = a.http2_script().next();
    REQUIRE(first);
    CHECK(first->what == http2_fault::slow_body);
    CHECK(first->size == 7);
    CHECK(first->count == 9);
    CHECK(first->wait == 5ms);
    auto const second = a.http2_script().next();
    REQUIRE(second);
    CHECK(second->what == http2_fault::reset);
    CHECK(second->code == http2_error::enhance_your_calm);
    CHECK(outcome(order(a, "DELETE /http2_faults")) == "done");
    CHECK_FALSE(a.http2_script().next());
}

TEST_CASE("mock admin: open HTTP/2 connections are told faults and settings") {
    app a(small());
    port_stub port;
    CHECK(outcome(order(a, port, "POST /http2_fault_now?name=goaway_error&code=2")) == "done");
    REQUIRE(port.played.size() == 1);
    CHECK(port.played[0].what == http2_fault::goaway_error);
    CHECK(port.played[0].code == http2_error::internal_error);
    CHECK(outcome(order(a, port,
                        "POST /http2?max_concurrent_streams=1&initial_window=2&header_table=3&max_frame=16385&"
                        "index_headers=0")) == "done");
    CHECK(port.http2.max_concurrent_streams == 1);
    CHECK(port.http2.initial_window == 2);
    CHECK(port.http2.header_table == 3);
    CHECK(port.http2.max_frame == 16'385);
    CHECK_FALSE(port.http2.index_headers);
}

TEST_CASE("mock admin: a fault of HTTP/2 that cannot be played is refused with the field and its rule") {
    app a(small());
    auto const refused = [&](std::string const& line) { return outcome(order(a, "POST /http2" + line)); };
    CHECK(refused("_fault?name=x") == "400 name: must be a fault's, as GET /http2_faults lists them\n");
    CHECK(refused("_fault?name=refuse&every=0") == "400 every: must be a whole number from 1 to 1000000000\n");
    CHECK(refused("_fault?name=reset&code=14") == "400 code: must be a whole number from 0 to 13\n");
    CHECK(refused("_fault?name=padding&size=256") == "400 http2_step::size must be at most 255 for padding\n");
    CHECK(refused("_fault?name=slow_body&wait_ms=0") == "400 http2_step::wait must be 1 ms to 10 min\n");
    CHECK(refused("_fault_now?name=padding&size=1") == "400 http2_step::what needs a request\n");
    CHECK(refused("_fault_now?name=goaway&times=1") == "400 times: there is no such field here\n");
    CHECK(refused("?initial_window=2147483648") == "400 http2_settings::initial_window must be at most 2147483647\n");
    CHECK(refused("?max_frame=1") == "400 http2_settings::max_frame must be 16,384 to 16,777,215\n");
    CHECK(outcome(order(a, "DELETE /http2_faults?x=1")) == "400 x: there is no such field here\n");
}

TEST_CASE("mock admin: a scene that cannot be played is refused with the field and its rule") {
    app a(small());
    auto const wrong = [&](std::string const& query) { return outcome(order(a, "POST /scene?" + query)); };
    std::string const no_name = "400 name: must be a scene's, as GET /scenes lists them\n";
    CHECK(wrong("") == no_name);
    CHECK(wrong("times=1") == no_name);
    CHECK(wrong("name=nonsense") == no_name);
    CHECK(wrong("name=xsrf&site=site-0004.atlassian.net") ==
          "400 site: must be a site's host, as site-0001.atlassian.net\n");
    CHECK(wrong("name=xsrf&site=") == "400 site: must be a site's host, as site-0001.atlassian.net\n");
    CHECK(wrong("name=xsrf&connection=personal-1") ==
          "400 connection: must be a connection's id, as GET /connections lists them\n");
    CHECK(wrong("name=xsrf&times=0") == "400 times: must be a whole number from 1 to 1000000000\n");
    CHECK(wrong("name=xsrf&times=-1") == "400 times: must be a whole number from 1 to 1000000000\n");
    CHECK(wrong("name=xsrf&seconds=86401") == "400 seconds: must be a whole number from 0 to 86400\n");
    CHECK(wrong("name=xsrf&seconds=1.5") == "400 seconds: must be a whole number from 0 to 86400\n");
    CHECK(wrong("name=xsrf&time=1") == "400 time: there is no such field here\n");
    CHECK(wrong("name=xsrf&connection=personal-0001&site=site-0002.atlassian.net") ==
          "400 scene_request::site must be the connection's\n");
    CHECK(outcome(order(a, "DELETE /scenes?name=xsrf")) == "400 name: there is no such field here\n");
    CHECK(a.stage().playing_count() == 0);
}

TEST_CASE("mock admin: a revoked credential is refused, and the access tokens that it got") {
    app a(small());
    connection_info const& personal = *a.world().find("personal-0001");
    connection_info const& service = *a.world().find("service-0001");
    connection_info const& oauth = *a.world().find("oauth-0001");
    auto const through_gateway = [&](connection_info const& c, std::string const& token) {
        return ask("GET", "api.atlassian.com", gateway_path(a, c.site, "/rest/api/3/myself"))
            .bearer(token)
            .of(a)
            .status;
    };
    std::string const token = token_of(exchange(oauth).of(a));
    CHECK(status_of_myself(a, personal) == 200);
    CHECK(through_gateway(service, service.secret) == 200);
    CHECK(through_gateway(oauth, token) == 200);
    for (connection_info const& c : {personal, service, oauth}) {
        CHECK(outcome(order(a, "POST /revoke?connection=" + c.id)) == "done");
    }
    CHECK(status_of_myself(a, personal) == 401);
    CHECK(through_gateway(service, service.secret) == 401);
    CHECK(through_gateway(oauth, token) == 401);
    CHECK(exchange(oauth).of(a).status == 401);
    CHECK(status_of_myself(a, *a.world().find("personal-0002")) == 200);
    // It is still known whose it is.
    CHECK(a.snapshot().isolation_violations == 0);
}

TEST_CASE("mock admin: revoked access tokens are refused while the client secret gets new ones") {
    app a(small());
    connection_info const& c = *a.world().find("oauth-0001");
    std::string const token = token_of(exchange(c).of(a));
    CHECK(outcome(order(a, "POST /revoke_tokens?connection=oauth-0001")) == "done");
    CHECK(ask("GET", "api.atlassian.com", gateway_path(a, c.site, "/rest/api/3/myself")).bearer(token).of(a).status ==
          401);
    std::string const newer = token_of(exchange(c).of(a, later(1ms)));
    CHECK(ask("GET", "api.atlassian.com", gateway_path(a, c.site, "/rest/api/3/myself"))
              .bearer(newer)
              .of(a, later(2ms))
              .status == 200);
    CHECK(outcome(order(a, "POST /revoke_tokens?connection=service-0001")) ==
          "400 connection: must be an OAuth connection, as no other has access tokens\n");
    CHECK(outcome(order(a, "POST /revoke_tokens")) == "400 connection: must be told\n");
    CHECK(outcome(order(a, "POST /revoke?connection=x")) ==
          "400 connection: must be a connection's id, as GET /connections lists them\n");
}

TEST_CASE("mock admin: a new secret comes in the body, and then the old one is refused") {
    app a(small());
    connection_info c = *a.world().find("personal-0001");
    CHECK(outcome(order(a, "POST /revoke?connection=personal-0001")) == "done");
    std::string const replace = "POST /replace?connection=personal-0001";
    CHECK(outcome(order(a, replace, "ATATT3xnew=00000000")) == "done");
    CHECK(status_of_myself(a, c) == 401);
    c.secret = "ATATT3xnew=00000000";
    CHECK(status_of_myself(a, c) == 200);

    std::string const rule = "400 body: must be the new secret, visible ASCII characters and no end of line\n";
    for (std::string_view const bad : {"", "a\n", "a b", "a\x7f", "\xc3\xa4", "\t"}) {
        INFO(bad);
        CHECK(outcome(order(a, replace, bad)) == rule);
    }
    CHECK(outcome(order(a, replace, a.world().find("personal-0002")->secret)) ==
          "400 body: must not be another connection's secret\n");
    CHECK(outcome(order(a, replace + "&secret=s3cret", "x")) == "400 secret: there is no such field here\n");
    CHECK(outcome(order(a, "POST /replace", "x")) == "400 connection: must be told\n");
    CHECK(status_of_myself(a, c) == 200);
    CHECK(status_of_myself(a, *a.world().find("personal-0002")) == 200);
}

TEST_CASE("mock admin: one site's limits are lowered and put back, and what is not named stays") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    auto const level = [&](connection_info const& of) {
        return ask("GET", host_of(a, of), "/rest/api/3/myself").basic(of).of(a).headers;
    };
    CHECK(has(level(c), "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 99\r\n"));
    CHECK(outcome(order(a, "POST /limits?site=site-0001.atlassian.net&burst_scale=0.1")) == "done");
    CHECK(has(level(c), "X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 9\r\n"));
    CHECK(has(level(*a.world().find("personal-0002")), "X-RateLimit-Limit: 100\r\n"));
    CHECK(outcome(order(a, "POST /limits?site=site-0001.atlassian.net&quota_points=3")) == "done");
    std::string const both = level(c);
    CHECK(has(both, "X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 8\r\n"));
    CHECK(has(both, "RateLimit-Policy: \"tenant-app-quota\";q=3;w=3600\r\n"));
    level(c);
    level(c);
    CHECK(has(level(c), "RateLimit-Reason: jira-quota-tenant-based\r\n"));
    CHECK(outcome(order(a, "DELETE /limits?site=site-0001.atlassian.net")) == "done");
    std::string const back = level(c);
    CHECK(has(back, "X-RateLimit-Limit: 100\r\n"));
    CHECK_FALSE(has(back, "RateLimit-Policy"));
}

TEST_CASE("mock admin: others take from one site's buckets, those in use and those to come, until told otherwise") {
    app a(small());
    connection_info const& c = *a.world().find("personal-0001");
    auto const level = [&](char const* target, std::string_view remaining) {
        return has(ask("GET", host_of(a, c), target).basic(c).of(a).headers,
                   "X-RateLimit-Remaining: " + std::string(remaining) + "\r\n");
    };
    CHECK(level("/rest/api/3/myself", "99"));
    CHECK(outcome(order(a, "POST /limits?site=site-0001.atlassian.net&foreign_load=1")) == "done");
    CHECK(a.site(0).own_limits().foreign_load == 1.0);
    CHECK(level("/rest/api/3/myself", "98"));
    CHECK(level("/rest/api/3/myself", "97"));
    CHECK(outcome(order(a, "POST /limits?site=site-0001.atlassian.net&foreign_load=2")) ==
          "400 foreign_load: must be a number from 0 to 1\n");
    CHECK(outcome(order(a, "DELETE /limits?site=site-0001.atlassian.net")) == "done");
    CHECK_FALSE(a.site(0).own_limits().foreign_load);
}

TEST_CASE("mock admin: limits that are none change nothing and are named") {
    app a(small());
    auto const wrong = [&](std::string const& query) { return outcome(order(a, "POST /limits?" + query)); };
    std::string const site = "site=site-0001.atlassian.net";
    CHECK(wrong("burst_scale=1") == "400 site: must be told\n");
    CHECK(wrong(site) == "400 burst_scale: must be told, or quota_points, or foreign_load\n");
    CHECK(wrong(site + "&burst_scale=0") == "400 site_limits::burst_scale must be above 0, at most 1000\n");
    CHECK(wrong(site + "&burst_scale=nan") == "400 burst_scale: must be a number from 0 to 1000\n");
    CHECK(wrong(site + "&quota_points=1.5") == "400 quota_points: must be a whole number from 0 to 1000000000000\n");
    CHECK(wrong(site + "&burst=1") == "400 burst: there is no such field here\n");
    CHECK(outcome(order(a, "DELETE /limits")) == "400 site: must be told\n");
    CHECK_FALSE(a.site(0).own_limits().burst_scale);
    CHECK_FALSE(a.site(0).own_limits().quota_points);
}

TEST_CASE("mock admin: the API port is taken down and brought up, and why it stays down is told") {
    app a(small());
    port_stub port;
    CHECK(outcome(order(a, port, "POST /down")) == "done");
    CHECK_FALSE(port.is_up);
    port.problem = "cannot listen on 127.0.0.1:1: Address already in use";
    CHECK(outcome(order(a, port, "POST /up")) == "503 cannot listen on 127.0.0.1:1: Address already in use\n");
    port.problem.clear();
    CHECK(outcome(order(a, port, "POST /up")) == "done");
    CHECK(port.is_up);
    CHECK(outcome(order(a, port, "POST /down?now=1")) == "400 now: there is no such field here\n");
    CHECK(port.is_up);
}

TEST_CASE("mock admin: a body is as long as one Content-Length says, and at most 8 KiB") {
    auto const size = [](std::string const& lines) {
        reply refusal;
        auto const found = admin_body_size("POST /replace HTTP/1.1\r\n" + lines + "\r\n", refusal);
        return found ? std::to_string(*found) : outcome(refusal);
    };
    CHECK(size("") == "0");
    CHECK(size("Host: x\r\ncontent-LENGTH: \t12 \r\nX: y\r\n") == "12");
    CHECK(size("Content-Length: 8192\r\n") == "8192");
    CHECK(size("Content-Length: 8193\r\n") == "413 body: must be at most 8192 bytes\n");
    std::string const one = "400 Content-Length: must be one whole number\n";
    CHECK(size("Content-Length: 99999999999999999999\r\n") == one);
    CHECK(size("Content-Length: -1\r\n") == one);
    CHECK(size("Content-Length:\r\n") == one);
    CHECK(size("Content-Length: 1\r\nContent-Length: 1\r\n") == one);
    CHECK(size("Transfer-Encoding: chunked\r\n") == "411 body: must come with Content-Length\n");
}

TEST_CASE("mock admin: deliveries are made for the enabled webhooks of a site, and counted") {
    app a{params()};
    port_stub port;
    outbox_stub mail;
    auto const post = [&](std::string const& query) {
        return answer_admin(a, port, mail, "POST /deliver?" + query + " HTTP/1.1\r\n\r\n", "", t0);
    };
    std::string const site = "site=" + a.world().sites()[0].host;
    reply const none = post(site + "&port=9");
    CHECK(none.status == 202);
    CHECK(has(none.body, R"("events":0,)"));
    connection_info const& c = *a.world().find("personal-0001");
    REQUIRE(c.site == 0);
    ask hook("POST", host_of(a, c), "/rest/webhooks/1.0/webhook");
    hook.basic(c);
    for (char const* const more : {"", R"(,"enabled":false)"}) {
        hook.body(R"({"name":"n","url":"https://a.example/x","events":["jira:issue_created"])" + std::string(more) +
                  '}');
        REQUIRE(hook.of(a).status == 201);
    }
    reply const begun = post(site + "&port=9&events=10&repeats=1&disorder=3&issues=2&seed=5");
    CHECK(begun.body ==
          R"({"events":10,"repeats":10,"pending":20,"retries":0,"unanswered":0,"given_up":0,"answers":{}})"
          "\n");
    REQUIRE(mail.sent.size() == 1);
    CHECK(mail.sent[0].left() == 20);
    CHECK(mail.sent[0].port() == 9);
    a.deliveries().on_answer(200);
    a.deliveries().on_answer(500);
    a.deliveries().on_retry();
    a.deliveries().on_unanswered();
    a.deliveries().on_given_up();
    CHECK(
        answer_admin(a, port, mail, "GET /deliveries HTTP/1.1\r\n\r\n", "", t0).body ==
        R"({"events":10,"repeats":10,"pending":18,"retries":1,"unanswered":1,"given_up":1,"answers":{"200":1,"500":1}})"
        "\n");
    for (auto const& [query, problem] : std::initializer_list<std::pair<std::string, std::string>>{
             {"port=9", "site: must be told"},
             {site, "delivery_request::port must be 1 to 65,535"},
             {site + "&port=70000", "delivery_request::port must be 1 to 65,535"},
             {site + "&port=9&events=0", "delivery_request::events must be 1 to 100,000"},
             {site + "&port=9&issues=0", "delivery_request::issues must be 1 to 10,000"},
             {site + "&port=9&disorder=100001", "delivery_request::disorder must be 0 to 100,000"},
             {site + "&port=9&repeats=2", "repeats: must be a number from 0 to 1"},
             {site + "&port=9&count=2", "count: there is no such field here"}}) {
        CHECK(outcome(post(query)) == "400 " + problem + "\n");
    }
    CHECK(mail.sent.size() == 1);
}

TEST_CASE("mock admin: anything else is told what there is") {
    app a{params()};
    for (char const* const line : {"GET /", "POST /stats", "GET /faults?latency_ms=1", "", "rubbish"}) {
        INFO(line);
        reply const r = order(a, line);
        CHECK(r.status == 404);
        CHECK(has(r.body, "GET /stats"));
    }
    port_stub port;
    outbox_stub mail;
    CHECK(answer_admin(a, port, mail, "", "", t0).status == 404);
}

}  // namespace
