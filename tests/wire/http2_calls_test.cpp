// Calls over HTTP/2 whose server does what none should.
#include "fixture.hpp"

#include <mutex>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

client_params speaking(client_params p, http_versions http) {
    p.wire.http = http;
    p.retries.backoff = p.retries.backoff_max = 1ms;
    return p;
}

request issue() { return request::get("/rest/api/3/issue/PROJ-1"); }

}  // namespace

TEST_CASE(
    "http2_calls: a server that breaks a rule of the connection costs reads beside it no more than their channel") {
    fixture f;
    runtime jira(1, speaking(f.params, http_versions::http2));
    auto const acme = jira.add(f.config("service-0001")).value();
    REQUIRE(call(acme, issue())->ok());
    auto const& stats = *detail::stats_access::of(jira).front();
    auto const opened = total(stats.channels_opened);
    f.jira.play({{mock::http2_fault::wrong_ping_size}, 5, 1});
    std::vector<std::future<result<response>>> reads;
    for (int i = 0; i < 20; ++i) reads.push_back(acme.async_call(issue(), asio::use_future));
    for (auto& one : reads) {
        auto const r = one.get();
        INFO((r ? std::string() : r.error().describe()));
        CHECK(r.has_value());
    }
    CHECK(total(stats.channels_opened) == opened + 1);

    // Nobody knows what became of a write.
    f.jira.play({{mock::http2_fault::wrong_ping_size}, 1, 1});
    auto const write = call(acme, request::post("/rest/api/3/issue").json(R"({"fields":{}})"));
    REQUIRE_FALSE(write.has_value());
    CHECK(write.error().code() == errc::channel_lost);
    CHECK(write.error().maybe_processed());
    CHECK(write.error().rule().find("the server broke HTTP/2: ") != std::string::npos);
}

TEST_CASE("http2_calls: a read gets through at a server whose HTTP/2 is broken, by HTTP/1.1") {
    fixture f;
    std::mutex lock;
    std::vector<std::string> hosts;
    f.params.on_event = [&](event const& e) {
        std::lock_guard const guard(lock);
        if (e.what == event::kind::http1_instead) hosts.push_back(e.scope);
    };
    runtime jira(1, speaking(f.params, http_versions::either));
    auto const acme = jira.add(f.config("service-0001")).value();
    f.jira.play({{mock::http2_fault::wrong_ping_size}, 1, {}});
    auto const r = call(acme, issue());
    INFO((r ? std::string() : r.error().describe()));
    REQUIRE(r.has_value());
    CHECK(r->exchanges() == 4);
    CHECK(f.jira.snapshot().connections_http1 == 1);
    // It is told once, and counted.
    auto const& stats = *detail::stats_access::of(jira).front();
    CHECK(stats.events[static_cast<std::size_t>(event::kind::http1_instead)].value() == 1);
    std::lock_guard const guard(lock);
    REQUIRE(hosts.size() == 1);
    CHECK(hosts.front() == "api.atlassian.com");
}

TEST_CASE("http2_calls: a server that answers nothing gets no more resends than were saved up, however it says no") {
    constexpr int count = 50;
    fixture f;
    auto params = speaking(f.params, http_versions::http2);
    params.limits.mode = limiting::off;
    runtime jira(1, params);
    auto const acme = jira.add(f.config("service-0001")).value();
    bool channels_end = false;
    SECTION("each channel is reset before its first answer") { channels_end = true; }
    SECTION("each stream is reset, and the channel stays") {
        REQUIRE(call(acme, issue())->ok());
        f.jira.play({{mock::http2_fault::reset, mock::http2_error::internal_error}, 1, {}});
    }
    f.jira.set_intercept([=](mock::request_view const&) -> std::optional<mock::scripted_reply> {
        if (!channels_end) return std::nullopt;
        mock::scripted_reply none;
        none.close_after_bytes = 0;
        none.reset = true;
        return none;
    });
    f.jira.reset_stats();
    std::vector<std::future<result<response>>> reads;
    for (int i = 0; i < count; ++i) reads.push_back(acme.async_call(issue(), asio::use_future));
    int failed = 0;
    for (auto& one : reads) failed += one.get() ? 0 : 1;
    CHECK(failed == count);
    // Ten were saved, and each call earns a part of one.
    auto const asked = f.jira.snapshot().requests;
    CHECK(asked > 10);
    CHECK(asked <= count + 10 + count / 10);
}
