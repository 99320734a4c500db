#include "support/catch.hpp"

#include "engine_world.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include <optional>
#include <string>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

// What the end of an exchange, or of a connection, leads to. One mistake in the settling each: tests/sim/mutants.

namespace {

constexpr auto myself = "/rest/api/3/myself";
constexpr auto bulk_delete = "/rest/api/3/bulk/issues/delete";

/// One site unless told otherwise, its token at hand.
struct settled_world : engine_world {
    explicit settled_world(model_params m = one_site(), client_params p = {}) : engine_world(m, std::move(p), 21) {
        add_all();
        pass(10s);
    }
    static model_params one_site() {
        model_params m;
        m.sites = 1;
        m.get_rate = 1e9;
        m.post_rate = 1e9;
        return m;
    }
    void pass(steady_duration d) { time().run_until(time().now() + d); }
    /// So that the next call meets no dial, which takes as long as three exchanges.
    void open_channel() {
        start(0, request::get(myself), 60s);
        pass(1s);
        REQUIRE(totals.succeeded == 1);
    }
    void check_books() {
        finish();
        CHECK(joined(jira().violations) == "");
    }
};

}  // namespace

TEST_CASE("sim: a write whose answer was lost is on the wire once, one that was never written is sent again") {
    settled_world w;
    w.jira().params().faults.lost_after = 1;
    for (int i = 0; i < 20; ++i) w.start(0, request::post("/rest/api/3/issue?n=" + std::to_string(i)).json("{}"), 10s);
    w.pass(20s);
    CHECK(w.jira().requests == 20);
    CHECK(w.totals.failed == 20);
    w.jira().params().faults.lost_after = 0;
    w.jira().params().faults.unsent = 0.2;
    for (int i = 20; i < 40; ++i) w.start(0, request::post("/rest/api/3/issue?n=" + std::to_string(i)).json("{}"), 30s);
    w.pass(30s);
    CHECK(w.jira().requests == 40);
    CHECK(w.totals.succeeded == 20);
    w.check_books();
}

TEST_CASE("sim: a call that ends behind an exchange whose outcome is unknown says so, however it ends") {
    client_params p;
    p.retries.backoff = p.retries.backoff_max = 100s;
    settled_world w(settled_world::one_site(), p);
    w.open_channel();
    for (bool const answered : {false, true}) {
        INFO(answered);
        // Behind a lost answer, or a 503.
        (answered ? w.jira().params().faults.transient : w.jira().params().faults.lost_after) = 1;
        asio::cancellation_signal cancel;
        std::optional<failure> why;
        w.site(0).async_call(request::put("/rest/api/3/issue/PROJ-1").json("{}").timeout(300s),
                             asio::bind_cancellation_slot(cancel.slot(), [&](result<response> r) {
                                 REQUIRE_FALSE(r.has_value());
                                 why = r.error();
                             }));
        w.pass(1s);
        REQUIRE_FALSE(why);
        cancel.emit(asio::cancellation_type::terminal);
        w.pass(1s);
        REQUIRE(why);
        CHECK(why->code() == errc::cancelled);
        CHECK(why->maybe_processed());
        w.jira().params().faults.transient = w.jira().params().faults.lost_after = 0;
    }
}

TEST_CASE("sim: an answer as to anybody is a failure of the call, however good its status") {
    settled_world w;
    w.jira().script = [](std::string_view host, detail::exchange_input const&, jira_model::reply& r) {
        if (host == auth_host) return false;
        r.answer.set_status(200);
        r.answer.add_header("X-Seraph-LoginReason", "AUTHENTICATED_FAILED");
        return true;
    };
    error_code ec;
    w.start(0, request::get(myself), 5s, [&](result<response> const& got) {
        if (!got) ec = got.error().code();
    });
    w.pass(5s);
    CHECK(ec == errc::anonymous_answer);
    CHECK(w.totals.succeeded == 0);
    w.check_books();
}

