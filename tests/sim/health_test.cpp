#include "support/catch.hpp"
#include "support/figure.hpp"
#include "support/sanitized.hpp"

#include "engine_world.hpp"

#include <jirapool/core/site.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

// Whether connections work, of a fleet in virtual time: who is told what, when, and how often a bad credential is used.

namespace {

struct told {
    std::string connection;
    event::kind what;
    steady_time at;
};

/// What is told of connections, but for pauses, dials and the like.
class event_book {
public:
    void listen(client_params& p) {
        p.on_event = [this](event const& e) {
            if (!e.connection.empty() && e.what != event::kind::limit_pause &&
                e.what != event::kind::token_refresh_failed && e.what != event::kind::token_refresh_recovered)
                all.push_back({e.connection, e.what, world->time().now()});
        };
    }
    std::vector<told> of(std::string const& connection) const {
        std::vector<told> some;
        for (auto const& t : all)
            if (t.connection == connection) some.push_back(t);
        return some;
    }
    std::vector<told> all;
    engine_world* world = nullptr;
};

/// Of a token request by the client id in it, of another by where it goes.
class site_finder {
public:
    explicit site_finder(engine_world& w, std::size_t sites) {
        for (std::size_t n = 0; n < sites; ++n) {
            auto const c = w.jira().config(n);
            by_place_[c.host() + c.base_path()] = n;
        }
    }
    std::size_t operator()(std::string_view host, detail::exchange_input const& in) const {
        if (host != auth_host) return by_place_.at(std::string(host) + std::string(in.base_path));
        auto const at = in.body.find("client-") + 7;
        return static_cast<std::size_t>(std::stoul(std::string(in.body.substr(at))));
    }

private:
    std::map<std::string, std::size_t> by_place_;
};

void say(jira_model::reply& r, int status, std::string_view body, bool nobody = false) {
    r.answer.set_status(status);
    r.answer.mutable_body().append(body.data(), body.size());
    if (nobody) r.answer.add_header("x-seraph-loginreason", "AUTHENTICATED_FAILED");
}

}  // namespace

