// What a listener is told of calls and exchanges, however they end.
#include "support/catch.hpp"
#include "support/span_book.hpp"

#include "engine_world.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using kind = span_start::kind;
using record = support::span_book::record;

namespace {

constexpr auto myself = "/rest/api/3/myself";
constexpr auto caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr auto resend_count = "http.request.resend_count";
constexpr auto status_code = "http.response.status_code";

/// A world that is listened to.
struct heard_world {
    explicit heard_world(model_params m = one_site(), std::size_t shards = 1, steady_duration settles = 2s)
        : book(std::make_shared<support::span_book>()), w(m, with(book), 77, shards) {
        w.jira().spans = book.get();
        w.add_all();
        pass(w, settles);
    }
    static model_params one_site() {
        model_params m;
        m.sites = 1;
        m.get_rate = 1e6;
        return m;
    }
    static client_params with(std::shared_ptr<span_listener> l) {
        client_params p;
        p.spans = std::move(l);
        return p;
    }

    /// The first so many answers have this status.
    void answer_first(unsigned count, int status) {
        w.jira().script = [left = count, status](std::string_view host, auto const&, auto& reply) mutable {
            if (host == auth_host || left == 0) return false;
            --left;
            reply.answer.set_status(status);
            return true;
        };
    }
    std::vector<record> of(kind k) const {
        auto all = book->all();
        std::erase_if(all, [k](auto const& r) { return r.what != k; });
        return all;
    }
    void finish() {
        w.finish();
        CHECK(joined(w.jira().violations) == "");
        CHECK(joined(book->problems()) == "");
        CHECK(book->open() == 0);
    }

    std::shared_ptr<support::span_book> book;
    engine_world w;
};

}  // namespace

TEST_CASE("spans: a call is one span with its exchange within, named as OpenTelemetry names them") {
    heard_world h;
    h.w.start(0, request::get("/rest/api/3/issue/A-1?fields=x").traceparent(caller).tracestate("a=1"), 5s);
    h.w.start(0, request::head("/elsewhere/A-1"), 5s);
    pass(h.w, 5s);
    auto const calls = h.of(kind::call);
    auto const exchanges = h.of(kind::exchange);
    REQUIRE(calls.size() == 2);
    REQUIRE(exchanges.size() == 2);
    CHECK(calls[0].around == caller);
    CHECK(calls[0].state == "a=1");
    CHECK(exchanges[0].call == calls[0].id);
    CHECK(exchanges[0].around == calls[0].own);
    CHECK(exchanges[0].state == "a=1");
    CHECK(calls[1].around.empty());
    CHECK(exchanges[1].around == calls[1].own);
    std::map<std::string, std::string> start{
        {"http.request.method", "GET"},
        {"url.template", "/rest/api/{version}/issue/{issueIdOrKey}"},
        {"server.address", std::string(gateway_host)},
        {"server.port", "443"},
        {"jirapool.connection", h.w.site(0).id()},
    };
    auto call = start;
    call.insert({{status_code, "200"}, {"jirapool.exchanges", "1"}});
    CHECK(calls[0].known == call);
    auto exchange = start;
    exchange.insert({{status_code, "200"}, {"network.protocol.version", "1.1"}});
    CHECK(exchanges[0].known == exchange);
    // What is in no template has none, and HEAD is no GET.
    CHECK(calls[1].of("http.request.method") == "HEAD");
    CHECK(calls[1].of("url.template").empty());
    h.finish();
}

TEST_CASE("spans: each resend is an exchange of its own that says the how-manieth it is, and why") {
    heard_world h;
    h.answer_first(2, 503);
    h.w.start(0, request::get(myself), 30s);
    pass(h.w, 30s);
    auto const exchanges = h.of(kind::exchange);
    REQUIRE(exchanges.size() == 3);
    std::set<std::string> owns;
    for (std::size_t i = 0; i < 3; ++i) {
        INFO(i);
        CHECK(exchanges[i].of(resend_count) == (i == 0 ? "" : std::to_string(i)));
        CHECK(exchanges[i].of("jirapool.resend_reason") == (i == 0 ? "" : "transient_answer"));
        CHECK(exchanges[i].of(status_code) == (i == 2 ? "200" : "503"));
        CHECK(exchanges[i].of("error.type") == (i == 2 ? "" : "503"));
        CHECK(exchanges[i].sent);
        owns.insert(exchanges[i].own);
    }
    CHECK(owns.size() == 3);
    CHECK(h.of(kind::call)[0].of("jirapool.exchanges") == "3");
    CHECK(h.of(kind::call)[0].of("error.type").empty());
    h.finish();
}

