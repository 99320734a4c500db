// One event for a cause, and one when it is over.
#include "support/catch.hpp"

#include "engine_world.hpp"

#include <jirapool/core/site.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

namespace {

constexpr auto myself = "/rest/api/3/myself";

struct told_world {
    told_world(std::size_t sites, std::size_t shards, client_params p = {})
        : w(model(sites), listening(p), 91, shards) {
        w.add_all();
        pass(w, 60s);
        REQUIRE(told.empty());
    }

    /// Each connection calls once in each `every`, for so long.
    void call(steady_duration length, steady_duration every = 60s) {
        auto const end = w.time().now() + length;
        auto const n = w.jira().params().sites;
        for (std::size_t i = 0; w.time().now() < end; i = (i + 1) % n) {
            w.start(i, request::get(myself), 5s);
            pass(w, every / static_cast<int>(n));
        }
    }
    std::size_t count(event::kind k) const {
        return static_cast<std::size_t>(std::count_if(told.begin(), told.end(),
                                                      [k](auto const& e) { return e.what == k; }));
    }
    void finish() {
        w.finish();
        CHECK(joined(w.jira().violations) == "");
    }

    std::vector<event> told;
    engine_world w;

private:
    static model_params model(std::size_t sites) {
        model_params m;
        m.sites = sites;
        m.get_rate = 1e9;
        return m;
    }
    client_params listening(client_params p) {
        p.on_event = [this](event const& e) { told.push_back(e); };
        return p;
    }
};

}  // namespace

TEST_CASE(
    "events: an origin that is down for an hour is one event and one recovery, whatever calls and shards there are") {
    for (std::size_t const shards : {1u, 4u}) {
        INFO(shards << " shards");
        told_world t(1000, shards);
        t.w.jira().unreachable = gateway_host;
        pass(t.w, 2min);  // idle channels end
        auto const dials = t.w.jira().dial_times.size();
        auto const down_at = t.w.time().clock().wall();
        t.call(1h, 2min);
        REQUIRE(t.told.size() == 1);
        CHECK(t.told[0].what == event::kind::origin_down);
        CHECK(t.told[0].scope == gateway_host);
        CHECK(t.told[0].code == errc::connect_failed);
        CHECK(t.told[0].connection.empty());
        CHECK(t.told[0].detail.find("connect") != std::string::npos);
        CHECK(t.told[0].at - down_at < 1min);
        CHECK(t.w.jira().dial_times.size() - dials > 500);
        t.w.jira().unreachable.clear();
        t.call(10min);
        REQUIRE(t.told.size() == 2);
        CHECK(t.told[1].what == event::kind::origin_up);
        CHECK(t.told[1].scope == gateway_host);
        CHECK_FALSE(t.told[1].code);
        t.finish();
    }
}

TEST_CASE("events: an origin that flaps makes no storm") {
    client_params p;
    p.pool.idle_timeout = 1s;
    p.pool.max_lifetime = 2s;
    told_world t(100, 2, p);
    for (int i = 0; i < 600; ++i) {
        t.w.jira().unreachable = gateway_host;
        t.call(3s);
        t.w.jira().unreachable.clear();
        t.call(3s);
    }
    auto const downs = t.count(event::kind::origin_down);
    auto const ups = t.count(event::kind::origin_up);
    CHECK(downs >= 5);
    CHECK(downs <= 10);
    CHECK(ups <= downs);
    CHECK(ups + 1 >= downs);
    CHECK(t.told.size() == downs + ups);
    t.finish();
}

TEST_CASE("events: a token endpoint out of reach is its origin's event, and no credential's") {
    told_world t(200, 2);
    t.w.jira().unreachable = auth_host;
    t.call(80min, 2min);
    REQUIRE(t.told.size() == 1);
    CHECK(t.told[0].what == event::kind::origin_down);
    CHECK(t.told[0].scope == auth_host);
    t.w.jira().unreachable.clear();
    t.call(20min);
    REQUIRE(t.told.size() == 2);
    CHECK(t.told[1].what == event::kind::origin_up);
    t.finish();
}

TEST_CASE("events: a token endpoint that gives no token is one event and one recovery, not one for each credential") {
    for (std::size_t const shards : {1u, 4u}) {
        INFO(shards << " shards");
        told_world t(500, shards);
        t.w.jira().params().faults.token_down = 1;
        t.call(80min, 10min);
        REQUIRE(t.told.size() == 1);
        CHECK(t.told[0].what == event::kind::token_endpoint_down);
        CHECK(t.told[0].scope == auth_host);
        CHECK(t.told[0].code == errc::token_unavailable);
        CHECK(t.told[0].detail.find("503") != std::string::npos);
        t.w.jira().params().faults.token_down = 0;
        t.call(20min, 10min);
        REQUIRE(t.told.size() == 2);
        CHECK(t.told[1].what == event::kind::token_endpoint_up);
        CHECK(t.told[1].scope == auth_host);
        t.finish();
    }
}

TEST_CASE("events: a credential whose renewals fail while the others' work is one event and one recovery") {
    told_world t(100, 2);
    bool ill = true;
    auto const id = t.w.jira().config(7).principal();
    t.w.jira().script = [&](std::string_view host, detail::exchange_input const& in, jira_model::reply& r) {
        if (!ill || host != auth_host || in.body.find("client_id=" + id + "&") == in.body.npos) return false;
        r.answer.set_status(500);
        return true;
    };
    t.call(2h);
    REQUIRE(t.told.size() == 1);
    CHECK(t.told[0].what == event::kind::token_refresh_failed);
    CHECK(t.told[0].connection == t.w.site(7).id());
    CHECK(t.told[0].detail.find("500") != std::string::npos);
    ill = false;
    t.call(1h);
    REQUIRE(t.told.size() == 2);
    CHECK(t.told[1].what == event::kind::token_refresh_recovered);
    CHECK(t.told[1].connection == t.w.site(7).id());
    t.finish();
}

TEST_CASE("events: a limit that Jira keeps up for an hour is one event that says of what it is") {
    told_world t(4, 1);
    bool limited = true;
    std::size_t refused = 0;
    auto const path = std::string(t.w.jira().config(2).base_path());
    t.w.jira().script = [&](std::string_view, detail::exchange_input const& in, jira_model::reply& r) {
        if (!limited || in.base_path != path) return false;
        ++refused;
        r.answer.set_status(429);
        r.answer.add_header("Retry-After", "5");
        r.answer.add_header("RateLimit-Reason", "jira-burst-based");
        return true;
    };
    t.call(1h, 4s);
    CHECK(refused > 100);
    REQUIRE(t.told.size() == 1);
    CHECK(t.told[0].what == event::kind::limit_pause);
    CHECK(t.told[0].connection == t.w.site(2).id());
    CHECK(t.told[0].scope == std::string(t.w.site(2).site()) + " route GET /rest/api/{version}/myself");
    limited = false;
    t.call(10min, 4s);
    limited = true;
    t.call(1min, 4s);
    CHECK(t.count(event::kind::limit_pause) == 2);
    t.finish();
}
