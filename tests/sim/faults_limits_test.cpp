#include "support/catch.hpp"
#include "support/figure.hpp"
#include "support/sanitized.hpp"

#include "engine_world.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

namespace {

struct used {
    double share = 0;    ///< of what the server would have let through
    double limited = 0;  ///< of the requests
};

/// Two sites that advertise 100/s, at half again of what their buckets give.
used run_bucket(double size, bool whole_seconds) {
    constexpr double rate = 100;
    constexpr int length = 120, sites = 2;
    model_params m;
    m.sites = sites;
    m.get_rate = rate;
    m.bucket = size;
    m.whole_seconds = whole_seconds;
    engine_world w(m, {}, 31);
    w.add_all();
    w.time().run_until(w.time().now() + 5s + 370ms);
    auto const begun = w.time().now();
    double const given = whole_seconds ? std::min(rate, size) : rate;
    auto const every = std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(1 / (1.5 * given)));
    for (auto now = begun; now < begun + std::chrono::seconds(length); now += every) {
        w.time().run_until(now);
        for (std::size_t i = 0; i < sites; ++i) w.start(i, request::get("/rest/api/3/myself"), 5s);
    }
    w.time().run_until(begun + std::chrono::seconds(length));
    used u;
    u.share = static_cast<double>(w.jira().accepted) / (given * length * sites);
    w.time().run_until(begun + std::chrono::seconds(length + 10));
    u.limited = static_cast<double>(w.jira().limited) / static_cast<double>(w.jira().requests);
    CHECK(w.totals.failed == 0);
    w.finish();
    CHECK(w.jira().violations.empty());
    return u;
}

}  // namespace

TEST_CASE("faults: A3 a bucket of 5 to 100 beside an advertised 100 a second is learned and used") {
    double worst_429 = 0;
    for (bool const whole_seconds : {false, true})
        for (int const size : {5, 10, 20, 50, 100}) {
            if (test::sanitized && size != 5 && size != 50) continue;  // the figures have all of them
            auto const u = run_bucket(size, whole_seconds);
            auto const name = "bucket_" + std::to_string(size) + (whole_seconds ? "_whole_seconds" : "");
            INFO(name << ": used " << u.share << ", limited " << u.limited);
            figure(name + "_use", u.share);
            figure(name + "_429_share", u.limited);
            CHECK(u.share >= (whole_seconds ? 0.8 : 0.9));
            CHECK(u.limited <= 0.005);
            worst_429 = std::max(worst_429, u.limited);
        }
    figure("bucket_worst_429_share", worst_429);
}

