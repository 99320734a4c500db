// Exchanges that the network swallows, over real TLS. The simulator has those that concern time.
#include "gateway.hpp"

#include <jirapool/core/explanation.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

act says_nothing() { return says_and_stalls({}); }

std::uint64_t hedges(connections const& c) {
    return c.totals().resends[static_cast<std::size_t>(resend_reason::hedge)];
}

request read() { return request::get("/rest/api/3/myself").timeout(20s); }

}  // namespace

TEST_CASE(
    "faults: C1 a read that gets no answer is answered on a channel of its own, and what was idle is not used again") {
    // The second exchange is of the channel that the first has left idle, and swallowed.
    gateway g({says(sized("1")), says_nothing(), says(sized("2")), says(sized("3"))});
    g.params.retries.hedge_after = 50ms;
    runtime jira(1, g.params);
    auto const c = gateway::of(jira);
    REQUIRE(call(c, read()).has_value());
    auto const r = call(c, read().explain());
    REQUIRE(r.has_value());
    CHECK(std::string_view(r->body()) == "2");
    CHECK(r->exchanges() == 2);
    CHECK_FALSE(r->maybe_processed_before());
    REQUIRE(r->explanation());
    auto const& exchanges = r->explanation()->exchanges();
    REQUIRE(exchanges.size() == 2);
    CHECK(exchanges[0].resent == resend_reason::hedge);
    CHECK(exchanges[1].status == 200);
    CHECK(hedges(jira) == 1);
    auto const next = call(c, read());
    REQUIRE(next.has_value());
    CHECK(std::string_view(next->body()) == "3");
    CHECK(next->exchanges() == 1);
}

TEST_CASE("faults: C1 the first exchange may still be the faster one, and its channel lives on") {
    std::atomic<bool> second_came{false};
    gateway g({[&](http_peer& peer, std::string const&) {
                   while (!second_came) std::this_thread::yield();
                   return peer.write(sized("first"));
               },
               [&](http_peer& peer, std::string const&) {
                   second_came = true;
                   return peer.stall();
               },
               says(sized("next"))});
    g.params.retries.hedge_after = 20ms;
    runtime jira(1, g.params);
    auto const c = gateway::of(jira);
    auto const r = call(c, read());
    REQUIRE(r.has_value());
    CHECK(std::string_view(r->body()) == "first");
    CHECK(r->exchanges() == 2);
    auto const next = call(c, read());
    REQUIRE(next.has_value());
    CHECK(std::string_view(next->body()) == "next");
    CHECK(closed(jira, close_reason::abandoned) == channels_given_up());
    CHECK(closed(jira, close_reason::broken) == 0);
}

TEST_CASE("faults: C1 nothing is hedged that may act twice, streams, was asked not to be, or lacks the budget") {
    struct {
        char const* what;
        request r;
        std::chrono::milliseconds after;
        double percent;
    } const cases[] = {
        {"a POST", request::post("/rest/api/3/issue").json("{}"), 20ms, 1},
        {"a PUT of whole fields", request::put("/rest/api/3/issue/A-1").json("{}"), 20ms, 1},
        {"a DELETE", request::delete_("/rest/api/3/issue/A-1"), 20ms, 1},
        {"a GET that says so", request::get("/rest/api/3/myself").resendable(false), 20ms, 1},
        {"never", request::get("/rest/api/3/myself"), 0ms, 1},
    };
    for (auto const& c : cases) {
        INFO(c.what);
        gateway g({says_nothing(), says(sized("2"))});
        g.params.retries.hedge_after = c.after;
        g.params.retries.hedge_percent = c.percent;
        runtime jira(1, g.params);
        auto const r = call(gateway::of(jira), request(c.r).timeout(200ms));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::timeout);
        CHECK(g.requests() == 1);
        CHECK(hedges(jira) == 0);
    }
    // One is saved up to begin with; each call earns a hundredth of another.
    gateway g({says_nothing(), says(sized("2")), says_nothing(), says(sized("4"))});
    g.params.retries.hedge_after = 20ms;
    runtime jira(1, g.params);
    auto const c = gateway::of(jira);
    CHECK(call(c, read()).has_value());
    auto const r = call(c, request::get("/rest/api/3/myself").timeout(200ms));
    REQUIRE_FALSE(r.has_value());
    CHECK(hedges(jira) == 1);
}

TEST_CASE("faults: C1 a hedge that is refused or lost leaves the call its first exchange") {
    std::atomic<bool> refused{false};
    for (auto const& second :
         {says_and_goes(sized("busy", {}, 429)), says_and_goes(sized("down", {}, 503)), says_and_goes("")}) {
        refused = false;
        gateway g({[&](http_peer& peer, std::string const&) {
                       while (!refused) std::this_thread::yield();
                       return peer.write(sized("first"));
                   },
                   [&](http_peer& peer, std::string const& request) {
                       second(peer, request);
                       refused = true;
                       return false;
                   }});
        g.params.retries.hedge_after = 20ms;
        runtime jira(1, g.params);
        auto const r = call(gateway::of(jira), read());
        REQUIRE(r.has_value());
        CHECK(std::string_view(r->body()) == "first");
    }
}

TEST_CASE("faults: C1 a call that ends, is cancelled or removed beside its hedge takes that with it") {
    for (int how = 0; how < 4; ++how) {
        INFO(how);
        std::atomic<int> came{0};
        act const stalls = [&](http_peer& peer, std::string const&) {
            ++came;
            return peer.stall();
        };
        gateway g({stalls, stalls});
        g.params.retries.hedge_after = 20ms;
        std::optional<runtime> jira(std::in_place, 1, g.params);
        auto const c = gateway::of(*jira);
        asio::cancellation_signal signal;
        std::promise<errc> ended;
        c.async_call(request::get("/rest/api/3/myself").timeout(how == 0 ? 300ms : 20s),
                     asio::bind_cancellation_slot(signal.slot(), [&](result<response> r) {
                         ended.set_value(static_cast<errc>(r.has_value() ? 0 : r.error().code().value()));
                     }));
        while (came < 2) std::this_thread::yield();
        if (how == 1) signal.emit(asio::cancellation_type::terminal);
        if (how == 2) jira.reset();
        if (how == 3) {
            jira->stop();
        }
        auto const code = ended.get_future().get();
        CHECK(code == (how == 0 ? errc::timeout : how == 1 ? errc::cancelled : errc::stopped));
    }
}
