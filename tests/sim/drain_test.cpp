#include "support/catch.hpp"

#include "engine/drain_entry.hpp"
#include "engine_world.hpp"

#include <optional>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

namespace {

/// Begins to drain now; what comes of it, and when, once it ends.
struct draining {
    draining(engine_world& w, std::chrono::milliseconds patience) {
        auto finish = [this, &w](bool drained) {
            ended = w.time().now();
            all = drained;
        };
        detail::drain_entry::start(w.engine_shared(), patience, std::move(finish), {});
    }
    std::optional<steady_time> ended;
    bool all = false;
};

model_params slow_jira() {
    model_params m;
    m.sites = 6;
    m.latency = 1s;
    return m;
}

}  // namespace

TEST_CASE("sim: a drain lets calls in flight end, refuses new ones, and is over with the last") {
    engine_world w(slow_jira(), {}, 31, 3);
    w.add_all();
    w.time().run_until(w.time().now() + 10s);
    auto const begun = w.time().now();
    for (std::size_t i = 0; i < 6; ++i) w.start(i, request::get("/rest/api/3/myself"), 30s);
    w.time().run_until(begun + 100ms);
    draining d(w, 30s);
    w.time().run_until(begun + 200ms);
    w.start(0, request::get("/rest/api/3/myself"), 30s, [](result<response> const& r) {
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::stopped);
    });
    CHECK(w.engine().add(w.jira().config(0)).error().code() == errc::stopped);
    CHECK_FALSE(d.ended);
    w.time().run_until(begun + 30s);
    CHECK(w.totals.succeeded == 6);
    CHECK(w.totals.failed == 1);
    REQUIRE(d.ended);
    CHECK(d.all);
    CHECK(*d.ended <= begun + 5s);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("sim: a drain cuts off what is left when its patience is over") {
    engine_world w(slow_jira(), {}, 32, 2);
    w.add_all();
    w.time().run_until(w.time().now() + 10s);
    w.jira().params().faults.stalled = 1;
    auto const begun = w.time().now();
    for (std::size_t i = 0; i < 6; ++i) w.start(i, request::get("/rest/api/3/myself"), 60s);
    draining d(w, 2s);
    w.time().run_until(begun + 3s);
    REQUIRE(d.ended);
    CHECK(*d.ended == begun + 2s);
    CHECK_FALSE(d.all);
    CHECK(w.totals.failed == 6);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("sim: a drain with nothing in flight ends at once, and a stop in its middle ends it") {
    engine_world idle(slow_jira(), {}, 33, 2);
    idle.add_all();
    idle.time().run_until(idle.time().now() + 10s);
    auto const now = idle.time().now();
    draining at_once(idle, 30s);
    idle.time().run_until(now + 1ms);
    CHECK(at_once.all);

    engine_world w(slow_jira(), {}, 34, 2);
    w.add_all();
    w.time().run_until(w.time().now() + 10s);
    for (std::size_t i = 0; i < 6; ++i) w.start(i, request::get("/rest/api/3/myself"), 60s);
    draining d(w, 30s);
    w.time().run_until(w.time().now() + 10ms);
    w.engine().stop();
    w.time().run_until(w.time().now() + 10ms);
    REQUIRE(d.ended);
    CHECK(w.totals.failed == 6);
}