TEST_CASE(
    "health: of 3,000 connections those that lose their credential are told, rest, and are told to be well again") {
    constexpr std::size_t count = 3000;
    model_params m;
    m.sites = count;
    m.all_kinds = true;
    client_params p;
    p.health.verify = true;
    event_book events;
    events.listen(p);
    engine_world w(m, p, 61);
    events.world = &w;
    site_finder const site_of(w, count);

    // Of each kind one that is called and one that is not.
    std::map<std::size_t, bool> chosen;
    std::map<connection_kind, int> of_kind;
    for (std::size_t n = 1000; chosen.size() < 6; ++n) {
        auto const k = w.jira().config(n).kind();
        if (of_kind[k] < 2) chosen[n] = of_kind[k]++ == 0;
    }
    bool bad = false;
    std::map<std::size_t, std::vector<steady_time>> used;
    w.jira().script = [&](std::string_view host, detail::exchange_input const& in, jira_model::reply& r) {
        if (!bad || in.target == "/_edge/tenant_info") return false;
        auto const n = site_of(host, in);
        if (!chosen.contains(n)) return false;
        used[n].push_back(w.time().now());
        if (host == auth_host) say(r, 401, R"({"error":"access_denied"})");
        else if (host != gateway_host && !in.target.ends_with("/myself")) say(r, 200, "[]", true);
        else say(r, 401, R"({"code":401,"message":"Unauthorized"})");
        return true;
    };
    w.add_all();
    pass(w, 1h);
    CHECK(events.all.empty());
    std::int64_t healthy = 0;
    for (auto const& kind : w.stats().conditions)
        healthy += kind[static_cast<std::size_t>(connection_condition::healthy)].value();
    CHECK(healthy == count);

    bad = true;
    auto const fell = w.time().now();
    random_engine random{9};
    for (int i = 0; i < 3 * 3600; i += 10) {
        for (auto const& [n, called] : chosen)
            if (called) w.start(n, request::get("/rest/api/3/issue/A-1"), 5s);
        for (int k = 0; k < 20; ++k) {
            auto const n = static_cast<std::size_t>(random() % count);
            if (!chosen.contains(n)) w.start(n, request::get("/rest/api/3/issue/A-1"), 5s);
        }
        pass(w, 10s);
    }
    double latest = 0;
    double most_used = 0;
    for (auto const& [n, called] : chosen) {
        INFO(n << (called ? " is called, " : " is not called, ") << to_string(w.jira().config(n).kind()));
        auto const of_it = events.of(w.site(n).id());
        REQUIRE(of_it.size() == 1);
        CHECK((of_it.front().what == event::kind::credential_refused ||
               of_it.front().what == event::kind::credential_anonymous));
        auto const took = std::chrono::duration<double>(of_it.front().at - fell).count();
        CHECK(took <= (called ? 1 : 3600));
        if (!called) latest = std::max(latest, took);
        CHECK(w.site(n).status().condition == connection_condition::credential_rejected);
        // Behind what was under way when it was told.
        auto const& times = used[n];
        for (std::size_t i = 0; i < times.size(); ++i) {
            if (times[i] <= of_it.front().at + 1s) continue;
            auto const in_an_hour = std::count_if(times.begin(), times.end(),
                                                  [&](auto t) { return t >= times[i] && t < times[i] + 1h; });
            most_used = std::max(most_used, static_cast<double>(in_an_hour));
        }
    }
    figure("refusal_told_without_traffic_s", latest);
    figure("refused_credential_exchanges_per_hour", most_used);
    CHECK(most_used <= 1);
    CHECK(total(w.stats().credentials_refused) == 6);
    CHECK(events.all.size() == 6);

    bad = false;
    auto const repaired = w.time().now();
    for (auto const& [n, called] : chosen) w.replace_secret(n);
    pass(w, 1min);
    double healed = 0;
    for (auto const& [n, called] : chosen) {
        auto const of_it = events.of(w.site(n).id());
        REQUIRE(of_it.size() == 2);
        CHECK(of_it.back().what == event::kind::healed);
        healed = std::max(healed, std::chrono::duration<double>(of_it.back().at - repaired).count());
        CHECK(w.site(n).status().condition == connection_condition::healthy);
    }
    figure("replaced_credential_healed_s", healed);
    CHECK(healed <= 60);
    CHECK(total(w.stats().credentials_refused) == 0);
    CHECK(events.all.size() == 12);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE("health: connections that come to a few are checked as soon as those, however seldom that is") {
    for (auto const every : {std::chrono::seconds(2h), std::chrono::seconds::max()}) {
        model_params m;
        m.sites = 500;
        client_params p;
        p.health.verify = true;
        p.health.verify_every = every;
        event_book events;
        events.listen(p);
        engine_world w(m, p, 64);
        events.world = &w;
        auto const first = w.engine().add(w.jira().config(0)).value();
        pass(w, 20min);
        CHECK(first.status().condition == connection_condition::unknown);
        std::vector<connection> late;
        for (std::size_t n = 1; n < m.sites; ++n) late.push_back(w.engine().add(w.jira().config(n)).value());
        pass(w, 1h + 1min);
        for (auto const& c : late) CHECK(c.status().condition == connection_condition::healthy);
        CHECK(events.all.empty());
        // What was heard of lately is left alone.
        auto const asked = w.jira().requests;
        pass(w, every > 2h ? 24h : 1s);
        CHECK(w.jira().requests == asked);
        w.finish();
        CHECK(joined(w.jira().violations) == "");
    }
}

TEST_CASE("health: calls that wait when the credential is refused do not go out with it") {
    model_params m;
    m.sites = 4;
    m.all_kinds = true;
    m.get_rate = 5;
    engine_world w(m, client_params(), 63);
    w.add_all();
    pass(w, 1s);
    std::size_t n = 0;
    while (w.jira().config(n).kind() != connection_kind::service_api_token) ++n;
    std::uint64_t used = 0;
    w.jira().script = [&](std::string_view, detail::exchange_input const&, jira_model::reply& r) {
        ++used;
        say(r, 401, R"({"code":401,"message":"Unauthorized"})");
        return true;
    };
    for (int i = 0; i < 50; ++i) w.start(n, request::get("/rest/api/3/issue/A-1"), 30s);
    pass(w, 30s);
    CHECK(w.totals.ended() == 50);
    CHECK(used <= 10);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE(
    "health: in a year each credential's end is told 30, 7 and 1 days before, once, and none is used behind its end") {
    constexpr std::size_t count = test::sanitized ? 600 : 3000;
    model_params m;
    m.sites = 2 * count;  // half of them have no API token
    m.all_kinds = true;
    client_params p;
    event_book events;
    events.listen(p);
    engine_world w(m, p, 62);
    events.world = &w;
    site_finder const site_of(w, m.sites);
    auto const wall = [&] { return std::chrono::floor<std::chrono::seconds>(w.time().clock().wall()); };

    struct credential_life {
        std::size_t site;
        connection handle;
        std::chrono::sys_seconds end;
        int version = 0;
    };
    std::map<std::string, std::chrono::sys_seconds> ends;  // by secret
    random_engine random{10};
    auto const config = [&](std::size_t n, credential_life const* old, std::chrono::sys_seconds end, int version) {
        auto const c = w.jira().config(n);
        auto const key = "key-" + std::to_string(n) + "-" + std::to_string(version);
        ends[key] = end;
        connection_options o;
        o.expires_at = end;
        auto const id = old != nullptr ? old->handle.id() : c.id();
        if (c.kind() == connection_kind::service_api_token)
            return make_connection_config(id, service_api_token(c.cloud()->str(), secret(key)), o).value();
        return make_connection_config(id, personal_api_token("https://" + c.host(), "a@acme.example", secret(key)), o)
            .value();
    };
    std::uint64_t used_behind_end = 0;
    std::uint64_t used = 0;
    w.jira().script = [&](std::string_view host, detail::exchange_input const& in, jira_model::reply& r) {
        if (in.target == "/_edge/tenant_info") return false;
        ++used;
        auto const bearer = std::string(in.authorization.substr(0, 7));
        if (host == gateway_host && bearer == "Bearer ") {
            auto const end = ends.find(std::string(in.authorization.substr(7)));
            if (end == ends.end() || wall() > end->second) ++used_behind_end;
        }
        say(r, 200, "{}");
        return true;
    };
    std::vector<credential_life> all;
    for (std::size_t n = 0; n < m.sites && all.size() < count; ++n) {
        if (w.jira().config(n).kind() == connection_kind::service_oauth) continue;
        auto const end = wall() + std::chrono::hours(24 * 10) + std::chrono::hours(random() % (24 * 345));
        all.push_back({n, w.engine().add(config(n, nullptr, end, 0)).value(), end});
    }
    REQUIRE(all.size() == count);
    std::size_t rotated = 0;
    for (int day = 0; day < 365; ++day) {
        for (auto& c : all) {
            // Timely: within the last day before the end.
            if (c.end - wall() < 24h && c.version == 0) {
                ++rotated;
                c.version = 1;
                c.end = wall() + std::chrono::hours(24 * 800);
                w.engine().replace(config(c.site, &c, c.end, 1)).value();
            }
            if (random() % 7 == 0)
                c.handle.async_call(request::get("/rest/api/3/myself"),
                                    [](result<response> const& r) { CHECK(r.has_value()); });
        }
        pass(w, 24h);
    }
    CHECK(rotated == count);
    CHECK(used > 40 * count);
    CHECK(used_behind_end == 0);
    figure("expired_credential_calls", static_cast<double>(used_behind_end));
    // Of the first credential: each warning that came before it was replaced, once; of those that began with less than 30 days, two
    // or three. The second one's end is far.
    std::map<std::string, std::vector<event::kind>> by_connection;
    for (auto const& e : events.all) by_connection[e.connection].push_back(e.what);
    std::size_t twice = 0;
    for (auto const& c : all) {
        auto const& told = by_connection[c.handle.id()];
        CHECK(std::count(told.begin(), told.end(), event::kind::credential_expired) == 0);
        if (told.size() > 3) ++twice;
        CHECK(told.size() >= 2);
    }
    CHECK(twice == 0);
    figure("expiry_warnings_repeated", static_cast<double>(twice));
    w.destroy_engine();  // its calls are none of the world's, which counts them
}
