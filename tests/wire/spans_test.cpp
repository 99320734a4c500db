// Traces over TLS: what Jira is sent of them, and what a listener is told on the threads of a runtime.
#include "fixture.hpp"

#include "support/span_book.hpp"

#include <jirapool/core/trace_context.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using kind = span_start::kind;

namespace {

constexpr auto myself = "/rest/api/3/myself";
constexpr auto caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the mock is sent of traces, with each request to Jira that a call makes; the first `transient` are answered 503.
class trace_log {
public:
    explicit trace_log(fixture& f, unsigned transient = 0) : left_(transient) {
        f.jira.set_intercept([this](mock::request_view const& r) { return look(r); });
    }
    std::vector<std::pair<std::string, std::string>> all() const {
        std::lock_guard const lock(mutex_);
        return all_;
    }

private:
    std::optional<mock::scripted_reply> look(mock::request_view const& r) {
        if (r.target.find("/rest/") == std::string_view::npos) return std::nullopt;
        std::lock_guard const lock(mutex_);
        all_.emplace_back(r.header("traceparent"), r.header("tracestate"));
        if (left_ == 0) return std::nullopt;
        --left_;
        return mock::scripted_reply(503);
    }

    mutable std::mutex mutex_;
    std::vector<std::pair<std::string, std::string>> all_;
    unsigned left_;
};

std::string joined_problems(support::span_book const& b) {
    std::string all;
    for (auto const& p : b.problems()) all += p + "; ";
    return all;
}

}  // namespace

TEST_CASE("spans: Jira is sent the caller's trace with each exchange of its call, and nothing of one with the next") {
    fixture f;
    trace_log log(f, 2);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("oauth-0001")).value();
    auto const r = call(c, request::get(myself).traceparent(caller).tracestate("congo=t61rcWkgMzE,rojo=1"));
    REQUIRE(r.has_value());
    CHECK(r->status() == 200);
    CHECK(r->exchanges() == 3);
    REQUIRE(call(c, request::get(myself)).has_value());
    using sent = std::pair<std::string, std::string>;
    sent const traced{caller, "congo=t61rcWkgMzE,rojo=1"};
    CHECK(log.all() == std::vector<sent>{traced, traced, traced, {"", ""}});

    auto const bad = call(c, request::get(myself).traceparent("00-0-0-00"));
    REQUIRE_FALSE(bad.has_value());
    CHECK(bad.error().code() == errc::invalid_header);
    CHECK(bad.error().rule().find("traceparent") != std::string::npos);
    CHECK(log.all().size() == 4);
}

TEST_CASE("spans: Jira is sent the traceparent of the exchange's own span, once, in place of the caller's") {
    fixture f;
    trace_log log(f, 1);
    auto const book = std::make_shared<support::span_book>();
    f.params.spans = book;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("personal-0001")).value();
    auto const r = call(c, request::get(myself).header("Traceparent", caller).tracestate("a=1"));
    REQUIRE(r.has_value());
    auto const spans = book->all();
    REQUIRE(spans.size() == 3);
    CHECK(spans[0].around == caller);
    auto const sent = log.all();
    REQUIRE(sent.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
        INFO(i);
        CHECK(sent[i].first == spans[i + 1].own);
        CHECK(sent[i].second == "a=1");
        CHECK(why_invalid_traceparent(sent[i].first) == nullptr);
        CHECK(sent[i].first.substr(3, 32) == std::string(caller).substr(3, 32));
        CHECK(spans[i + 1].of("server.address") == c.host());
        CHECK(spans[i + 1].of("http.response.status_code") == (i == 0 ? "503" : "200"));
    }
    CHECK(spans[2].of("jira.trace_id") == std::string(r->trace_id()));
    CHECK(spans[0].of("jira.trace_id") == std::string(r->trace_id()));
    CHECK(joined_problems(*book) == "");
}

