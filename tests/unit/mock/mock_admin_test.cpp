#include "support/catch.hpp"

#include "admin.hpp"

#include <string>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

reply ask(app& a, std::string const& line) { return answer_admin(a, line + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); }

bool has(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

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
    reply const before = ask(a, "GET /stats");
    CHECK(before.status == 200);
    CHECK(before.content_type == "application/json");
    CHECK(has(before.body, R"("requests":{"total":1,"site":1,)"));
    CHECK(ask(a, "POST /reset").status == 204);
    CHECK(has(ask(a, "GET /stats").body, R"("requests":{"total":0,"site":0,)"));
}

TEST_CASE("mock admin: connections and touched buckets are listed one a line") {
    app a{params()};
    CHECK(ask(a, "GET /buckets").body == "[]\n");
    request_view r;
    r.method = "GET";
    r.target = "/rest/api/3/issue/PROJ-1";
    r.host = r.sni = a.world().sites()[1].host;
    a.handle(r, instant{});
    CHECK(ask(a, "GET /buckets").body ==
          R"([{"site":"site-0002.atlassian.net","route":"GET /rest/api/{version}/issue/{issueIdOrKey}","rate":150,)"
          "\"admitted\":1,\"refused\":0,\"span_s\":0,\"permitted\":0}]\n");
    std::string const connections = ask(a, "GET /connections").body;
    CHECK(connections.starts_with(R"([{"id":"personal-0001","requests":0,"limited":0,"refreshes":0,"exchanges":0,)"));
    CHECK(has(connections, ",\n{\"id\":\"oauth-0002\","));
}

TEST_CASE("mock admin: faults change by name, and those not named stay") {
    app a{params()};
    CHECK(ask(a, "POST /faults?latency_ms=100&error_rate=0.25").status == 204);
    CHECK(ask(a, "POST /faults?latency_jitter_ms=5&token_latency_ms=7&token_error_rate=1&close_rate=0.5").status ==
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
        reply const r = ask(a, std::string("POST /faults?") + wrong);
        CHECK(r.status == 400);
        CHECK(r.content_type == "text/plain");
        CHECK_FALSE(r.body.empty());
        CHECK(a.settings().get_faults().error_rate == 0);
        CHECK(a.settings().get_faults().latency == 0ms);
    }
    CHECK(ask(a, "POST /faults?error_rate=2").body == "faults::error_rate must be 0 to 1\n");
}

TEST_CASE("mock admin: anything else is told what there is") {
    app a{params()};
    for (char const* const line : {"GET /", "POST /stats", "GET /faults?latency_ms=1", "", "rubbish"}) {
        INFO(line);
        reply const r = ask(a, line);
        CHECK(r.status == 404);
        CHECK(has(r.body, "GET /stats"));
    }
    CHECK(answer_admin(a, "").status == 404);
}

}  // namespace