TEST_CASE("sim: a 404 before its token's expiry is Jira's word, and renews nothing") {
    settled_world w;
    int asked = 0;
    w.jira().script = [&](std::string_view host, detail::exchange_input const&, jira_model::reply& r) {
        if (host == auth_host) return false;
        ++asked;
        r.answer.set_status(404);
        return true;
    };
    int delivered = 0;
    for (int i = 0; i < 5; ++i) {
        w.start(0, request::get("/rest/api/3/issue/A-1"), 5s,
                [&](result<response> const& got) { delivered += got && got->status() == 404; });
        w.pass(1min);
    }
    CHECK(delivered == 5);
    CHECK(asked == 5);
    CHECK(w.jira().token_requests == 1);
    w.check_books();
}

TEST_CASE("sim: a token that runs out while its call waits for a channel is not sent any more") {
    auto m = settled_world::one_site();
    m.token_lifetime = 100s;
    client_params p;
    p.pool.max_channels = 1;
    settled_world w(m, p);
    w.open_channel();
    w.jira().params().faults.token_down = 1;
    w.jira().params().latency = 110s;
    w.start(0, request::get(myself), 200s);
    w.pass(100ms);
    w.jira().params().latency = 20ms;
    w.start(0, request::get(myself), 200s);
    w.pass(120s);  // the first call's end gives it the only channel
    CHECK(w.totals.succeeded == 1 + 1);
    w.jira().params().faults.token_down = 0;
    w.pass(200s);
    CHECK(w.totals.succeeded == 1 + 2);
    CHECK(w.jira().unauthorized == 0);
    w.check_books();
}

TEST_CASE("sim: the token endpoint is not asked again before the time that it named") {
    engine_world w(settled_world::one_site(), {}, 22);
    int asked = 0;
    w.jira().script = [&](std::string_view host, detail::exchange_input const&, jira_model::reply& r) {
        if (host != auth_host) return false;
        ++asked;
        r.answer.set_status(429);
        r.answer.add_header("Retry-After", "120");
        return true;
    };
    w.add_all();
    w.time().run_until(w.time().now() + 119s);
    CHECK(asked == 1);
    w.time().run_until(w.time().now() + 5s);
    CHECK(asked == 2);
}

TEST_CASE("sim: a connection that is removed while its token is renewed is renewed no more") {
    auto m = settled_world::one_site();
    m.token_lifetime = 60s;
    settled_world w(m);
    w.open_channel();
    // A call in flight keeps the token for longer than its connection lives.
    w.jira().params().latency = 300s;
    w.start(0, request::get(myself), 400s);
    w.pass(1s);
    w.jira().params().latency = 2s;
    w.replace_secret(0);
    w.pass(1s);
    CHECK(w.jira().token_requests == 2);  // and the answer is on its way
    w.remove(0);
    w.pass(400s);
    CHECK(w.jira().token_requests == 2);
    CHECK(w.totals.succeeded == 2);
    w.check_books();
}

TEST_CASE("sim: a replaced secret is exchanged at once, by one refresh") {
    settled_world w;
    w.replace_secret(0);
    w.pass(5s);
    CHECK(w.jira().token_requests == 2);
    w.check_books();
}

TEST_CASE("sim: a call that waits for a channel sends nothing once its connection is removed") {
    client_params p;
    p.pool.max_channels = 1;
    settled_world w(settled_world::one_site(), p);
    w.open_channel();
    w.jira().params().latency = 5s;
    w.start(0, request::get(myself), 60s);
    w.pass(100ms);
    w.start(0, request::get(myself), 60s);
    w.pass(100ms);
    w.remove(0);
    w.pass(60s);
    CHECK(w.jira().requests == 1 + 1);
    CHECK(w.totals.cancelled == 1);
    CHECK(w.totals.succeeded == 1 + 1);
    w.check_books();
}

