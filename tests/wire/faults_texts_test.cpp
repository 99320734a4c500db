// What is said to edges and servers, and what they say, beyond what the documents promise: over real TLS.
#include "gateway.hpp"
#include "support/compressed.hpp"

#include <jirapool/pool/webhooks.hpp>

#include <algorithm>
#include <mutex>

using namespace jirapool;
using namespace jirapool::wire_test;
using jirapool::test::brotlied;
using jirapool::test::gzipped;

namespace {

std::uint64_t channels_opened(connections const& jira) { return jira.totals().channels_opened; }

/// The gateway, the token endpoint and a site in one: one answer for each target that begins so, and what was asked for.
class edge {
public:
    using answers = std::vector<std::pair<std::string, std::string>>;

    explicit edge(answers a)
        : answers_(std::move(a)),
          ca_(test_authority().pem()),
          server_(
              identity_of_all(),
              [this](tls_peer& p) {
                  if (!p.handshake()) return;
                  http_peer peer(p);
                  while (auto const request = peer.read_request())
                      if (!peer.write(answer(*request))) return;
              },
              TLS1_2_VERSION, TLS1_3_VERSION, choose_version_of_this_run) {
        params.tls.ca_file = ca_.path();
        params.wire.http = http_of_this_run();
        params.connect_to.push_back({"", "127.0.0.1", server_.port()});
        params.limits.mode = limiting::off;
    }

    /// The head of the last request that began so, with its target.
    std::string head(std::string const& begin) const {
        std::lock_guard const lock(mutex_);
        for (auto r = requests_.rbegin(); r != requests_.rend(); ++r)
            if (r->find(" " + begin) != r->npos) return r->substr(0, r->find("\r\n\r\n") + 2);
        return {};
    }

    client_params params;

private:
    static identity const& identity_of_all() {
        static identity const leaf = make_certificate(
            {.name = "leaf", .alt_names = "DNS:api.atlassian.com,DNS:auth.atlassian.com,DNS:" + std::string(test_host)},
            &test_authority());
        return leaf;
    }

    std::string answer(std::string const& request) {
        std::lock_guard const lock(mutex_);
        requests_.push_back(request);
        for (auto const& [target, bytes] : answers_)
            if (request.find(" " + target) < request.find("\r\n")) return bytes;
        return sized("{}", "Content-Type: application/json\r\n");
    }

    answers answers_;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    ca_file ca_;
    tls_server server_;
};

connection oauth_of(connections& jira) {
    return jira.add("oauth", service_oauth("11111111-2222-3333-4444-555555555555", "client", secret("s"))).value();
}
connection personal_of(connections& jira) {
    return jira.add("personal", personal_api_token("https://" + std::string(test_host), "a@acme.example", secret("k")))
        .value();
}

std::string const mark = "\xef\xbb\xbf";

}  // namespace

TEST_CASE("faults: B4 a token's answer is asked for as it is, and read compressed all the same") {
    std::string const good = R"({"access_token":"abc.def","expires_in":3600,"token_type":"Bearer"})";
    struct {
        std::string bytes;
        errc ends;
    } const cases[] = {
        {sized(gzipped(good), "Content-Encoding: gzip\r\n"), errc{}},
        {sized(brotlied(good), "Content-Encoding: br\r\n"), errc{}},
        {sized(gzipped(mark + good), "Content-Encoding: gzip\r\n", 201), errc{}},
        {sized(gzipped(R"({"error":"access_denied"})"), "Content-Encoding: gzip\r\n", 401), errc::credential_refused},
        {sized(R"({"message":"Request blocked"})", "", 403), errc::token_unavailable},
    };
    for (auto const& c : cases) {
        edge e({{"/oauth/token", c.bytes}});
        e.params.tokens.backoff = e.params.tokens.backoff_max = 60s;
        runtime jira(1, e.params);
        auto const r = call(oauth_of(jira), request::get("/rest/api/3/myself").timeout(10s));
        INFO((r ? std::string("answered") : r.error().describe()));
        CHECK(r.has_value() == (c.ends == errc{}));
        if (r) CHECK(header_of(e.head("/ex/jira/"), "Authorization") == "Bearer abc.def");
        else CHECK(r.error().code() == c.ends);
        CHECK(header_of(e.head("/oauth/token"), "Accept-Encoding") == "identity");
    }
}