TEST_CASE("faults: A4 a POST that is answered 503 with Retry-After keeps no other route of its site waiting") {
    model_params m;
    m.sites = 1;
    engine_world w(m, {}, 32);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    int posts = 0;
    w.jira().script = [&posts](std::string_view, detail::exchange_input const& in, jira_model::reply& r) {
        if (in.method != method::post || !in.target.starts_with("/rest/api/3/issue")) return false;
        ++posts;
        r.answer.set_status(503);
        r.answer.add_header("Retry-After", "600");
        return true;
    };
    w.start(0, request::post("/rest/api/3/issue").json("{}"), 30s);
    w.time().run_until(w.time().now() + 2s);
    REQUIRE(posts == 1);
    for (int i = 0; i < 20; ++i) {
        w.start(0, request::get("/rest/api/3/myself"), 2s);
        w.start(0, request::put("/rest/api/3/issue/A-1").json("{}"), 2s);
        w.start(0, request::post("/rest/api/3/issue").json("{}"), 2s);
        w.time().run_until(w.time().now() + 500ms);
    }
    CHECK(w.totals.succeeded == 40);
    CHECK(posts == 1);
    w.time().run_until(w.time().now() + 600s);
    w.jira().script = nullptr;
    w.start(0, request::post("/rest/api/3/issue").json("{}"), 2s);
    w.time().run_until(w.time().now() + 5s);
    CHECK(w.totals.succeeded == 41);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("faults: A5 writes to one issue in all its spellings keep its limits") {
    model_params m;
    m.sites = 1;
    engine_world w(m, {}, 33);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    // Channels are open: the limits are kept to some ten milliseconds of what a request waits behind its permit.
    for (auto const* const target : {"/rest/api/3/myself", "/rest/api/3/field"})
        for (int i = 0; i < 3; ++i) w.start(0, request::get(target), 5s);
    w.time().run_until(w.time().now() + 1s);
    char const* const spellings[] = {"/rest/api/3/issue/ABC-1", "/rest/api/3/issue/abc-1", "/rest/api/3/issue/ABC%2D1",
                                     "/rest/api/2/issue/%41bc-1", "/rest/api/3/iss%75e/aBC-1"};
    for (std::size_t i = 0; i < 150; ++i) {
        w.start(0, request::put(spellings[i % std::size(spellings)]).json("{}"), 60s);
        w.time().run_until(w.time().now() + 20ms);
    }
    w.time().run_until(w.time().now() + 70s);
    CHECK(w.jira().limited == 0);
    CHECK(w.totals.succeeded == 156);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("faults: A2 a connection that lacks a token keeps no permit from the others of its site") {
    for (bool const silent : {false, true}) {
        INFO((silent ? "the token endpoint is silent" : "the token endpoint is down"));
        model_params m;
        m.sites = 2;
        (silent ? m.faults.token_stalled : m.faults.token_down) = 1;
        engine_world w(m, {}, 35);
        w.jira().script = [](std::string_view host, detail::exchange_input const&, jira_model::reply& r) {
            if (host != gateway_host) return false;
            r.answer.set_status(200);
            return true;
        };
        auto const site = w.jira().config(0).cloud()->str();
        auto const own = w.jira().config(1);
        auto const lacking =
            w.engine()
                .add(make_connection_config("lacking", service_oauth(site, own.principal(), own.key().clone())).value())
                .value();
        auto const healthy =
            w.engine().add(make_connection_config("healthy", service_api_token(site, secret("k"))).value()).value();
        int ended = 0, ok = 0;
        for (int i = 0; i < 100; ++i)
            lacking.async_call(request::get("/rest/api/3/myself").timeout(20s),
                               [&](result<response> const&) { ++ended; });
        w.time().run_until(w.time().now() + 100ms);
        REQUIRE(ended == 0);
        for (int i = 0; i < 10; ++i)
            healthy.async_call(request::get("/rest/api/3/myself").timeout(5s),
                               [&](result<response> const& got) { ok += got && got->ok(); });
        w.time().run_until(w.time().now() + 2s);
        CHECK(ok == 10);
        w.time().run_until(w.time().now() + 60s);
        CHECK(ended == 100);
    }
}

TEST_CASE("faults: A2 calls to a host out of reach keep no permit from those that go to its site by the gateway") {
    model_params m;
    m.sites = 4;
    m.all_kinds = true;
    m.pairs = true;
    engine_world w(m, {}, 36);
    // Of one site: the third goes by the gateway, the fourth to its host.
    w.add_all();
    w.time().run_until(w.time().now() + 10min);  // which it is known to be, and no channel is open any more
    w.jira().unreachable = w.jira().config(3).host();
    int ended = 0, ok = 0;
    for (int i = 0; i < 100; ++i)
        w.start(3, request::get("/rest/api/3/myself"), 20s, [&](result<response> const&) { ++ended; });
    w.time().run_until(w.time().now() + 3s);
    REQUIRE(ended < 90);
    auto const begun = w.time().now();
    for (int i = 0; i < 10; ++i)
        w.start(2, request::get("/rest/api/3/myself"), 5s,
                [&](result<response> const& got) { ok += got && got->ok(); });
    w.time().run_until(begun + 2s);
    CHECK(ok == 10);
    w.time().run_until(begun + 60s);
    CHECK(ended == 100);
    w.finish();
    CHECK(w.jira().violations.empty());
}

TEST_CASE("faults: A6 an account that used up its budget keeps no other account of the site waiting") {
    for (auto const* const reason :
         {"jira-cost-based", "jira-max-concurrent-threads-across-all-instances-per-tenant-per-user"}) {
        model_params m;
        m.sites = 2;
        engine_world w(m, {}, 34);
        // Two accounts of one site.
        std::vector<connection> accounts;
        for (std::size_t i = 0; i < 2; ++i) {
            auto const own = w.jira().config(i);
            auto made = make_connection_config(own.id(), service_oauth(w.jira().config(0).cloud()->str(),
                                                                       own.principal(), own.key().clone()));
            accounts.push_back(w.engine().add(std::move(made).value()).value());
        }
        w.time().run_until(w.time().now() + 5s);
        int limited = 0, of_first = 0;
        w.jira().script = [&](std::string_view host, detail::exchange_input const& in, jira_model::reply& r) {
            if (host != gateway_host) return false;
            bool const first = in.authorization.starts_with("Bearer t-0-");
            of_first += first;
            bool const refuse = first && limited == 0;
            r.answer.set_status(refuse ? 429 : 200);
            if (!refuse) return true;
            ++limited;
            r.answer.add_header("RateLimit-Reason", reason);
            r.answer.add_header("Retry-After", "60");
            return true;
        };
        int ended[2] = {}, ok[2] = {};
        auto const call = [&](std::size_t n, char const* target) {
            accounts[n].async_call(request::get(target).timeout(2s), [&, n](result<response> const& got) {
                ++ended[n];
                ok[n] += got && got->ok();
            });
        };
        call(0, "/rest/api/3/myself");
        w.time().run_until(w.time().now() + 100ms);
        REQUIRE(limited == 1);
        for (int i = 0; i < 20; ++i) {
            call(0, "/rest/api/3/field");
            call(1, "/rest/api/3/field");
            call(1, "/rest/api/3/myself");
            w.time().run_until(w.time().now() + 100ms);
        }
        w.time().run_until(w.time().now() + 3s);
        CHECK(of_first == 1);
        CHECK(ok[0] == 0);
        CHECK(ended[0] == 21);
        CHECK(ok[1] == 40);
        w.time().run_until(w.time().now() + 61s);
        call(0, "/rest/api/3/field");
        w.time().run_until(w.time().now() + 3s);
        CHECK(ok[0] == 1);
        accounts.clear();
    }
}

TEST_CASE("faults: F3 a site that was told to wait for a day is tried after an hour") {
    for (auto const* const reason : {"", "jira-burst-based", "jira-quota-tenant-based", "jira-quota-global-based"}) {
        model_params m;
        m.sites = 1;
        engine_world w(m, {}, 35, 2);
        w.add_all();
        w.time().run_until(w.time().now() + 5s);
        int limited = 0;
        bool closed = true;
        w.jira().script = [&](std::string_view host, detail::exchange_input const&, jira_model::reply& r) {
            if (host != gateway_host || !closed) return false;
            ++limited;
            r.answer.set_status(429);
            if (*reason) r.answer.add_header("RateLimit-Reason", reason);
            r.answer.add_header("Retry-After", "86400");
            return true;
        };
        INFO("reason " << reason);
        // Three hours of calls every ten seconds: three 429s behind the first.
        auto const begun = w.time().now();
        for (auto now = begun; now < begun + 3h + 1min; now += 10s) {
            w.time().run_until(now);
            w.start(0, request::get("/rest/api/3/myself"), 2s);
        }
        CHECK(limited == 4);
        closed = false;
        for (auto const end = w.time().now() + 61min; w.time().now() < end;) {
            w.start(0, request::get("/rest/api/3/myself"), 2s);
            w.time().run_until(w.time().now() + 10s);
        }
        auto const before = w.totals.succeeded;
        w.start(0, request::get("/rest/api/3/myself"), 2s);
        w.time().run_until(w.time().now() + 10s);
        CHECK(w.totals.succeeded == before + 1);
        w.finish();
    }
}

TEST_CASE("faults: G10 pages of calls do not wait where their route's bucket is nearly full") {
    model_params m;
    m.sites = 1;
    m.get_rate = 10;
    engine_world w(m, {}, 36);
    w.add_all();
    w.time().run_until(w.time().now() + 5s);
    w.start(0, request::get("/rest/api/3/myself"), 5s);  // what tells the rate
    w.time().run_until(w.time().now() + 5s);
    auto const before = w.stats().limit_waits.value();
    for (int page = 0; page < 200; ++page) {
        for (int i = 0; i < 4; ++i) w.start(0, request::get("/rest/api/3/myself"), 5s);
        w.time().run_until(w.time().now() + 1s);
    }
    auto const waited = static_cast<double>(w.stats().limit_waits.value() - before);
    figure("page_calls_waited_share", waited / 800);
    CHECK(waited / 800 <= 0.01);
    CHECK(w.jira().limited == 0);
    CHECK(w.totals.succeeded == 801);
    w.finish();
    CHECK(w.jira().violations.empty());
}
