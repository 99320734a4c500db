#include "support/catch.hpp"

#include <jirapool/mock/server.hpp>

#include "text.hpp"
#include "unit/mock/http2_client.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

std::string const host = "site-0001.atlassian.net";
std::string const tenant_info = "/_edge/tenant_info";
std::string const myself = "/rest/api/3/myself";

using fields = std::vector<std::pair<std::string, std::string>>;

fields credential(server const& s) {
    connection_info const& c = *s.world().find("personal-0001");
    return {{"authorization", "Basic " + base64(c.email + ':' + c.secret)}};
}

/// Answers everything with `r`.
void answer_always(server& s, scripted_reply r) {
    s.set_intercept([answer = std::move(r)](request_view const&) { return std::optional(answer); });
}

http2_fault_request fault(http2_fault what, http2_error code = http2_error::no_error) {
    http2_fault_request r;
    r.step.what = what;
    r.step.code = code;
    r.times = 1;
    return r;
}

/// A server that runs, with limits that nobody reaches here.
struct running {
    explicit running(params p = params()) : s((p.burst_scale = 1000, std::move(p))) { s.start(); }
    server s;
};

TEST_CASE("mock http2: ALPN chooses it where it is offered and spoken, and HTTP/1.1 else") {
    params p;
    auto const chosen = [&](http_versions spoken, std::vector<std::string> const& offered) {
        p.http = spoken;
        server s{p};
        s.start();
        client const c(s, host, nullptr, offered);
        return c.is_connected() ? c.alpn() : std::string("refused");
    };
    CHECK(chosen(http_versions::either, {"http/1.1", "h2"}) == "h2");
    CHECK(chosen(http_versions::either, {"h2"}) == "h2");
    CHECK(chosen(http_versions::either, {"http/1.1"}) == "http/1.1");
    CHECK(chosen(http_versions::either, {"h2c"}).empty());
    CHECK(chosen(http_versions::http1_1, {"h2", "http/1.1"}) == "http/1.1");
    CHECK(chosen(http_versions::http1_1, {"h2"}).empty());
    CHECK(chosen(http_versions::http2, {"http/1.1", "h2"}) == "h2");
    CHECK(chosen(http_versions::http2, {"http/1.1"}) == "refused");
}