TEST_CASE("sim: a call that waits ends at once when its connection is removed, whatever it waits for") {
    struct waiting {
        char const* what_for;
        void (*close)(engine_world&);
    };
    static constexpr waiting kinds[] = {
        {"a channel that others use", [](engine_world& w) { w.jira().params().latency = 20s; }},
        {"a channel that cannot be dialled", [](engine_world& w) { w.jira().params().faults.refused_dials = 1; }},
        {"a permit",
         [](engine_world& w) { w.jira().close(jira_model::scope::site_unknown, 0, myself, w.time().now() + 1min); }},
    };
    for (auto const& kind : kinds) {
        INFO(kind.what_for);
        client_params p;
        p.pool.max_channels = 1;
        settled_world w(settled_world::one_site(), p);
        if (kind.close == kinds[0].close) w.open_channel();
        kind.close(w);
        w.start(0, request::get(myself), 60s);
        w.pass(1s);
        std::optional<error_code> ended;
        auto const at = [&w, removed = w.time().now()] { return w.time().now() - removed; };
        steady_duration took = 1h;
        for (int i = 0; i < 3; ++i)
            w.start(0, request::get(myself), 60s, [&](result<response> const& got) {
                ended = got ? error_code() : got.error().code();
                took = at();
            });
        w.pass(100ms);
        REQUIRE_FALSE(ended);
        w.remove(0);
        w.pass(50s);
        REQUIRE(ended);
        CHECK(*ended == errc::connection_removed);
        CHECK(took <= 110ms);
        w.check_books();
    }
}

TEST_CASE("sim: a resend that would come behind the deadline is not waited for: the answer at hand is delivered") {
    settled_world w;
    w.jira().params().faults.transient = 1;
    int delivered = 0;
    for (int i = 0; i < 200; ++i) {
        w.start(0, request::get(myself), std::chrono::milliseconds(150 + i),
                [&](result<response> const& got) { delivered += got && got->status() == 503; });
        w.pass(1s);
    }
    CHECK(delivered >= 100);
    CHECK(w.stats().resends[static_cast<std::size_t>(resend_reason::transient_answer)].value() >= 10);
    CHECK(w.totals.late == 0);
    w.check_books();
}

TEST_CASE("sim: the resends of all sites of an origin stay in its budget, however much each site's own would let go") {
    auto m = settled_world::one_site();
    m.sites = 200;
    settled_world w(m);
    w.jira().params().faults.lost_before = 1;
    for (int i = 0; i < 1000; ++i) {
        w.start(static_cast<std::size_t>(i % 200), request::get(myself), 20s);
        w.pass(10ms);
    }
    w.pass(60s);
    CHECK(w.totals.failed == 1000);
    CHECK(w.jira().requests <= 1000 + 100);
    CHECK(w.jira().requests >= 1000 + 90);
    w.check_books();
}

TEST_CASE("sim: when all channels die at once no read is lost, and the debt is earned back first") {
    auto m = settled_world::one_site();
    m.sites = 100;
    client_params p;
    p.pool.max_channels = 100;
    p.pool.min_idle = 100;  // a channel for each call: else most would wait for those of the first
    settled_world w(m, p);
    int to_lose = 0;
    w.jira().script = [&](std::string_view host, detail::exchange_input const&, jira_model::reply& r) {
        r.lost = host != auth_host && to_lose-- > 0;
        return r.lost;
    };
    auto const all_call = [&] {
        for (std::size_t i = 0; i < 100; ++i) w.start(i, request::get(myself), 20s);
        w.pass(15s);
    };
    all_call();
    all_call();
    REQUIRE(w.totals.succeeded == 200);
    to_lose = 100;
    all_call();
    CHECK(w.totals.succeeded == 300);
    CHECK(w.stats().channels_closed[static_cast<std::size_t>(close_reason::broken)].value() == 100);
    CHECK(w.stats().resends[static_cast<std::size_t>(resend_reason::channel_lost)].value() == 100);
    // 200 calls a round earn 9 resends; some 90 are owed, so an answer that is no channel's end is not asked for again.
    w.jira().params().faults.transient = 1;
    for (std::size_t i = 0; i < 100; ++i) w.start(i, request::get(myself), 5s);
    w.pass(10s);
    CHECK(w.stats().resends[static_cast<std::size_t>(resend_reason::transient_answer)].value() == 0);
    w.check_books();
}

