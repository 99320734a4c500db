#include "fixture.hpp"

#include <jirapool/pool/webhooks.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <mutex>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr char const* new_issue = R"({"fields":{"summary":"x","project":{"key":"PROJ"},"issuetype":{"name":"Task"}}})";

}  // namespace

TEST_CASE("call: each of the three kinds reaches its site and is answered as itself") {
    fixture f;
    runtime jira(1, f.params);
    for (auto const* const id : {"personal-0001", "service-0001", "oauth-0001"}) {
        INFO(id);
        auto const c = jira.add(f.config(id)).value();
        auto const r = call(c, request::get("/rest/api/3/myself"));
        REQUIRE(r.has_value());
        CHECK(r->status() == 200);
        CHECK(std::string_view(r->body()).find(f.jira.world().find(id)->account_id) != std::string_view::npos);
        CHECK_FALSE(r->trace_id().empty());
    }
    auto const s = f.jira.snapshot();
    CHECK(s.isolation_violations == 0);
    CHECK(s.sni_mismatches == 0);
    CHECK(s.unauthorized == 0);
}

TEST_CASE("call: a write arrives once and is read back") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0002")).value();
    auto const put = call(c, request::put("/rest/api/3/issue/PROJ-1").json(R"({"fields":{"summary":"new words"}})"));
    REQUIRE(put.has_value());
    CHECK(put->status() == 204);
    auto const site = f.jira.world().find("service-0002")->site;
    CHECK(f.jira.issue_summary(site, "PROJ-1") == "new words");
    auto const post = call(c, request::post("/rest/api/3/issue").json(new_issue));
    REQUIRE(post.has_value());
    CHECK(post->status() == 201);
    CHECK(f.jira.issue_count(site) == 51);
}

TEST_CASE("call: an HTTP status is an answer, not an error") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("personal-0001")).value();
    auto const r = call(c, request::get("/rest/api/3/issue/NONE-1"));
    REQUIRE(r.has_value());
    CHECK(r->status() == 404);
    CHECK(std::string_view(r->body()).find("Issue does not exist") != std::string_view::npos);
}

TEST_CASE("call: what must not be sent is refused before anything is dialled") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const r = call(c, request::get("/../../other"));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::invalid_target);
    CHECK(r.error().connection() == "service-0001");
    CHECK_FALSE(r.error().maybe_processed());
    CHECK(f.jira.snapshot().connections_accepted == 0);
}

TEST_CASE("call: channels are reused") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    for (int i = 0; i < 20; ++i) REQUIRE(call(c, request::get("/rest/api/3/myself")).has_value());
    CHECK(f.jira.snapshot().connections_accepted == 1);
}

TEST_CASE("call: a channel that the server closed while idle costs no call and no error") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    for (bool const reset : {false, true, false}) {
        REQUIRE(call(c, request::post("/rest/api/3/issue").json(new_issue)).has_value());
        f.jira.close_connections(reset);
        REQUIRE(eventually([&] { return f.jira.snapshot().connections_open == 0; }));
    }
    auto const r = call(c, request::post("/rest/api/3/issue").json(new_issue));
    REQUIRE(r.has_value());
    CHECK(f.jira.snapshot().by_status[201] == 4);
}

TEST_CASE("call: its deadline ends it, wherever it is, and says where that was") {
    auto world = small_world();
    world.faulty.latency = 60s;
    fixture f(world);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const begun = std::chrono::steady_clock::now();
    auto const r = call(c, request::get("/rest/api/3/myself").timeout(300ms));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::timeout);
    CHECK(r.error().stage() == stage::first_byte);
    CHECK_FALSE(r.error().maybe_processed());
    auto const& timeouts = detail::stats_access::of(jira).front()->timeouts;
    for (std::size_t i = 0; i < stage_count; ++i)
        CHECK(timeouts[i].value() == (i == static_cast<std::size_t>(stage::first_byte) ? 1 : 0));
    CHECK(std::chrono::steady_clock::now() - begun < 10s);
}