TEST_CASE("spans: a hedge is an exchange beside the first, which ends as cancelled") {
    heard_world h;
    for (int i = 0; i < 200; ++i) {
        h.w.start(0, request::get(myself), 30s);
        pass(h.w, 20ms);
    }
    REQUIRE(h.w.totals.succeeded == 200);
    auto const before = h.of(kind::exchange).size();
    h.w.jira().stall_requests = 1;
    h.w.start(0, request::get(myself), 30s);
    pass(h.w, 10s);
    REQUIRE(h.w.totals.succeeded == 201);
    auto const all = h.of(kind::exchange);
    REQUIRE(all.size() == before + 2);
    auto const& first = all[before];
    auto const& second = all[before + 1];
    CHECK(first.of("error.type") == "cancelled");
    CHECK(second.of(status_code) == "200");
    CHECK(second.of(resend_count) == "1");
    CHECK(second.of("jirapool.resend_reason") == "hedge");
    CHECK(second.call == first.call);
    CHECK(second.around == first.around);
    h.finish();
}

TEST_CASE("spans: a call that never goes out is a span without exchanges") {
    heard_world h;
    h.w.start(0, request::get("/../x"), 5s);
    h.w.start(0, request::get(myself).traceparent("00-"), 5s);
    h.w.jira().close(jira_model::scope::site_unknown, 0, myself, h.w.time().now() + 60s);
    h.w.start(0, request::get(myself), 5s);
    pass(h.w, 1s);
    h.w.start(0, request::get(myself), 5s);
    pass(h.w, 10s);
    auto const calls = h.of(kind::call);
    REQUIRE(calls.size() == 4);
    CHECK(calls[0].of("error.type") == "invalid_target");
    CHECK(calls[1].of("error.type") == "invalid_header");
    CHECK(calls[1].around.empty());  // what must not be sent is no parent either
    CHECK(calls[2].of("error.type") == "429");
    CHECK(calls[3].of("error.type") == "limited_past_deadline");
    CHECK(calls[3].of("jirapool.exchanges") == "0");
    CHECK(h.of(kind::exchange).size() == 1);
    h.finish();
}

TEST_CASE("spans: calls that time out, are cancelled, or end with the client have ended spans, in the exchange too") {
    heard_world h;
    h.w.jira().stall_requests = 3;
    auto const issue = [](char const* n) { return request::post(std::string("/rest/api/3/issue?n=") + n).json("{}"); };
    h.w.start(0, issue("1"), 1s);
    h.w.start_and_cancel(0, issue("2"), 20s, 1s);
    h.w.start(0, issue("3"), 20s);
    pass(h.w, 5s);
    CHECK(h.book->open() == 2);
    h.w.engine().stop();
    pass(h.w, 1s);
    CHECK(h.book->open() == 0);
    for (auto const k : {kind::call, kind::exchange}) {
        auto const all = h.of(k);
        REQUIRE(all.size() == 3);
        CHECK(all[0].of("error.type") == "timeout");
        CHECK(all[1].of("error.type") == "cancelled");
        CHECK(all[2].of("error.type") == "stopped");
    }
    h.finish();
}

TEST_CASE("spans: a listener that gives no traceparent has the caller's sent, and a malformed one is never sent") {
    heard_world h;
    h.book->gives_own = false;
    h.w.jira().spans = nullptr;
    std::vector<std::string> sent;
    h.w.jira().script = [&](std::string_view host, detail::exchange_input const& in, auto&) {
        if (host != auth_host) sent.emplace_back(in.traceparent);
        return false;
    };
    h.w.start(0, request::get(myself).traceparent(caller), 5s);
    h.w.start(0, request::get(myself), 5s);
    pass(h.w, 5s);
    CHECK(sent == std::vector<std::string>{caller, ""});
    h.finish();
}

namespace {

/// Gives what must not be sent, or throws, or wants no spans.
class odd_listener final : public span_listener {
public:
    enum class way { malformed, throws, throws_at_end, none };
    explicit odd_listener(way w) : way_(w) {}
    std::unique_ptr<open_span> start(span_start const& s) override {
        ++starts;
        parents.emplace(s.traceparent);
        if (way_ == way::throws) throw std::runtime_error("start");
        if (way_ == way::none) return nullptr;
        return std::make_unique<odd_span>(*this);
    }
    std::size_t starts = 0;
    std::size_t ends = 0;
    std::set<std::string> parents;

private:
    class odd_span final : public open_span {
    public:
        explicit odd_span(odd_listener& l) : listener_(l) {}
        std::string_view traceparent() const noexcept override {
            return listener_.way_ == way::malformed ? "00-1\r\nHost: elsewhere" : "";
        }
        void end(std::span<span_attribute const>) override {
            ++listener_.ends;
            if (listener_.way_ == way::throws_at_end) throw 1;
        }