TEST_CASE("spans: of a runtime's shards each start has one end, whatever ends the calls, the runtime included") {
    fixture f;
    std::atomic<unsigned> count{0};
    f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        auto const n = count.fetch_add(1);
        if (r.target.find("/rest/") == std::string_view::npos || n % 5 != 0) return std::nullopt;
        mock::scripted_reply odd(503);
        if (n % 10 == 0) odd.close_after_bytes = 0;
        if (n % 25 == 0) odd.never_answer = true;
        return odd;
    });
    auto const book = std::make_shared<support::span_book>();
    f.params.spans = book;
    constexpr std::size_t calls = 300;
    std::atomic<std::size_t> ended{0};
    {
        runtime jira(2, f.params);
        std::vector<connection> all;
        for (auto const* const id : {"personal-0001", "service-0002", "oauth-0003", "personal-0003"})
            all.push_back(jira.add(f.config(id)).value());
        for (std::size_t i = 0; i < calls; ++i) {
            auto const timeout = i % 7 == 0 ? 20ms : 10s;
            auto r = i % 2 == 0 ? request::get(myself) : request::post("/rest/api/3/issue").json("{}");
            all[i % all.size()].async_call(std::move(r).timeout(timeout),
                                           [&](result<response> const&) { ended.fetch_add(1); });
        }
        REQUIRE(eventually([&] { return ended.load() >= calls / 2; }));
        jira.remove("service-0002");
    }
    CHECK(ended == calls);
    CHECK(book->open() == 0);
    CHECK(book->calls() > calls / 2);
    CHECK(book->exchanges() > calls / 4);
    CHECK(joined_problems(*book) == "");
}

TEST_CASE("spans: a listener may end its own client, from each start and each end") {
    for (auto const at : {kind::call, kind::exchange}) {
        for (bool const at_end : {false, true}) {
            INFO(static_cast<int>(at) << (at_end ? " end" : " start"));
            fixture f;
            auto const book = std::make_shared<support::span_book>();
            asio::io_context io(1);
            std::unique_ptr<client> jira;
            std::optional<result<response>> got;
            auto const end_it = [&](kind k) {
                if (k == at) jira.reset();
            };
            if (at_end) book->on_end = [&](support::span_book::record const& r) { end_it(r.what); };
            else book->on_start = [&](span_start const& s) { end_it(s.what); };
            f.params.spans = book;
            f.params.executor_is_serial = true;
            jira = std::make_unique<client>(io, f.params);
            auto const c = jira->add(f.config("service-0001")).value();
            asio::co_spawn(io, c.call(request::get(myself)), [&](std::exception_ptr const& e, result<response> r) {
                CHECK_FALSE(e);
                got.emplace(std::move(r));
            });
            io.run();
            REQUIRE(got);
            if (at == kind::call && at_end) CHECK(got->has_value());
            else if (!got->has_value()) CHECK(got->error().code() == errc::stopped);
            CHECK(book->open() == 0);
            CHECK(joined_problems(*book) == "");
        }
    }
}

TEST_CASE("spans: what is open when a context is destroyed ends as stopped") {
    fixture f;
    f.jira.set_intercept([](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        if (r.target.find("/rest/") == std::string_view::npos) return std::nullopt;
        mock::scripted_reply never;
        never.never_answer = true;
        return never;
    });
    auto const book = std::make_shared<support::span_book>();
    f.params.spans = book;
    f.params.executor_is_serial = true;
    {
        auto io = std::make_unique<asio::io_context>(1);
        client jira(*io, f.params);
        auto const c = jira.add(f.config("service-0001")).value();
        asio::co_spawn(*io, c.call(request::get(myself)), [](std::exception_ptr const&, result<response> const&) {});
        while (book->exchanges() == 0) io->run_one();
        CHECK(book->open() == 2);
        io.reset();
    }
    CHECK(book->open() == 0);
    for (auto const& s : book->all()) CHECK(s.of("error.type") == "stopped");
    CHECK(joined_problems(*book) == "");
}
