// Whether a connection works, as its answers over TLS tell it: core/doc/jira-cloud.md, 2.5.
#include "fixture.hpp"

#include <jirapool/mock/scenes.hpp>

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using mock::scene;
using condition = connection_condition;
using cause = condition_cause;

namespace {

// In the order of small_world's connections: two of each kind.
constexpr std::size_t personal = 0;
constexpr std::size_t service = 3;
constexpr std::size_t oauth = 6;

std::string id_of(fixture const& f, std::size_t connection) { return f.jira.world().connections()[connection].id; }

mock::scene_request always(scene s, std::size_t connection) {
    mock::scene_request r;
    r.what = s;
    r.connection = connection;
    return r;
}

result<connection_status> verified(connection c) {
    asio::io_context io;
    auto f = asio::co_spawn(io, c.verify(), asio::use_future);
    io.run();
    return f.get();
}

std::size_t count(event_log const& log, event::kind k) {
    auto const all = log.all();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [k](auto const& e) { return e.what == k; }));
}

constexpr auto none = static_cast<event::kind>(255);

}  // namespace

TEST_CASE("health: what each row of the fact sheet says of a connection, over TLS") {
    struct {
        scene plays;
        std::size_t connection;
        condition becomes;
        cause why;
        event::kind told;
        int status;  // of a call; 0: it has no answer
        errc error{};
    } const rows[] = {
        {scene::anonymous, personal, condition::credential_rejected, cause::anonymous,
         event::kind::credential_anonymous, 0, errc::anonymous_answer},
        {scene::anonymous_denied, personal, condition::credential_rejected, cause::anonymous,
         event::kind::credential_anonymous, 0, errc::anonymous_answer},
        {scene::anonymous_404, personal, condition::credential_rejected, cause::anonymous,
         event::kind::credential_anonymous, 0, errc::anonymous_answer},
        {scene::unauthorized, personal, condition::credential_rejected, cause::unauthorized,
         event::kind::credential_refused, 401},
        {scene::unauthorized_text, personal, condition::credential_rejected, cause::unauthorized,
         event::kind::credential_refused, 401},
        {scene::unauthorized_gateway, service, condition::credential_rejected, cause::unauthorized,
         event::kind::credential_refused, 401},
        {scene::unauthorized_gateway, oauth, condition::credential_rejected, cause::unauthorized,
         event::kind::credential_refused, 401},
        {scene::scope_mismatch, service, condition::scope_missing, cause::lacks_scope, event::kind::scope_missing, 401},
        {scene::scope_mismatch_body, oauth, condition::scope_missing, cause::lacks_scope, event::kind::scope_missing,
         401},
        {scene::unknown_cloud_401, service, condition::scope_missing, cause::lacks_scope, event::kind::scope_missing,
         401},
        {scene::scoped_token_on_site, personal, condition::misconfigured, cause::wrong_host, event::kind::misconfigured,
         401},
        {scene::app_not_installed, service, condition::misconfigured, cause::not_installed, event::kind::misconfigured,
         403},
        {scene::app_not_installed, oauth, condition::misconfigured, cause::not_installed, event::kind::misconfigured,
         403},
        {scene::unknown_cloud_404, service, condition::misconfigured, cause::unknown_site, event::kind::misconfigured,
         404},
        {scene::unknown_cloud_404, oauth, condition::misconfigured, cause::unknown_site, event::kind::misconfigured,
         404},
        {scene::site_gone, personal, condition::site_gone, cause::unknown_site, event::kind::site_gone, 404},
        {scene::forbidden, personal, condition::healthy, cause::none, none, 403},
        {scene::forbidden, oauth, condition::healthy, cause::none, none, 403},
        {scene::not_found, service, condition::healthy, cause::none, none, 404},
        {scene::not_found, oauth, condition::healthy, cause::none, none, 404},
        {scene::conflict, personal, condition::healthy, cause::none, none, 409},
        {scene::removed_endpoint, personal, condition::healthy, cause::none, none, 410},
        {scene::too_large, personal, condition::healthy, cause::none, none, 413},
        {scene::xsrf, personal, condition::healthy, cause::none, none, 403},
        {scene::edge_html_400, personal, condition::healthy, cause::none, none, 400},
        {scene::edge_html_403, service, condition::healthy, cause::none, none, 403},
        {scene::edge_html_405, personal, condition::healthy, cause::none, none, 405},
        {scene::unavailable, personal, condition::healthy, cause::none, none, 503},
        {scene::bad_gateway, service, condition::healthy, cause::none, none, 502},
        {scene::gateway_timeout, personal, condition::healthy, cause::none, none, 504},
    };
    for (auto const& row : rows) {
        INFO(mock::to_string(row.plays) << " to " << row.connection);
        fixture f(small_world());
        event_log const log(f.params);
        f.params.retries.max_exchanges = 1;
        runtime jira(1, f.params);
        auto const c = jira.add(f.config(id_of(f, row.connection))).value();
        auto const read = [&] { return call(c, request::get("/rest/api/3/issue/PROJ-1")); };
        REQUIRE(read().value().status() == 200);
        REQUIRE(c.status().condition == condition::healthy);
        f.jira.play(always(row.plays, row.connection));
        auto const before = wall_time(std::chrono::floor<std::chrono::seconds>(
            std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now())));

        auto const answer = read();
        if (row.status != 0) CHECK(answer.value().status() == row.status);
        else CHECK(answer.error().code() == row.error);
        REQUIRE(eventually([&] { return c.status().condition == row.becomes && c.status().cause == row.why; }));
        auto const status = c.status();
        if (row.becomes != condition::healthy) {
            CHECK(status.since >= before - std::chrono::seconds(1));
            CHECK(status.describe().size() > 20);
            CHECK(count(log, row.told) == 1);
        }
        // Refused is refused: nothing is sent any more.
        if (row.becomes == condition::credential_rejected || row.why == cause::wrong_host) {
            auto const sent = f.jira.snapshot().requests;
            for (int i = 0; i < 5; ++i) {
                auto const why = read().error();
                CHECK(why.code() == errc::credential_refused);
                CHECK(why.retry_after().value_or(std::chrono::milliseconds(0)) > std::chrono::minutes(50));
            }
            CHECK(f.jira.snapshot().requests == sent);
            CHECK(status.until.has_value());
        }
        // It is told once, and once that it is over.
        f.jira.end_scenes();
        auto const healed = verified(c);
        if (row.becomes == condition::scope_missing) REQUIRE(read().value().status() == 200);
        CHECK(healed.has_value());
        CHECK(c.status().condition == condition::healthy);
        CHECK(count(log, event::kind::healed) == (row.becomes == condition::healthy ? 0 : 1));
        std::map<event::kind, int> told;
        for (auto const& e : log.all()) {
            ++told[e.what];
            CHECK(e.at >= before - std::chrono::seconds(10));
            if (e.what == event::kind::credential_refused) CHECK(e.code == errc::credential_refused);
            if (e.what == event::kind::credential_anonymous) CHECK(e.code == errc::anonymous_answer);
            // Its calls end so only where the credential rests.
            if (e.what == event::kind::misconfigured)
                CHECK(e.code == (row.why == cause::wrong_host ? error_code(errc::credential_refused) : error_code()));
            if (e.what == event::kind::scope_missing || e.what == event::kind::site_gone) CHECK_FALSE(e.code);
            if (e.what == event::kind::healed) CHECK_FALSE(e.code);
        }
        CHECK(told.size() == (row.becomes == condition::healthy ? 0u : 2u));
        for (auto const& [what, times] : told) CHECK(times == 1);
    }
}