TEST_CASE("call: cancelling it ends it and closes its channel") {
    auto world = small_world();
    world.faulty.latency = 60s;
    fixture f(world);
    asio::io_context io;
    client jira(io, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    asio::cancellation_signal cancel;
    std::optional<result<response>> got;
    c.async_call(request::post("/rest/api/3/issue").json(new_issue),
                 asio::bind_cancellation_slot(cancel.slot(), [&](result<response> r) {
                     got.emplace(std::move(r));
                     jira.stop();
                 }));
    // Once the request is on its way.
    std::function<void()> look = [&] {
        if (f.jira.snapshot().requests > 0) cancel.emit(asio::cancellation_type::terminal);
        else asio::post(io, look);
    };
    asio::post(io, look);
    io.run();
    REQUIRE(got);
    REQUIRE_FALSE(got->has_value());
    CHECK(got->error().code() == errc::cancelled);
    CHECK(got->error().maybe_processed());
}

TEST_CASE("call: stopping completes what is in flight, and later calls fail at once") {
    auto world = small_world();
    world.faulty.latency = 60s;
    fixture f(world);
    runtime jira(2, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto pending = c.async_call(request::get("/rest/api/3/myself"), asio::use_future);
    REQUIRE(eventually([&] { return f.jira.snapshot().connections_open > 0; }));
    jira.stop();
    auto const r = pending.get();
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::stopped);
    auto const later = call(c, request::get("/rest/api/3/myself"));
    REQUIRE_FALSE(later.has_value());
    CHECK(later.error().code() == errc::stopped);
    CHECK(jira.add(f.config("service-0002")).error().code() == errc::stopped);
}

TEST_CASE("call: a handle that outlives its client fails with stopped") {
    fixture f;
    std::optional<connection> c;
    {
        runtime jira(1, f.params);
        c = jira.add(f.config("oauth-0001")).value();
        REQUIRE(call(*c, request::get("/rest/api/3/myself")).has_value());
    }
    auto const r = call(*c, request::get("/rest/api/3/myself"));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::stopped);
}

TEST_CASE("call: an executor that is destroyed with calls in the middle leaves nothing behind") {
    auto world = small_world();
    world.faulty.latency = 60s;
    world.faulty.token_latency = 60s;
    fixture f(world);
    auto io = std::make_unique<asio::io_context>();
    auto jira = std::make_unique<client>(*io, f.params);
    auto const waits_for_answer = jira->add(f.config("service-0001")).value();
    auto const waits_for_token = jira->add(f.config("oauth-0001")).value();
    int completed = 0;
    for (auto const& c : {waits_for_answer, waits_for_token})
        c.async_call(request::get("/rest/api/3/myself"), [&](result<response>) { ++completed; });
    while (f.jira.snapshot().connections_open < 2) io->run_one();
    while (f.jira.snapshot().handshakes < 2) io->run_for(5ms);
    jira.reset();
    io.reset();
    CHECK(completed == 0);  // LeakSanitizer looks for the rest
}

TEST_CASE("client: connections are found, removed, and refuse a second one of the same id") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const again = jira.add(f.config("service-0001"));
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().code() == errc::duplicate_id);
    CHECK(again.error().connection() == "service-0001");
    CHECK(jira.size() == 1);
    CHECK(jira.find("service-0001"));
    REQUIRE(call(c, request::get("/rest/api/3/myself")).has_value());
    CHECK(jira.remove("service-0001"));
    CHECK_FALSE(jira.remove("service-0001"));
    auto const r = call(c, request::get("/rest/api/3/myself"));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::connection_removed);
}

TEST_CASE(
    "drain: a runtime's calls in flight end, new ones are refused, and the future says that nothing was cut off") {
    auto world = small_world();
    world.faulty.latency = 200ms;
    fixture f(world);
    runtime jira(2, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto in_flight = c.async_call(request::get("/rest/api/3/myself"), asio::use_future);
    REQUIRE(eventually([&] { return f.jira.snapshot().connections_accepted == 1; }));
    auto drained = jira.async_drain(10s, asio::use_future);
    auto const got = in_flight.get();
    REQUIRE(got.has_value());
    CHECK(got->status() == 200);
    CHECK(drained.get());
    auto const late = call(c, request::get("/rest/api/3/myself"));
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code() == errc::stopped);
    CHECK(jira.add(f.config("service-0002")).error().code() == errc::stopped);
}