TEST_CASE("faults: C4 what the library offers of compression fits what is asked for") {
    edge e({});
    auto const asked = [&](bool compression, request r) {
        e.params.wire.compression = compression;
        runtime jira(1, e.params);
        auto const answer = call(personal_of(jira), std::move(r));
        REQUIRE(answer.has_value());
        return header_of(e.head("/rest/"), "Accept-Encoding");
    };
    for (bool const compression : {true, false}) {
        std::string const usual = compression ? "gzip, br" : "identity";
        CHECK(asked(compression, request::get("/rest/x")) == usual);
        CHECK(asked(compression, request::post("/rest/x").json("{}")) == usual);
        CHECK(asked(compression, request::get("/rest/x").header("If-None-Match", "\"a\"")) == usual);
        CHECK(asked(compression, request::get("/rest/x").header("RANGE", "bytes=40-")) == "identity");
        CHECK(asked(compression, request::get("/rest/x").header("Range", "bytes=40-").header("If-Range", "\"a\"")) ==
              "identity");
        CHECK(asked(compression, request::head("/rest/x")) == "identity");
        CHECK(asked(compression, request::get("/rest/x").header("accept-encoding", "br").header("Range", "bytes=1-")) ==
              "br");
    }
}

TEST_CASE("faults: C4 a part that comes coded is delivered as it came, over real TLS") {
    auto const part = gzipped(noise(2000)).substr(40, 500);
    edge e({{"/ex/jira/", sized(part, "Content-Encoding: gzip\r\nContent-Range: bytes 40-539/2023\r\n", 206)}});
    runtime jira(1, e.params);
    auto const c = gateway::of(jira);
    auto const r = call(c, request::get("/rest/x").header("Range", "bytes=40-539"));
    REQUIRE(r.has_value());
    CHECK(r->status() == 206);
    CHECK(std::string_view(r->body()) == part);
    CHECK(r->header("content-encoding") == "gzip");
}

TEST_CASE("faults: B4 what comes compressed though it was not asked for is delivered as what it is") {
    edge e({{"/ex/jira/", sized(gzipped("words"), "Content-Encoding: gzip\r\n")}});
    e.params.wire.compression = false;
    runtime jira(1, e.params);
    auto const r = call(gateway::of(jira), request::get("/rest/x"));
    REQUIRE(r.has_value());
    CHECK(std::string_view(r->body()) == "words");
}

TEST_CASE("faults: C6 what a server says it did not act on is sent again, on another channel") {
    // Over HTTP/2 a server that closes says so by GOAWAY, and its 408 is an answer like others.
    std::string const late = sized("", "Connection: close\r\n", 408);
    struct {
        char const* what;
        std::vector<act> acts;
        request asked;
        int status;
        std::uint64_t channels;
        std::size_t requests;
        bool closes = false;
    } cases[] = {
        {"408 on a channel that served before",
         {says(sized("1")), says(late), says(sized("2"))},
         request::get("/rest/x"),
         200,
         2,
         3,
         true},
        {"a POST",
         {says(sized("1")), says(late), says(sized("2"))},
         request::post("/rest/x").json("{}"),
         200,
         2,
         3,
         true},
        {"408 on a new channel",
         {says(late), says(sized("2")), says(sized("3"))},
         request::get("/rest/x"),
         200,
         2,
         3,
         true},
        {"421", {says(sized("1")), says(sized("", "", 421)), says(sized("2"))}, request::get("/rest/x"), 200, 2, 3},
        {"421 of a POST",
         {says(sized("1")), says(sized("", "", 421)), says(sized("2"))},
         request::post("/rest/x").json("{}"),
         200,
         2,
         3},
        {"425",
         {says(sized("1")), says(sized("", "", 425)), says(sized("2"))},
         request::patch("/rest/x").json("{}"),
         200,
         2,
         3},
        {"408 that closes nothing", {says(sized("1")), says(sized("", "", 408))}, request::get("/rest/x"), 408, 1, 2},
    };
    for (auto& c : cases) {
        INFO(c.what);
        gateway g(c.acts);
        runtime jira(1, g.params);
        auto const connection = gateway::of(jira);
        auto const first = call(connection, request::get("/rest/first"));
        REQUIRE(first.has_value());
        if (over_http2() && c.closes) {
            auto const second = call(connection, std::move(c.asked));
            REQUIRE(second.has_value());
            CHECK((first->status() == 408) != (second->status() == 408));
            CHECK(g.requests() == 2);
            continue;
        }
        CHECK(first->status() == 200);
        auto const r = call(connection, std::move(c.asked));
        INFO((r ? std::string("answered") : r.error().describe()));
        REQUIRE(r.has_value());
        CHECK(r->status() == c.status);
        CHECK(g.requests() == c.requests);
        CHECK(channels_opened(jira) == c.channels);
    }
    // On a new channel an application may have waited in vain for something behind it: a write is not sent again.
    gateway g({says(late), says(sized("2"))});
    runtime jira(1, g.params);
    auto const r = call(gateway::of(jira), request::post("/rest/x").json("{}"));
    REQUIRE(r.has_value());
    CHECK(r->status() == 408);
    CHECK(g.requests() == 1);
}