TEST_CASE("health: a connection that a limit closes for minutes is told with what its calls end with") {
    fixture f(small_world());
    event_log const log(f.params);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    mock::scene_request limited;
    limited.what = scene::limited_quota_tenant;
    limited.wait = 5min;
    f.jira.play(limited);
    auto const read = [&] { return call(c, request::get("/rest/api/3/issue/PROJ-1").timeout(5s)); };
    REQUIRE(read().value().status() == 429);
    REQUIRE(eventually([&] { return count(log, event::kind::limited_for_long) == 1; }));
    for (auto const& e : log.all())
        if (e.what == event::kind::limited_for_long) CHECK(e.code == errc::limited_past_deadline);
    CHECK(read().error().code() == errc::limited_past_deadline);
}

TEST_CASE("health: a 401 of one route alone is a missing scope, which that route heals") {
    fixture f(small_world());
    event_log const log(f.params);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config(id_of(f, service))).value();
    REQUIRE(call(c, request::get("/rest/api/3/myself")).value().status() == 200);
    auto once = always(scene::unauthorized_gateway, service);
    once.times = 1;
    f.jira.play(once);
    CHECK(call(c, request::get("/rest/api/3/issue/PROJ-1")).value().status() == 401);
    REQUIRE(eventually([&] { return c.status().condition == condition::scope_missing; }));
    auto const events = log.all();
    REQUIRE(events.size() == 1);
    CHECK(events.front().detail.find("GET /rest/api/{version}/issue/{issueIdOrKey}") != std::string::npos);
    CHECK(call(c, request::get("/rest/api/3/myself")).value().status() == 200);
    CHECK(c.status().condition == condition::scope_missing);
    CHECK(call(c, request::get("/rest/api/3/issue/PROJ-2")).value().status() == 200);
    CHECK(c.status().condition == condition::healthy);
}