TEST_CASE("drain: a client's run ends with its last call, and what outlasts the patience is cut off") {
    auto world = small_world();
    world.faulty.latency = 60s;
    fixture f(world);
    asio::io_context io;
    client jira(io, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    std::optional<error_code> ended;
    std::optional<bool> drained;
    c.async_call(request::get("/rest/api/3/myself"), [&](result<response> r) { ended = r.error().code(); });
    jira.async_drain(100ms, [&](bool all) { drained = all; });
    io.run();
    CHECK(ended == errc::stopped);
    CHECK(drained == false);
}

TEST_CASE("client: a rotated API key is used by the next call of the same handle") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    REQUIRE(call(c, request::get("/rest/api/3/myself"))->status() == 200);
    f.jira.replace_secret(3, "rotated");
    CHECK(call(c, request::get("/rest/api/3/myself"))->status() == 401);
    REQUIRE(jira.replace(f.config("service-0001", "rotated")).has_value());
    CHECK(call(c, request::get("/rest/api/3/myself"))->status() == 200);
    auto const other = jira.replace(f.config("service-0002"));
    REQUIRE_FALSE(other.has_value());
    CHECK(other.error().code() == errc::invalid_argument);
}

TEST_CASE("client: params that break a rule are refused with its name") {
    fixture f;
    f.params.pool.max_channels = 0;
    CHECK_THROWS_WITH(runtime(1, f.params), "pool_params::max_channels must be at least 1");
    f.params.pool.max_channels = 1;
    f.params.pool.max_share_of_site = 0;
    CHECK_THROWS_WITH(runtime(1, f.params), "pool_params::max_share_of_site must be above 0 and at most 1");
    f.params.pool.max_share_of_site = 0.5;
    f.params.pool.min_idle = 2;
    CHECK_THROWS_WITH(runtime(1, f.params), "pool_params::min_idle must be at most max_channels");
    f.params.pool.min_idle = 0;
    f.params.pool.dial_backoff = 6s;
    CHECK_THROWS_WITH(runtime(1, f.params), "pool_params::dial_backoff_max must be at least dial_backoff");
    f.params.pool.dial_backoff = 100ms;
    f.params.pool.background_dials_per_second = 0;
    CHECK_THROWS_WITH(runtime(1, f.params), "pool_params::background_dials_per_second must be greater than 0");
    f.params.pool.background_dials_per_second = 45;
    f.params.tls.ca_file = "/nonexistent.pem";
    CHECK_THROWS_AS(runtime(1, f.params), std::invalid_argument);
    f.params.tls.ca_file = f.ca.path();
    f.params.user_agent = "Mozilla/5.0";
    CHECK_THROWS_AS(runtime(1, f.params), std::invalid_argument);
}

TEST_CASE("sites: a personal token's site and its cloud ID turn out to be one, also across shards") {
    auto world = small_world();
    world.sites = 8;
    world.personal = 8;
    world.service = 8;
    fixture f(world);
    runtime jira(3, f.params);
    std::vector<connection> all;
    for (auto const& c : f.jira.world().connections())
        all.push_back(jira.add(fixture::config_of(f.jira.world(), c)).value());
    // Calls go on while connections move to the shard of their cloud ID.
    std::vector<std::future<result<response>>> calls;
    for (int i = 0; i < 10; ++i)
        for (auto const& c : all) calls.push_back(c.async_call(request::get("/rest/api/3/myself"), asio::use_future));
    for (auto& c : calls) {
        auto const r = c.get();
        REQUIRE(r.has_value());
        CHECK(r->status() == 200);
    }
    CHECK(eventually([&] { return jira.totals().sites == 8; }));
    CHECK(f.jira.snapshot().isolation_violations == 0);
}

TEST_CASE("tls: a certificate of an authority that is not trusted is refused in words") {
    fixture f;
    mock::server other(small_world());
    ca_file const wrong(other.ca_pem());
    f.params.tls.ca_file = wrong.path();
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const r = call(c, request::get("/rest/api/3/myself"));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::certificate_refused);
    CHECK_FALSE(r.error().rule().empty());
    CHECK_FALSE(r.error().maybe_processed());
    CHECK(f.jira.snapshot().requests == 0);
}

TEST_CASE("wire: nobody listens, and the call says so in time") {
    fixture f;
    f.jira.stop();
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const r = call(c, request::get("/rest/api/3/myself").timeout(5s));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::connect_failed);
    CHECK(r.error().stage() == stage::lease);
}