TEST_CASE("sim: bulk operations give their place back however their exchanges end") {
    client_params p;
    p.retries.budget_max = 1'000;  // each of them is sent again
    settled_world w(settled_world::one_site(), p);
    auto& faults = w.jira().params().faults;
    for (auto* const fault : {&faults.unsent, &faults.refused_dials, &faults.lost_before, &faults.transient}) {
        *fault = 1;
        if (fault == &faults.refused_dials) w.pass(10min);  // no channel is left
        for (int i = 0; i < 8; ++i) w.start(0, request::post(bulk_delete).json("{}").resendable(true), 3s);
        w.pass(10s);
        *fault = 0;
        w.pass(10s);
        auto const before = w.totals.succeeded;
        for (int i = 0; i < 5; ++i) w.start(0, request::post(bulk_delete).json("{}"), 2s);
        w.pass(5s);
        CHECK(w.totals.succeeded == before + 5);
    }
}

TEST_CASE("sim: a pause that was learned before a site's cloud ID was holds behind it") {
    auto m = settled_world::one_site();
    m.all_kinds = true;
    m.sites = 4;  // the last one is reached by a personal token at its own host
    engine_world w(m, {}, 24);
    int asked = 0;
    w.jira().script = [&](std::string_view, detail::exchange_input const& in, jira_model::reply& r) {
        if (in.target.find("tenant_info") == std::string_view::npos || ++asked > 1) return false;
        r.answer.set_status(503);
        return true;
    };
    w.add_all();
    w.time().run_until(w.time().now() + 1s);
    REQUIRE(asked == 1);
    auto const until = w.time().now() + 60s;
    w.jira().close(jira_model::scope::route, 3, myself, until);
    w.jira().close(jira_model::scope::site_unknown, 3, myself, until);
    w.start(3, request::get(myself), 2s);
    w.time().run_until(w.time().now() + 20s);
    REQUIRE(asked == 2);
    REQUIRE(w.jira().limited == 1);
    w.start(3, request::get(myself), 60s);
    w.start(3, request::get("/rest/api/3/field"), 60s);
    w.time().run_until(w.time().now() + 60s);
    CHECK(w.jira().limited == 1);
    CHECK(w.totals.succeeded == 2);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE("sim: a secret replaced while its token is renewed leads to one refresh after the other") {
    auto m = settled_world::one_site();
    m.latency = 1s;
    engine_world w(m, {}, 25);
    w.add_all();
    w.time().run_until(w.time().now() + 3500ms);  // three for the dial; the exchange ends in half a second
    w.replace_secret(0);
    w.time().run_until(w.time().now() + 10s);
    CHECK(w.jira().token_requests == 2);
    w.start(0, request::get(myself), 30s);
    w.time().run_until(w.time().now() + 30s);
    CHECK(w.totals.succeeded == 1);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE("sim: a permit that leaves no time for the exchange is not waited for") {
    auto m = settled_world::one_site();
    m.get_rate = 2;
    client_params p;
    p.pool.min_idle = 10;  // no call meets a dial
    settled_world w(m, p);
    w.open_channel();
    w.jira().params().latency = 2s;
    for (int i = 0; i < 20; ++i) {
        w.start(0, request::get(myself), 10s);
        w.pass(3s);
    }
    REQUIRE(w.totals.succeeded == 1 + 20);
    for (int i = 0; i < 40; ++i) w.start(0, request::get(myself), 10s);
    w.pass(20s);
    CHECK(w.totals.succeeded >= 1 + 20 + 12);
    CHECK(w.totals.limited >= 15);
    CHECK(w.totals.failed == 0);
    w.check_books();
}