TEST_CASE("health: behind a 429 a refused credential is not believed") {
    for (auto const s : {scene::login_required, scene::anonymous}) {
        fixture f(small_world());
        event_log const log(f.params);
        f.params.retries.max_limited = 0;
        runtime jira(1, f.params);
        auto const c = jira.add(f.config(id_of(f, personal))).value();
        REQUIRE(call(c, request::get("/rest/api/3/myself")).value().status() == 200);
        auto limited = always(scene::limited_burst, personal);
        limited.times = 1;
        limited.wait = std::chrono::seconds(5);
        f.jira.play(limited);
        CHECK(call(c, request::get("/rest/api/3/myself")).value().status() == 429);
        f.jira.play(always(s, personal));
        [[maybe_unused]] auto const other = call(c, request::get("/rest/api/3/issue/PROJ-1"));
        CHECK(c.status().condition == condition::healthy);
        CHECK(count(log, event::kind::credential_anonymous) + count(log, event::kind::credential_refused) == 0);
    }
}

TEST_CASE("health: the token endpoint's refusal is a state, and calls go on with the token that is held") {
    fixture f(small_world());
    event_log const log(f.params);
    runtime jira(1, f.params);
    auto const c = jira.add(f.config(id_of(f, oauth))).value();
    REQUIRE(call(c, request::get("/rest/api/3/myself")).value().status() == 200);
    CHECK(c.status().token_expires.has_value());
    f.jira.play(always(scene::token_access_denied_403, oauth));
    REQUIRE(jira.replace(f.config(id_of(f, oauth))).has_value());
    REQUIRE(eventually([&] { return c.status().condition == condition::credential_rejected; }));
    CHECK(c.status().cause == cause::token_endpoint);
    CHECK(call(c, request::get("/rest/api/3/myself")).value().status() == 200);
    CHECK(c.status().condition == condition::credential_rejected);
    CHECK(count(log, event::kind::credential_refused) == 1);
    f.jira.end_scenes();
    REQUIRE(jira.replace(f.config(id_of(f, oauth))).has_value());
    REQUIRE(eventually([&] { return count(log, event::kind::healed) == 1; }));
    CHECK(c.status().condition == condition::healthy);
}