TEST_CASE("wire: bodies of every framing come whole") {
    for (bool const chunked : {false, true}) {
        auto world = small_world();
        world.chunked = chunked;
        world.issue_bytes = 100'000;
        fixture f(world);
        runtime jira(1, f.params);
        auto const c = jira.add(f.config("service-0001")).value();
        auto const r = call(c, request::get("/rest/api/3/issue/PROJ-1"));
        REQUIRE(r.has_value());
        std::string_view const body = r->body();
        CHECK(body.size() > 90'000);
        CHECK(body.back() == '}');
    }
}

TEST_CASE("wire: a large body is sent whole") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    std::string const text(200'000, 'x');
    auto put = request::put("/rest/api/3/issue/PROJ-2")
                   .json(R"({"fields":{"description":")" + text + R"(","summary":"at the end"}})");
    auto const r = call(c, std::move(put));
    REQUIRE(r.has_value());
    CHECK(r->status() == 204);
    CHECK(f.jira.issue_summary(f.jira.world().find("service-0001")->site, "PROJ-2") == "at the end");
}

TEST_CASE("wire: an answer that is cut off fails a write and repeats a read") {
    fixture f;
    std::atomic<int> seen{0};
    f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        if (r.target.find("/rest/") == std::string_view::npos) return std::nullopt;
        if (++seen > 1) return std::nullopt;
        mock::scripted_reply cut(200, "{\"a\":1}");
        cut.close_after_bytes = 20;
        return cut;
    });
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    SECTION("read") {
        auto const r = call(c, request::get("/rest/api/3/myself"));
        REQUIRE(r.has_value());
        CHECK(r->status() == 200);
        CHECK(seen == 2);
    }
    SECTION("write") {
        auto const r = call(c, request::post("/rest/api/3/issue").json("{}"));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::channel_lost);
        CHECK(r.error().maybe_processed());
        CHECK(seen == 1);
    }
}

TEST_CASE("wire: bytes behind an answer end the channel instead of becoming the next answer") {
    fixture f;
    f.params.wire.http = http_versions::http1;  // elsewhere each byte says whose it is
    std::atomic<int> seen{0};
    f.jira.set_intercept([&](mock::request_view const&) -> std::optional<mock::scripted_reply> {
        if (++seen > 1) return std::nullopt;
        mock::scripted_reply two;
        two.raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
        return two;
    });
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const first = call(c, request::get("/rest/api/3/myself"));
    REQUIRE(first.has_value());
    CHECK(std::string_view(first->body()) == "hi");
    auto const second = call(c, request::get("/rest/api/3/myself"));
    REQUIRE(second.has_value());
    CHECK(std::string_view(second->body()) != "wrong");
    CHECK(f.jira.snapshot().connections_accepted == 2);
}

TEST_CASE("call: an answer to an ignored credential is an error, and the credential is not used again") {
    fixture f;
    event_log const log(f.params);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("personal-0001", "worn-out")).value();
    for (int i = 0; i < 3; ++i) {
        auto const r = call(c, request::get("/rest/api/3/issue/PROJ-1"));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == (i == 0 ? errc::anonymous_answer : errc::credential_refused));
        CHECK(r.error().code() == advice::reauthorize);
        CHECK(r.error().trace_id().empty() == (i > 0));
        CHECK(r.error().describe().find("worn-out") == std::string::npos);
    }
    CHECK(f.jira.snapshot().anonymous_answers == 1);
    auto const events = log.all();
    REQUIRE(events.size() == 1);
    CHECK(events.front().what == event::kind::credential_anonymous);
}

TEST_CASE("webhooks: a personal API token creates, lists and deletes one") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("personal-0001")).value();
    asio::io_context io;
    webhook_spec spec("jirapool \"test\"", "https://hooks.example.com/jira?x=1",
                      {"jira:issue_created", "comment_created"});
    spec.signing_secret = secret("s3cret");
    auto created = asio::co_spawn(io, create_webhook(c, std::move(spec)), asio::use_future);
    io.run();
    auto const hook = created.get();
    REQUIRE(hook.has_value());
    CHECK(hook->name == "jirapool \"test\"");
    CHECK(hook->callback_url == "https://hooks.example.com/jira?x=1");
    CHECK(hook->events == std::vector<std::string>{"jira:issue_created", "comment_created"});
    CHECK(hook->enabled);
    CHECK(hook->is_signed);
    io.restart();
    auto listed = asio::co_spawn(io, list_webhooks(c), asio::use_future);
    io.run();
    auto const all = listed.get();
    REQUIRE(all.has_value());
    REQUIRE(all->size() == 1);
    CHECK(all->front().id == hook->id);
    for (bool const there : {true, false}) {
        io.restart();
        auto deleted = asio::co_spawn(io, delete_webhook(c, hook->id), asio::use_future);
        io.run();
        auto const gone = deleted.get();
        REQUIRE(gone.has_value());
        CHECK(*gone == there);
    }
}