TEST_CASE("mock http2: who offers nothing gets HTTP/1.1, or nothing when that is not spoken") {
    std::string const request = "GET " + tenant_info + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
    running both;
    CHECK(client(both.s, host).ask(request).starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(both.s.snapshot().connections_http1 == 1);
    params p;
    p.http = http_versions::http2;
    running only(p);
    client c(only.s, host);
    CHECK(c.is_ended());
    CHECK(c.was_closed_in_order());
}

TEST_CASE("mock http2: requests are answered as over HTTP/1.1, and counted") {
    running r;
    http2_client c(r.s, host);
    REQUIRE(c.is_connected());
    http2_answer const info = c.ask("GET", tenant_info);
    CHECK(info.status == 200);
    CHECK(info.body == R"({"cloudId":")" + r.s.world().sites()[0].cloud_id + R"("})");
    CHECK(info.field("content-length") == std::to_string(info.body.size()));
    CHECK(info.field("server") == "AtlassianEdge");
    CHECK(info.field("content-type") == "application/json;charset=UTF-8");
    CHECK(c.ask("GET", myself).status == 401);
    CHECK(c.ask("GET", myself, credential(r.s)).status == 200);
    stats const seen = r.s.snapshot();
    CHECK(seen.requests == 3);
    CHECK(seen.unauthorized == 1);
    CHECK(seen.connections_http2 == 1);
    CHECK(seen.connections_http1 == 0);
    CHECK(seen.streams == 3);
    CHECK(seen.streams_max_open == 1);
    CHECK(seen.isolation_violations == 0);
    CHECK(seen.bad_requests == 0);
}

TEST_CASE("mock http2: another host than the handshake's is misdirected, a port is not part of it") {
    running r;
    http2_client c(r.s, host);
    auto const ask_for = [&](std::string const& authority) {
        std::uint32_t const stream = c.next_stream();
        std::string const block = c.field(":method", "GET") + c.field(":scheme", "https") +
                                  c.field(":path", tenant_info) + c.field(":authority", authority);
        c.send(c.make(c.headers, c.end_headers | c.end_stream, stream, block));
        return c.wait_for(stream).status;
    };
    CHECK(ask_for("site-0002.atlassian.net") == 421);
    CHECK(ask_for("Site-0001.atlassian.net:443") == 200);
    CHECK(r.s.snapshot().sni_mismatches == 1);
}

TEST_CASE("mock http2: latency delays its own stream and no other") {
    running r;
    r.s.set_intercept([](request_view const& q) -> std::optional<scripted_reply> {
        if (q.target != "/slow") return std::nullopt;
        scripted_reply late(200, "late");
        late.delay = 300ms;
        return late;
    });
    http2_client c(r.s, host);
    std::uint32_t const slow = c.begin("GET", "/slow");
    std::uint32_t const slow_too = c.begin("GET", "/slow");
    CHECK(c.ask("GET", tenant_info).status == 200);
    CHECK(c.answer_of(slow).status == 0);
    CHECK(c.wait_for(slow).body == "late");
    CHECK(c.wait_for(slow_too).body == "late");
    CHECK(r.s.snapshot().streams_max_open == 3);
}

TEST_CASE("mock http2: HEAD and 204 have no body, and an empty one ends with its head") {
    running r;
    http2_client c(r.s, host);
    http2_answer const head = c.ask("HEAD", myself, credential(r.s));
    CHECK(head.status == 200);
    CHECK(head.body.empty());
    CHECK(std::stoul(head.field("content-length")) > 0);
    answer_always(r.s, scripted_reply(204));
    http2_answer const nothing = c.ask("GET", "/");
    CHECK(nothing.status == 204);
    CHECK(nothing.field("content-length").empty());
    answer_always(r.s, scripted_reply(200));
    CHECK(c.ask("GET", "/").field("content-length") == "0");
    CHECK(c.count(c.data) == 0);
}

TEST_CASE("mock http2: bodies of 100 MB go both ways, beside other streams") {
    constexpr std::size_t size = 100'000'000;
    params p;
    p.max_body_bytes = size;
    running r(std::move(p));
    std::string const large(size, 'x');
    r.s.set_intercept([&large](request_view const& q) -> std::optional<scripted_reply> {
        if (q.target == "/down") return scripted_reply(200, large);
        if (q.target == "/up") return scripted_reply(200, std::to_string(q.body.size()));
        return std::nullopt;
    });
    http2_client c(r.s, host);
    std::uint32_t const down = c.begin("GET", "/down");
    std::uint32_t const up = c.begin("POST", "/up", {}, false);
    CHECK(c.send_body(up, large) == size);
    CHECK(c.wait_for(up).body == std::to_string(size));
    CHECK(c.ask("GET", tenant_info).status == 200);
    CHECK(c.wait_for(down).body == large);
    CHECK(c.goaways.empty());
}

TEST_CASE("mock http2: a client's closed window holds its stream and no other") {
    running r;
    r.s.set_intercept([](request_view const& q) -> std::optional<scripted_reply> {
        if (q.target != "/large") return std::nullopt;
        return scripted_reply(200, std::string(65'535 + 10, 'x'));
    });
    http2_client c(r.s, host);
    c.opens_windows = false;
    c.send(c.make(c.window_update, 0, 0, c.bytes_of(1 << 20)));
    std::uint32_t const large = c.begin("GET", "/large");
    while (c.answer_of(large).body.size() < 65'535) REQUIRE(c.next());
    CHECK(c.ask("GET", tenant_info).status == 200);
    CHECK(c.answer_of(large).body.size() == 65'535);
    c.send(c.make(c.window_update, 0, large, c.bytes_of(10)));
    CHECK(c.wait_for(large).body.size() == 65'545);
}

TEST_CASE("mock http2: what is too large is refused early, and the connection goes on") {
    params p;
    p.max_body_bytes = 1000;
    running r(std::move(p));
    http2_client c(r.s, host);
    SECTION("by its content-length") {
        std::uint32_t const stream = c.begin("POST", "/rest/api/3/issue", {{"content-length", "1001"}}, false);
        CHECK(c.wait_for(stream).status == 413);
        REQUIRE(c.wait_for_frame(c.rst_stream));
        CHECK(c.answer_of(stream).reset == 0u);
    }
    SECTION("when it has come") {
        std::uint32_t const stream = c.begin("POST", "/rest/api/3/issue", {}, false);
        c.send_body(stream, std::string(1001, 'x'));
        CHECK(c.wait_for(stream).status == 413);
    }
    SECTION("by its head") { CHECK(c.ask("GET", "/", {{"x", std::string(21'000, 'x')}}).status == 431); }
    CHECK(c.ask("GET", tenant_info).status == 200);
    stats const seen = r.s.snapshot();
    CHECK(seen.requests == 1);
    CHECK(seen.bad_requests == 1);
}

TEST_CASE("mock http2: who waits for 100 Continue gets it, and then the answer") {
    running r;
    http2_client c(r.s, host);
    std::uint32_t const stream = c.begin("POST", "/rest/api/3/issue", {{"expect", "100-continue"}}, false);
    REQUIRE(c.wait_for_frame(c.headers));
    CHECK(c.answer_of(stream).informational == std::vector<int>{100});
    c.send_body(stream, "{}");
    CHECK(c.wait_for(stream).status == 401);
}

TEST_CASE("mock http2: a client that breaks the protocol is told so and counted") {
    running r;
    http2_client c(r.s, host);
    SECTION("DATA on a stream that nobody opened") {
        c.send(c.make(c.data, 0, 7, "x"));
        c.read_all();
        REQUIRE(c.goaways.size() == 1);
        CHECK(c.goaways[0].code == 1);
    }
    SECTION("a field that cannot be read") {
        c.send(c.make(c.headers, c.end_headers | c.end_stream, 1, "\xff\xff\xff\x7f"));
        c.read_all();
        REQUIRE(c.goaways.size() == 1);
        CHECK(c.goaways[0].code == 9);
    }
    SECTION("no HTTP/2 at all") {
        client other(r.s, host, nullptr, {"h2"});
        other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        other.read(1000);
        CHECK(other.is_ended());
    }
    CHECK(r.s.snapshot().bad_requests == 1);
    CHECK(http2_client(r.s, host).ask("GET", tenant_info).status == 200);
}

TEST_CASE("mock http2: idle connections are closed in good order, with GOAWAY") {
    params p;
    p.idle_timeout = 10ms;
    running r(std::move(p));
    http2_client c(r.s, host);
    c.ask("GET", tenant_info);
    c.read_all();
    REQUIRE(c.goaways.size() == 1);
    CHECK(c.goaways[0].last == 1);
    CHECK(c.goaways[0].code == 0);
    CHECK(c.was_closed_in_order());
}

TEST_CASE("mock http2: header fields that repeat are indexed, or none is") {
    params p;
    p.http2.index_headers = GENERATE(true, false);
    running r(p);
    http2_client c(r.s, host);
    c.ask("GET", tenant_info);
    std::size_t const first = c.block_size;
    CHECK(c.ask("GET", tenant_info).status == 200);
    if (p.http2.index_headers) CHECK(c.block_size < first / 2);
    // As nginx does it. The change of the table's size comes once, and before the first.
    else CHECK(c.block_size + 3 >= first);
}

TEST_CASE("mock http2: settings are told, and told again when they change") {
    params p;
    p.http2.max_concurrent_streams = 7;
    p.http2.initial_window = 100'000;
    p.http2.header_table = 8192;
    p.http2.max_frame = 20'000;
    running r(std::move(p));
    http2_client c(r.s, host);
    c.ask("GET", tenant_info);
    CHECK(c.server_settings[3] == 7);
    CHECK(c.server_settings[4] == 100'000);
    CHECK(c.server_settings[1] == 8192);
    CHECK(c.server_settings[5] == 20'000);
    http2_settings changed = r.s.get_http2();
    changed.max_concurrent_streams = 1;
    r.s.set_http2(changed);
    while (c.server_settings[3] != 1) REQUIRE(c.next());
    changed.max_frame = 1;
    CHECK_THROWS_AS(r.s.set_http2(changed), std::invalid_argument);
    CHECK(r.s.get_http2().max_concurrent_streams == 1);
}

TEST_CASE("mock http2: a stream above the limit is refused or breaks the connection, as the client knew it or not") {
    params p;
    p.http2.max_concurrent_streams = 1;
    running r(std::move(p));
    scripted_reply never;
    never.never_answer = true;
    http2_client c(r.s, host);
    SECTION("not yet acknowledged: refused") {
        answer_always(r.s, never);
        c.acknowledges = false;
        c.begin("GET", "/");
        CHECK(c.wait_for(c.begin("GET", "/")).reset == 7u);
    }
    SECTION("known") {
        c.ask("GET", tenant_info);
        answer_always(r.s, never);
        c.begin("GET", "/");
        c.begin("GET", "/");
        c.read_all();
        REQUIRE(c.goaways.size() == 1);
        CHECK(c.goaways[0].code == 1);
    }
}

TEST_CASE("mock http2: what is acted on is counted by the id that it carries, by either version") {
    running r;
    http2_client c(r.s, host);
    c.ask("GET", tenant_info, {{"x-mock-request-id", "a"}});
    c.ask("GET", tenant_info, {{"x-mock-request-id", "b"}});
    client(r.s, host).ask("GET " + tenant_info + " HTTP/1.1\r\nHost: " + host + "\r\nX-Mock-Request-Id: a\r\n\r\n");
    CHECK(r.s.times_acted_on("a") == 2);
    CHECK(r.s.times_acted_on("b") == 1);
    CHECK(r.s.times_acted_on("c") == 0);
    CHECK(r.s.snapshot().ids_acted_on == 2);
    CHECK(r.s.snapshot().ids_acted_on_again == 1);
    r.s.reset_stats();
    CHECK(r.s.times_acted_on("a") == 0);
}

TEST_CASE("mock http2: scripted answers are cut, reset, torn or left out as scripted") {
    running r;
    http2_client c(r.s, host);
    c.ask("GET", tenant_info);
    scripted_reply next(200, "0123456789");
    SECTION("cut in the middle of the body") {
        next.headers.emplace_back("Date", "x");
        constexpr std::string_view head = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 10\r\n\r\n";
        next.close_after_bytes = head.size() + 4;
        answer_always(r.s, next);
        http2_answer const a = c.ask("GET", "/");
        CHECK(a.status == 200);
        CHECK(a.body == "0123");
        CHECK_FALSE(a.is_ended);
        CHECK_FALSE(c.was_closed_in_order());
    }
    SECTION("cut behind a whole answer") {
        next.close_after_bytes = 10'000;
        answer_always(r.s, next);
        http2_answer const a = c.ask("GET", "/");
        CHECK(a.body == "0123456789");
        CHECK(a.is_ended);
        CHECK(c.is_ended());
        CHECK_FALSE(c.was_closed_in_order());
    }
    SECTION("torn in the head") {
        next.close_after_bytes = 20;
        answer_always(r.s, next);
        CHECK(c.ask("GET", "/").status == 0);
        CHECK(c.is_ended());
        CHECK_FALSE(c.was_closed_in_order());
    }
    SECTION("nothing but a close") {
        next.close_after_bytes = 0;
        answer_always(r.s, next);
        CHECK(c.ask("GET", "/").status == 0);
        CHECK_FALSE(c.was_closed_in_order());
    }
    SECTION("closed after the answer without saying so") {
        next.close = true;
        answer_always(r.s, next);
        CHECK(c.ask("GET", "/").body == "0123456789");
        c.read_all();
        CHECK(c.goaways.empty());
        CHECK(c.was_closed_in_order());
    }
    SECTION("reset after the answer") {
        next.reset = true;
        answer_always(r.s, next);
        c.ask("GET", "/");
        CHECK(c.is_ended());
        CHECK_FALSE(c.was_closed_in_order());
    }
    SECTION("frames of a test's own") {
        r.s.set_intercept([](request_view const& q) {
            scripted_reply raw;
            raw.raw = http2_client::make(http2_client::headers, 5, q.stream, "\x88");
            return std::optional(raw);
        });
        http2_answer const a = c.ask("GET", "/");
        CHECK(a.status == 200);
        CHECK(a.is_ended);
        CHECK(a.fields.size() == 1);
    }
    SECTION("never, while others are answered") {
        next.never_answer = true;
        answer_always(r.s, next);
        std::uint32_t const stream = c.begin("GET", "/");
        REQUIRE(c.is_answered_by_ping());
        r.s.set_intercept({});
        CHECK(c.ask("GET", tenant_info).status == 200);
        CHECK(c.answer_of(stream).status == 0);
        c.send(c.make(c.rst_stream, 0, stream, c.bytes_of(8)));
        CHECK(c.is_answered_by_ping());
        CHECK(r.s.snapshot().resets_received == 1);
    }
}

TEST_CASE("mock http2: an injected close comes after a whole answer that does not announce it") {
    params p;
    p.faulty.close_rate = 1;
    running r(std::move(p));
    http2_client c(r.s, host);
    CHECK(c.ask("GET", tenant_info).is_ended);
    c.read_all();
    CHECK(c.goaways.empty());
    CHECK(c.was_closed_in_order());
    CHECK(r.s.snapshot().injected_closes == 1);
}

TEST_CASE("mock http2: a refused request is not acted on, and the next one is") {
    running r;
    r.s.play(fault(http2_fault::refuse));
    http2_client c(r.s, host);
    http2_answer const a = c.ask("GET", tenant_info, {{"x-mock-request-id", "a"}});
    CHECK(a.reset == 7u);
    CHECK(a.status == 0);
    CHECK(r.s.times_acted_on("a") == 0);
    CHECK(c.ask("GET", tenant_info, {{"x-mock-request-id", "a"}}).status == 200);
    CHECK(r.s.times_acted_on("a") == 1);
    stats const seen = r.s.snapshot();
    CHECK(seen.requests == 1);
    CHECK(seen.streams == 2);
    CHECK(seen.streams_untouched == 1);
    CHECK(seen.resets_sent == 1);
    CHECK(seen.http2_faults.at("refuse") == 1);
}

TEST_CASE("mock http2: GOAWAY below a request touches neither it nor those above, and answers those below") {
    running r;
    r.s.set_intercept([](request_view const& q) -> std::optional<scripted_reply> {
        if (q.target != "/slow") return std::nullopt;
        scripted_reply late(200, "late");
        late.delay = 50ms;
        return late;
    });
    http2_client c(r.s, host);
    http2_fault_request third = fault(http2_fault::goaway_untouched);
    third.every = 3;
    r.s.play(third);
    // In one piece, so that the server has all of them before it has sent anything.
    std::string all;
    for (std::uint32_t i = 0; i < 5; ++i) {
        all += c.head(c.next_stream(), "GET", i < 2 ? "/slow" : tenant_info,
                      {{"x-mock-request-id", std::to_string(2 * i + 1)}}, true);
    }
    c.send(all);
    c.read_all();
    REQUIRE(c.goaways.size() == 1);
    CHECK(c.goaways[0].last == 3);
    CHECK(c.goaways[0].code == 0);
    CHECK(c.answer_of(1).body == "late");
    CHECK(c.answer_of(3).body == "late");
    for (std::uint32_t const stream : {5u, 7u, 9u}) {
        INFO(stream);
        CHECK(c.answer_of(stream).status == 0);
        CHECK(r.s.times_acted_on(std::to_string(stream)) == 0);
    }
    CHECK(c.was_closed_in_order());
    CHECK(r.s.snapshot().requests == 2);
    CHECK(r.s.snapshot().streams_untouched == 3);
    CHECK(r.s.snapshot().goaways == 1);
}

TEST_CASE("mock http2: GOAWAYs under load lose no write and repeat none, for a client that resends what is untouched") {
    constexpr std::size_t writes = 1000;
    constexpr std::size_t at_once = 16;
    params p;
    p.limit_issue_writes = false;
    running r(std::move(p));
    std::size_t const before = r.s.issue_count(0);
    http2_fault_request each;
    each.step.what = http2_fault::goaway_untouched;
    each.every = 10;
    r.s.play(each);
    fields const mine = credential(r.s);
    std::string const issue = R"({"fields":{"project":{"key":"PROJ"},"summary":"x","issuetype":{"name":"Bug"}}})";
    std::deque<std::size_t> left;
    for (std::size_t i = 0; i < writes; ++i) left.push_back(i);
    std::size_t goaways = 0;
    while (!left.empty()) {
        http2_client c(r.s, host);
        REQUIRE(c.is_connected());
        std::map<std::uint32_t, std::size_t> sent;
        std::string all;
        for (; !left.empty() && sent.size() < at_once; left.pop_front()) {
            std::uint32_t const stream = c.next_stream();
            sent[stream] = left.front();
            auto more = mine;
            more.emplace_back("x-mock-request-id", std::to_string(left.front()));
            more.emplace_back("content-type", "application/json");
            all += c.head(stream, "POST", "/rest/api/3/issue", more, false);
            all += c.make(c.data, c.end_stream, stream, issue);
        }
        c.send(all);
        for (auto const& [stream, number] : sent) {
            if (!c.goaways.empty() && stream > c.goaways.back().last) {
                left.push_back(number);
            } else if (c.wait_for(stream).status == 0) {
                REQUIRE(!c.goaways.empty());
                REQUIRE(stream > c.goaways.back().last);
                left.push_back(number);
            } else {
                REQUIRE(c.answer_of(stream).status == 201);
            }
        }
        goaways += c.goaways.size();
    }
    CHECK(goaways >= writes / 10);
    CHECK(r.s.issue_count(0) - before == writes);
    stats const seen = r.s.snapshot();
    CHECK(seen.ids_acted_on == writes);
    CHECK(seen.ids_acted_on_again == 0);
    CHECK(seen.requests == writes);
    CHECK(seen.goaways >= goaways);
    CHECK(seen.streams_untouched >= goaways);
}

TEST_CASE("mock http2: an intercept leaves a request alone too, and says so of no request that was touched before") {
    running r;
    r.s.set_intercept([](request_view const& q) -> std::optional<scripted_reply> {
        if (q.target != "/leave") return std::nullopt;
        scripted_reply leave;
        leave.http2.emplace().what = http2_fault::goaway_untouched;
        return leave;
    });
    http2_client c(r.s, host);
    std::uint32_t const first = c.begin("POST", "/leave", {{"x-mock-request-id", "a"}}, false);
    std::uint32_t const second = c.begin("GET", tenant_info);
    CHECK(c.wait_for(second).status == 200);
    c.send_body(first, "{}");
    c.read_all();
    CHECK(c.answer_of(first).reset == 7u);
    REQUIRE(c.goaways.size() == 1);
    CHECK(c.goaways[0].last == second);
    CHECK(r.s.times_acted_on("a") == 0);
}

TEST_CASE("mock http2: each n-th request meets a fault, so often as told, and of two the one that was begun first") {
    running r;
    http2_fault_request second = fault(http2_fault::refuse);
    second.every = 2;
    second.times = 2;
    r.s.play(second);
    http2_fault_request always = fault(http2_fault::reset, http2_error::cancel);
    always.times.reset();
    r.s.play(always);
    http2_client c(r.s, host);
    std::vector<std::uint32_t> codes;
    for (int i = 0; i < 6; ++i) codes.push_back(c.ask("GET", tenant_info).reset.value_or(99));
    CHECK(codes == std::vector<std::uint32_t>{8, 7, 8, 7, 8, 8});
    r.s.end_http2_faults();
    CHECK(c.ask("GET", tenant_info).status == 200);
}

TEST_CASE("mock http2: a graceful end says GOAWAY twice and answers all that came between") {
    running r;
    bool const asks_between = GENERATE(false, true);
    http2_client c(r.s, host);
    c.acknowledges = false;
    r.s.play(fault(http2_fault::goaway));
    std::uint32_t const first = c.begin("GET", tenant_info);
    auto const pinged = c.wait_for_frame(c.ping);
    REQUIRE(pinged);
    REQUIRE(c.goaways.size() == 1);
    CHECK(c.goaways[0].last == 0x7fff'ffffu);
    std::uint32_t const second = asks_between ? c.begin("GET", tenant_info) : first;
    c.send(c.make(c.ping, c.ack, 0, pinged->payload));
    c.read_all();
    CHECK(c.answer_of(first).status == 200);
    CHECK(c.answer_of(second).status == 200);
    REQUIRE(c.goaways.size() == 2);
    CHECK(c.goaways[1].last == second);
    CHECK(c.goaways[1].code == 0);
    CHECK(c.was_closed_in_order());
}

TEST_CASE("mock http2: GOAWAY with an error ends a connection with a request that was acted on") {
    running r;
    r.s.play(fault(http2_fault::goaway_error, http2_error::enhance_your_calm));
    http2_client c(r.s, host);
    std::uint32_t const stream = c.begin("GET", tenant_info, {{"x-mock-request-id", "a"}});
    c.read_all();
    CHECK(c.answer_of(stream).status == 0);
    REQUIRE(c.goaways.size() == 1);
    CHECK(c.goaways[0].last == stream);
    CHECK(c.goaways[0].code == 11);
    CHECK(r.s.times_acted_on("a") == 1);
}

TEST_CASE("mock http2: in the middle of a body comes GOAWAY, RST_STREAM or the end") {
    running r;
    answer_always(r.s, scripted_reply(200, "0123456789"));
    http2_client c(r.s, host);
    SECTION("GOAWAY, and the body goes on") {
        r.s.play(fault(http2_fault::goaway_mid_body));
        std::uint32_t const stream = c.begin("GET", "/");
        while (c.goaways.empty()) REQUIRE(c.next());
        CHECK(c.goaways[0].last == stream);
        CHECK(c.answer_of(stream).body == "01234");
        c.read_all();
        CHECK(c.answer_of(stream).body == "0123456789");
        CHECK(c.answer_of(stream).is_ended);
    }
    SECTION("GOAWAY with an error, and no more") {
        r.s.play(fault(http2_fault::goaway_cut, http2_error::internal_error));
        std::uint32_t const stream = c.begin("GET", "/");
        c.read_all();
        CHECK(c.answer_of(stream).body == "01234");
        CHECK_FALSE(c.answer_of(stream).is_ended);
        REQUIRE(c.goaways.size() == 1);
        CHECK(c.goaways[0].code == 2);
    }
    SECTION("RST_STREAM, and other streams go on") {
        r.s.play(fault(http2_fault::reset_mid_body, http2_error::internal_error));
        http2_answer const a = c.ask("GET", "/");
        CHECK(a.body == "01234");
        CHECK(a.reset == 2u);
        CHECK(c.ask("GET", "/").body == "0123456789");
    }
}

TEST_CASE("mock http2: a request that was acted on is reset with each code") {
    running r;
    http2_client c(r.s, host);
    for (std::uint32_t code = 0; code < http2_error_count; ++code) {
        r.s.play(fault(http2_fault::reset, static_cast<http2_error>(code)));
        http2_answer const a = c.ask("GET", tenant_info);
        CHECK(a.reset == code);
        CHECK(a.status == 0);
    }
    CHECK(r.s.snapshot().requests == http2_error_count);
    CHECK(r.s.snapshot().resets_sent == http2_error_count);
}

TEST_CASE("mock http2: 413 comes before the body has ended, with or without RST_STREAM") {
    running r;
    http2_client c(r.s, host);
    SECTION("with") {
        r.s.play(fault(http2_fault::early_answer));
        std::uint32_t const stream = c.begin("POST", "/rest/api/3/issue", {{"x-mock-request-id", "a"}}, false);
        CHECK(c.wait_for(stream).status == 413);
        CHECK(c.wait_for_frame(c.rst_stream));
        CHECK(c.answer_of(stream).reset == 0u);
    }
    SECTION("without") {
        r.s.play(fault(http2_fault::early_answer_open));
        std::uint32_t const stream = c.begin("POST", "/rest/api/3/issue", {{"x-mock-request-id", "a"}}, false);
        CHECK(c.wait_for(stream).status == 413);
        CHECK(c.send_body(stream, std::string(200'000, 'x')) == 200'000);
        CHECK(c.is_answered_by_ping());
        CHECK_FALSE(c.answer_of(stream).reset);
    }
    CHECK(c.ask("GET", tenant_info).status == 200);
    CHECK(r.s.times_acted_on("a") == 0);
}

TEST_CASE("mock http2: odd answers are whole ones") {
    running r;
    std::string const text = "0123456789";
    answer_always(r.s, scripted_reply(200, text));
    http2_client c(r.s, host);
    c.ask("GET", "/");
    http2_fault_request f;
    f.times = 1;
    f.step.count = 3;
    auto const answer_with = [&](http2_fault what) {
        f.step.what = what;
        r.s.play(f);
        c.frames.clear();
        http2_answer const a = c.ask("GET", "/");
        CHECK(a.status == 200);
        CHECK(a.body == text);
        return a;
    };
    SECTION("103 before them") {
        CHECK(answer_with(http2_fault::informational).informational == std::vector<int>{103, 103, 103});
    }
    SECTION("padding") {
        f.step.size = 255;
        answer_with(http2_fault::padding);
        for (auto const& frame : c.frames) CHECK((frame.flags & c.is_padded) != 0);
    }
    SECTION("a slow body") {
        f.step.size = 3;
        answer_with(http2_fault::slow_body);
        CHECK(c.count(c.data) == 4);
    }
    SECTION("unknown frames and settings") {
        answer_with(http2_fault::unknown_frame);
        CHECK(c.count(0xee) == 1);
        CHECK(c.server_settings[0xf0f0] == 1);
    }
    SECTION("large header lists") {
        f.step.size = 100'000;
        CHECK(answer_with(http2_fault::large_headers).fields.size() > 100);
        CHECK(c.block_size > 60'000);
    }
    SECTION("floods before them") {
        answer_with(http2_fault::ping_flood);
        CHECK(c.count(c.ping) == 3);
        answer_with(http2_fault::settings_flood);
        CHECK(c.count(c.settings) == 3);
        answer_with(http2_fault::window_update_flood);
        CHECK(c.count(c.window_update) == 3);
    }
    CHECK(c.ask("GET", "/").body == text);
    CHECK(c.goaways.empty());
}

TEST_CASE("mock http2: floods in place of an answer have as many frames as told") {
    running r;
    http2_client c(r.s, host);
    c.ask("GET", tenant_info);
    c.frames.clear();
    http2_fault_request f;
    f.times = 1;
    f.step.count = 500;
    f.step.size = 20;
    auto const flood = [&](http2_fault what, std::uint8_t type) {
        f.step.what = what;
        r.s.play(f);
        c.begin("GET", tenant_info);
        while (c.count(type) < 500) REQUIRE(c.next());
    };
    SECTION("CONTINUATION") { flood(http2_fault::continuation_flood, c.continuation); }
    SECTION("DATA without data") { flood(http2_fault::empty_data_flood, c.data); }
    SECTION("RST_STREAM") { flood(http2_fault::reset_flood, c.rst_stream); }
    SECTION("references to one large field") {
        f.step.what = http2_fault::hpack_bomb;
        r.s.play(f);
        http2_answer const a = c.ask("GET", tenant_info);
        CHECK(a.field("x-bomb").size() == 4000);
        CHECK(c.block_size < 5000);
    }
}

TEST_CASE("mock http2: a client's body stands still when no window is opened") {
    running r;
    http2_client c(r.s, host);
    std::string const body(100'000, 'x');
    SECTION("as no WINDOW_UPDATE comes") {
        r.s.play(fault(http2_fault::stall_uploads));
        std::uint32_t const stream = c.begin("POST", "/rest/api/3/issue", {}, false);
        c.send_body(stream, std::string_view(body).substr(0, 65'000));
        std::uint32_t const other = c.begin("POST", "/rest/api/3/issue", {}, false);
        c.send_body(other, "{}");
        CHECK(c.wait_for(other).status == 401);
        CHECK(c.count(c.window_update) == 1);  // The connection's first one.
    }
    SECTION("as the window is 0 from now on") {
        r.s.play(fault(http2_fault::zero_window));
        std::uint32_t const stream = c.begin("POST", "/rest/api/3/issue", {}, false);
        while (c.server_settings[4] != 0) REQUIRE(c.next());
        // What does not wait for a window is answered.
        CHECK(c.ask("GET", tenant_info).status == 200);
        CHECK_FALSE(c.answer_of(stream).is_ended);
    }
}

TEST_CASE("mock http2: a channel goes silent and stays open") {
    running r;
    http2_client c(r.s, host);
    c.ask("GET", tenant_info);
    r.s.play(fault(http2_fault::silence));
    c.begin("GET", tenant_info, {{"x-mock-request-id", "a"}});
    c.begin("GET", tenant_info, {{"x-mock-request-id", "b"}});
    while (r.s.snapshot().http2_faults.count("silence") == 0) std::this_thread::yield();
    // On the same thread as the silent one, so behind what it does with both requests.
    CHECK(http2_client(r.s, host).ask("GET", tenant_info).status == 200);
    CHECK(r.s.times_acted_on("a") == 1);
    CHECK(r.s.times_acted_on("b") == 0);
    CHECK(r.s.snapshot().connections_open >= 1);
    r.s.close_connections(false);
    c.frames.clear();
    CHECK_FALSE(c.next());
    CHECK(c.frames.empty());
}

TEST_CASE("mock http2: each fault is named, meets a request, and leaves the server to others") {
    running r;
    for (http2_fault_info const& info : list_http2_faults()) {
        INFO(info.name);
        CHECK(find_http2_fault(info.name) == info.what);
        CHECK(to_string(info.what) == info.name);
        http2_fault_request f = fault(info.what, http2_error::cancel);
        f.step.count = 2;
        r.s.play(f);
        {
            http2_client c(r.s, host);
            c.begin("POST", "/rest/api/3/issue");
            // All but silence say something beside SETTINGS and their acknowledgement.
            if (info.what != http2_fault::silence) {
                while (c.frames.size() <= 3) {
                    if (!c.next()) break;
                }
                CHECK(c.frames.size() > 2);
            } else {
                while (r.s.snapshot().http2_faults.count("silence") == 0) std::this_thread::yield();
            }
        }
        CHECK(http2_client(r.s, host).ask("GET", tenant_info).status == 200);
        CHECK(r.s.snapshot().http2_faults.at(std::string(info.name)) == 1);
    }
    CHECK_FALSE(find_http2_fault("nonsense"));
}

TEST_CASE("mock http2: what the protocol forbids is sent as it is") {
    running r;
    http2_client c(r.s, host);
    c.ask("GET", tenant_info);
    c.frames.clear();
    auto const send_wrong = [&](http2_fault what) {
        r.s.play(fault(what));
        std::uint32_t const stream = c.begin("GET", tenant_info);
        auto const f = c.next();
        REQUIRE(f);
        return std::pair(*f, stream);
    };
    SECTION("DATA on stream 0") {
        auto const [f, stream] = send_wrong(http2_fault::wrong_data_stream);
        CHECK(f.type == c.data);
        CHECK(f.stream == 0);
    }
    SECTION("a push") {
        auto const [f, stream] = send_wrong(http2_fault::push);
        CHECK(f.type == c.push_promise);
        CHECK(f.stream == stream);
        CHECK(c.number_in(f.payload) == 2);
    }
    SECTION("a window beyond its bound") {
        auto const [f, stream] = send_wrong(http2_fault::wrong_window_overflow);
        CHECK(f.type == c.window_update);
        CHECK(c.number_in(f.payload) == 0x7fff'ffffu);
    }
    SECTION("fields without a status") {
        auto const [f, stream] = send_wrong(http2_fault::wrong_no_status);
        CHECK(c.answer_of(stream).fields.size() == 1);
        CHECK(c.answer_of(stream).is_ended);
    }
    SECTION("a header block that nobody can read") {
        auto const [f, stream] = send_wrong(http2_fault::wrong_hpack);
        CHECK(c.answer_of(stream).fields.count("(unreadable)") == 1);
    }
    SECTION("a body shorter than told") {
        auto const [f, stream] = send_wrong(http2_fault::wrong_length);
        CHECK(c.wait_for(stream).body.size() == 5);
        CHECK(c.answer_of(stream).field("content-length") == "10");
    }
}

TEST_CASE("mock http2: open connections are told a fault, those of HTTP/1.1 none") {
    running r;
    http2_client c(r.s, host);
    c.ask("GET", tenant_info);
    client other(r.s, host);
    std::string const request = "GET " + tenant_info + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
    other.ask(request);
    http2_step now;
    SECTION("a graceful end") {
        now.what = http2_fault::goaway;
        r.s.play_now(now);
        c.read_all();
        REQUIRE(c.goaways.size() == 2);
        CHECK(c.goaways[1].last == 1);
    }
    SECTION("an end with an error") {
        now.what = http2_fault::goaway_error;
        now.code = http2_error::internal_error;
        r.s.play_now(now);
        c.read_all();
        REQUIRE(c.goaways.size() == 1);
        CHECK(c.goaways[0].code == 2);
    }
    SECTION("frames that are wrong") {
        now.what = http2_fault::wrong_window_update;
        r.s.play_now(now);
        auto const f = c.wait_for_frame(c.window_update);
        REQUIRE(f);
        CHECK(c.number_in(f->payload) == 0);
    }
    SECTION("nothing that needs a request") {
        now.what = http2_fault::reset;
        CHECK_THROWS_AS(r.s.play_now(now), std::invalid_argument);
    }
    CHECK(other.ask(request).starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("mock http2: faults and settings out of bounds are refused with their rule") {
    http2_fault_request r;
    auto const problem = [&] {
        char const* const p = why_invalid(r);
        return std::string(p ? p : "");
    };
    CHECK(problem().empty());
    r.step.count = 1'000'001;
    CHECK(problem() == "http2_step::count must be at most 1,000,000");
    r.step.what = http2_fault::continuation_flood;
    r.step.count = 1'000'000;
    r.step.size = 300;
    CHECK(problem() == "http2_step::count times size must be at most 256 MiB");
    r.step.count = 1;
    r.step.size = 16'385;
    CHECK(problem() == "http2_step::size must be at most 16,384 for a frame");
    r.step.what = http2_fault::large_headers;
    CHECK(problem().empty());
    r.step.size = (16u << 20) + 1;
    CHECK(problem() == "http2_step::size must be at most 16 MiB");
    r.step.what = http2_fault::slow_body;
    r.step.size = 0;
    CHECK(problem() == "http2_step::size must be above 0 for slow_body");
    r.step = http2_step();
    r.step.code = static_cast<http2_error>(14);
    CHECK(problem() == "http2_step::code must be 0 to 13");
    r.step = http2_step();
    r.times = 0;
    CHECK(problem() == "http2_fault_request::times must be 1 to 1,000,000,000");
    r.every = 0;
    CHECK(problem() == "http2_fault_request::every must be 1 to 1,000,000,000");
    http2_settings s;
    s.initial_window = 0x8000'0000u;
    CHECK(std::string(why_invalid(s)) == "http2_settings::initial_window must be at most 2147483647");
}

}  // namespace