TEST_CASE("faults: C10 a write without a body says what type it would have, and that it has none") {
    edge e({});
    runtime jira(1, e.params);
    auto const c = personal_of(jira);
    struct {
        request asked;
        char const* type;
        char const* length;
    } cases[] = {
        {request::post("/rest/api/3/issue/A-1/votes"), "application/json", "0"},
        {request::put("/rest/x"), "application/json", "0"},
        {request::patch("/rest/x"), "application/json", "0"},
        {request::post("/rest/x").json(""), "application/json", "0"},
        {request::post("/rest/x").json("{}"), "application/json", "2"},
        {request::post("/rest/x").body("", "text/plain"), "text/plain", "0"},
        {request::post("/rest/x").header("Content-Type", "text/plain"), "text/plain", "0"},
        {request::delete_("/rest/x"), "", ""},
        {request::get("/rest/x"), "", ""},
        {request::head("/rest/x"), "", ""},
    };
    for (auto& row : cases) {
        auto const name = std::string(to_string(row.asked.method())) + " " + row.asked.target();
        INFO(name);
        REQUIRE(call(c, std::move(row.asked)).has_value());
        auto const head = e.head("/rest/");
        CHECK(head.starts_with(name));
        CHECK(header_of(head, "Content-Type") == row.type);
        CHECK(header_of(head, "Content-Length") == row.length);
    }
}

TEST_CASE("faults: C3 a Retry-After that nobody can read is counted") {
    gateway g({says(sized("", "Retry-After: soon\r\n", 429)), says(sized("", "Retry-After: 3.5\r\n", 429))});
    g.params.retries.max_limited = 0;
    runtime jira(1, g.params);
    auto const c = gateway::of(jira);
    for (int i = 0; i < 2; ++i) CHECK(call(c, request::get("/rest/x"))->status() == 429);
    CHECK(sum(jira, &shard_stats::retry_after_unreadable) == 1);
}

TEST_CASE("faults: B5 webhooks' answers may begin with a byte order mark") {
    std::string const hook =
        R"({"self":"https://site.atlassian.net/rest/webhooks/1.0/webhook/7","name":"n","events":[]})";
    struct {
        std::string bytes;
        bool good;
    } const cases[] = {
        {sized(mark + hook), true},
        {sized(mark + R"({"errorMessages":["no such thing"]})", "", 400), false},
        {sized(mark + R"({"message":"no such thing"})", "", 400), false},
    };
    for (auto const& c : cases) {
        edge e({{"/rest/webhooks", c.bytes}});
        runtime jira(1, e.params);
        asio::io_context io;
        auto made = asio::co_spawn(
            io, create_webhook(personal_of(jira), {"n", "https://hooks.acme.example/x?u=a@b", {"a:b"}}),
            asio::use_future);
        io.run();
        auto const r = made.get();
        INFO((r ? std::string("made") : r.error().describe()));
        REQUIRE(r.has_value() == c.good);
        if (r) CHECK(r->id == "7");
        else CHECK(r.error().rule().find("no such thing") != std::string::npos);
    }
    edge e({{"/rest/webhooks", sized(mark + "[" + hook + "]")}});
    runtime jira(1, e.params);
    asio::io_context io;
    auto listed = asio::co_spawn(io, list_webhooks(personal_of(jira)), asio::use_future);
    io.run();
    auto const r = listed.get();
    REQUIRE(r.has_value());
    CHECK(r->size() == 1);
}

TEST_CASE("faults: D11 a callback URL that is none is refused before anything is sent, and its rule named") {
    edge e({});
    runtime jira(1, e.params);
    asio::io_context io;
    webhook_spec spec("n", "https://hooks.acme.example:99999/jira", {"a:b"});
    auto made = asio::co_spawn(io, create_webhook(personal_of(jira), std::move(spec)), asio::use_future);
    io.run();
    auto const r = made.get();
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::invalid_argument);
    CHECK(r.error().field() == "callback_url");
    CHECK(r.error().rule().find("port") != std::string::npos);
    CHECK(e.head("/rest/webhooks").empty());
}