TEST_CASE("webhooks: the other kinds are refused before anything is sent, in words that say which kind to use") {
    fixture f;
    runtime jira(1, f.params);
    for (auto const* const id : {"service-0001", "oauth-0001"}) {
        auto const c = jira.add(f.config(id)).value();
        asio::io_context io;
        webhook_spec spec("x", "https://hooks.example.com/", {"jira:issue_created"});
        auto created = asio::co_spawn(io, create_webhook(c, std::move(spec)), asio::use_future);
        auto listed = asio::co_spawn(io, list_webhooks(c), asio::use_future);
        auto deleted = asio::co_spawn(io, delete_webhook(c, "1"), asio::use_future);
        io.run();
        auto const why = created.get().error();
        CHECK(why.code() == errc::unsupported_for_kind);
        CHECK(why.rule().find("personal API token") != std::string::npos);
        CHECK(listed.get().error().code() == errc::unsupported_for_kind);
        CHECK(deleted.get().error().code() == errc::unsupported_for_kind);
    }
    auto const s = f.jira.snapshot();
    CHECK(s.webhook_requests_service + s.webhook_requests_oauth + s.webhook_requests_unknown +
              s.webhook_requests_refused ==
          0);
}

TEST_CASE("call: answers come compressed and are delivered as what they are") {
    for (bool const chunked : {false, true}) {
        auto world = small_world();
        world.compress = true;
        world.chunked = chunked;
        world.issue_bytes = 50'000;
        fixture f(world);
        std::mutex m;
        std::vector<std::string> offered;
        f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
            std::lock_guard const lock(m);
            offered.push_back(std::string(r.host) + ": " + std::string(r.header("accept-encoding")));
            return std::nullopt;
        });
        runtime jira(1, f.params);
        auto const c = jira.add(f.config("oauth-0001")).value();
        auto const r = call(c, request::get("/rest/api/3/issue/PROJ-1"));
        REQUIRE(r.has_value());
        CHECK(std::string_view(r->body()).starts_with('{'));
        CHECK(std::string_view(r->body()).ends_with('}'));
        CHECK(r->body().size() > 45'000);
        CHECK(r->header("content-encoding").empty());
        CHECK(r->header("content-length").empty());
        CHECK(sum(jira, &shard_stats::bytes_received) < 20'000);
        // A token is not passed through a decoder.
        std::lock_guard const lock(m);
        CHECK(offered == std::vector<std::string>{"auth.atlassian.com: identity", "api.atlassian.com: gzip, br"});
    }
}

TEST_CASE("call: a caller's own Accept stands in place of ours, and his Accept-Encoding leaves the body as it came") {
    auto world = small_world();
    world.compress = true;
    world.issue_bytes = 5'000;
    fixture f(world);
    std::mutex m;
    std::vector<std::string> accepted;
    f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        std::lock_guard const lock(m);
        accepted.push_back(std::string(r.header("accept")) + " " + std::string(r.header("accept-encoding")));
        return std::nullopt;
    });
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const plain = call(c, request::get("/rest/api/3/issue/PROJ-1").header("aCCept", "text/csv"));
    REQUIRE(plain.has_value());
    CHECK(std::string_view(plain->body()).starts_with('{'));
    auto const coded = call(c, request::get("/rest/api/3/issue/PROJ-1").header("ACCEPT-encoding", "gzip"));
    REQUIRE(coded.has_value());
    CHECK(coded->header("content-encoding") == "gzip");
    CHECK(std::string_view(coded->body()).starts_with("\x1f\x8b"));
    CHECK(coded->header("content-length") == std::to_string(coded->body().size()));
    std::lock_guard const lock(m);
    CHECK(accepted == std::vector<std::string>{"text/csv gzip, br", "application/json gzip"});
}