    private:
        odd_listener& listener_;
    };
    way const way_;
};

}  // namespace

TEST_CASE("spans: what a listener throws, or gives that is no traceparent, is no call's concern") {
    for (auto const way : {odd_listener::way::malformed, odd_listener::way::throws, odd_listener::way::throws_at_end,
                           odd_listener::way::none}) {
        INFO(static_cast<int>(way));
        auto const odd = std::make_shared<odd_listener>(way);
        engine_world w(heard_world::one_site(), heard_world::with(odd), 78);
        w.add_all();
        pass(w, 2s);
        std::vector<std::string> sent;
        w.jira().script = [&](std::string_view host, detail::exchange_input const& in, auto&) {
            if (host != auth_host) sent.emplace_back(in.traceparent);
            return false;
        };
        for (int i = 0; i < 10; ++i) w.start(0, request::get(myself).traceparent(caller), 5s);
        pass(w, 5s);
        CHECK(w.totals.succeeded == 10);
        CHECK(odd->starts == 20);
        CHECK(odd->ends == (way == odd_listener::way::malformed || way == odd_listener::way::throws_at_end ? 20 : 0));
        CHECK(odd->parents == std::set<std::string>{caller});
        CHECK(sent == std::vector<std::string>(10, caller));
        w.finish();
        CHECK(joined(w.jira().violations) == "");
    }
}

TEST_CASE("spans: from each start and each end the listener may call, remove, replace, add and stop") {
    for (auto const at : {kind::call, kind::exchange}) {
        for (bool const at_end : {false, true}) {
            for (int what = 0; what < 6; ++what) {
                INFO(static_cast<int>(at) << (at_end ? " end " : " start ") << what);
                heard_world h;
                bool done = false;
                auto const act = [&](kind k) {
                    if (k != at || std::exchange(done, true)) return;
                    switch (what) {
                    case 0: h.w.start(0, request::get(myself), 5s); break;
                    case 1: h.w.remove(0); break;
                    case 2: h.w.replace_secret(0); break;
                    case 3: h.w.engine().stop(); break;
                    case 4: h.w.engine().reset_limits(h.w.site(0).id()); break;
                    default:
                        h.w.remove(0);
                        h.w.add_again(0);
                        h.w.start(0, request::get(myself), 5s);
                        break;
                    }
                };
                if (at_end) h.book->on_end = [&](record const& r) { act(r.what); };
                else h.book->on_start = [&](span_start const& s) { act(s.what); };
                for (int i = 0; i < 5; ++i) h.w.start(0, request::get(myself), 5s);
                pass(h.w, 10s);
                CHECK(done);
                CHECK(h.w.totals.ended() == h.w.totals.started);
                if (what == 0 || what == 2 || what == 4) CHECK(h.w.totals.succeeded == h.w.totals.started);
                h.finish();
            }
        }
    }
}

TEST_CASE("spans: a call that follows its site to another shard has a second span within its own") {
    // Their hosts turn out late to be sites of other shards, and their calls wait meanwhile for the end of a pause.
    model_params m;
    m.sites = 24;
    m.all_kinds = true;
    m.pairs = true;
    m.get_rate = 1e6;
    m.faults.name_slow = 1;
    heard_world h(m, 4, 0s);
    for (std::size_t n = 0; n < m.sites; ++n)
        h.w.jira().close(jira_model::scope::site_unknown, n, myself, h.w.time().now() + 8s);
    for (int round = 0; round < 40; ++round) {
        for (std::size_t n = 0; n < m.sites; ++n) h.w.start(n, request::get(myself), 30s);
        pass(h.w, 100ms);
    }
    pass(h.w, 60s);
    std::map<std::string, record> by_own;
    for (auto const& r : h.of(kind::call)) by_own.emplace(r.own, r);
    std::size_t nested = 0;
    for (auto const& [own, r] : by_own) nested += by_own.contains(r.around) ? 1 : 0;
    CHECK(nested > 0);
    CHECK(h.book->calls() == h.w.totals.started + nested);
    h.finish();
}