TEST_CASE("health: verify tells a state without traffic, and why Jira cannot be asked") {
    fixture f(small_world());
    runtime jira(1, f.params);
    auto const& world = f.jira.world();
    auto const& who = world.connections()[personal];
    connection_options patient;
    patient.timeout = 2s;
    auto const good = jira.add(who.id,
                               personal_api_token("https://" + world.site_of(who).host, who.email, secret(who.secret)),
                               patient)
                          .value();
    auto const bad = jira.add(f.config(id_of(f, service), "worn-out")).value();
    auto const worse = jira.add(f.config(id_of(f, oauth), "worn-out")).value();
    CHECK(good.status().condition == condition::unknown);
    CHECK(good.host() == f.jira.world().site_of(f.jira.world().connections()[personal]).host);
    CHECK(bad.site() == f.jira.world().site_of(f.jira.world().connections()[service]).cloud_id);
    auto const is_good = verified(good);
    CHECK(is_good.value().condition == condition::healthy);
    CHECK(is_good.value().last_success.has_value());
    CHECK(verified(bad).value().condition == condition::credential_rejected);
    CHECK(verified(worse).value().cause == cause::token_endpoint);
    f.jira.stop();
    auto const later = verified(good);
    REQUIRE_FALSE(later.has_value());
    CHECK(later.error().code() == errc::connect_failed);
    CHECK(good.status().condition == condition::healthy);
    jira.stop();
    CHECK(verified(good).error().code() == errc::stopped);
    CHECK(good.status().condition == condition::healthy);
}

TEST_CASE("health: a state may be asked from an event's handler, from other threads, and behind the client's end") {
    fixture f(small_world());
    std::optional<connection> c;
    std::atomic<int> told_in_handler{0};
    f.params.on_event = [&](event const& e) {
        if (e.what == event::kind::credential_refused && c->status().condition == condition::credential_rejected)
            ++told_in_handler;
    };
    auto jira = std::make_unique<runtime>(2, f.params);
    c = jira->add(f.config(id_of(f, service), "worn-out")).value();
    std::atomic<bool> over{false};
    std::atomic<int> empty{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i)
        readers.emplace_back([&, one = *c] {
            while (!over)
                if (one.status().describe().empty()) ++empty;
        });
    for (int i = 0; i < 20; ++i) {
        bool const good = i % 2 == 1;
        auto const key = good ? std::optional<std::string>() : std::optional<std::string>("worn-out");
        CHECK(jira->replace(f.config(id_of(f, service), key)).has_value());
        CHECK(verified(*c).value().condition == (good ? condition::healthy : condition::credential_rejected));
    }
    over = true;
    for (auto& t : readers) t.join();
    CHECK(empty == 0);
    CHECK(told_in_handler == 10);
    jira.reset();
    CHECK(c->status().condition == condition::healthy);
    CHECK(verified(*c).error().code() == errc::stopped);
}

TEST_CASE("health: connections come and go by state in the gauges") {
    fixture f(small_world());
    runtime jira(2, f.params);
    auto const total = [&](condition c) {
        std::int64_t n = 0;
        for (auto const& s : detail::stats_access::of(jira))
            for (auto const& kind : s->conditions) n += kind[static_cast<std::size_t>(c)].value();
        return n;
    };
    auto const good = jira.add(f.config(id_of(f, service))).value();
    auto const bad = jira.add(f.config(id_of(f, service + 1), "worn-out")).value();
    CHECK(verified(good).has_value());
    CHECK(verified(bad).has_value());
    CHECK(total(condition::healthy) == 1);
    CHECK(total(condition::credential_rejected) == 1);
    CHECK(jira.remove(bad.id()));
    REQUIRE(eventually([&] { return total(condition::credential_rejected) == 0; }));
    CHECK(bad.status().condition == condition::credential_rejected);
    CHECK(jira.remove(good.id()));
    REQUIRE(eventually([&] { return total(condition::healthy) == 0; }));
    CHECK(total(condition::unknown) == 0);
}
