#include "support/catch.hpp"

#include "engine_world.hpp"

#include <jirapool/core/overview.hpp>
#include <jirapool/core/site.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

// What a client tells of single sites and connections: the ones in trouble, whatever their number, and never more than the bounds.

namespace {

using surveys = std::vector<std::shared_ptr<survey const>>;

/// What the shards see when they have looked now. Nobody waits in virtual time.
surveys seen(engine_world& w, overview const& o) {
    o.look(0ms);
    w.time().run_until(w.time().now());
    auto all = o.look(0ms);
    w.time().run_until(w.time().now());
    return all;
}

template <class Of>
std::size_t sum(surveys const& all, Of of) {
    std::size_t n = 0;
    for (auto const& s : all) n += of(*s);
    return n;
}

std::set<std::string> followed_in_trouble(surveys const& all) {
    std::set<std::string> names;
    for (auto const& s : all)
        for (auto const& site : s->sites)
            if (site.calls && site.trouble > 0.5) names.insert(site.site);
    return names;
}

std::set<std::string> told_connections(surveys const& all) {
    std::set<std::string> ids;
    for (auto const& s : all)
        for (auto const& c : s->in_trouble) ids.insert(c.id);
    return ids;
}

void answer(jira_model::reply& r, int status, std::string_view body) {
    r.answer.set_status(status);
    r.answer.mutable_body().append(body.data(), body.size());
}

/// Every site answers 500; tokens are given.
void fail_all(engine_world& w) {
    w.jira().script = [](std::string_view host, detail::exchange_input const&, jira_model::reply& r) {
        if (host == auth_host) return false;
        answer(r, 500, "{}");
        return true;
    };
}

}  // namespace

TEST_CASE("overview: of 3,000 connections it names those whose credential is refused, and the sites that fail") {
    model_params m;
    m.sites = 3000;
    client_params p;
    p.retries.max_exchanges = 1;
    engine_world w(m, p, 71, 4);
    auto const view = detail::make_overview(w.engine_shared());
    std::set<std::string> bad_cloud;
    std::set<std::string> failing_cloud;
    w.jira().script = [&](std::string_view, detail::exchange_input const& in, jira_model::reply& r) {
        auto const site = std::string(in.base_path.substr(in.base_path.rfind('/') + 1));
        if (bad_cloud.contains(site)) answer(r, 401, R"({"code":401,"message":"Unauthorized"})");
        else if (failing_cloud.contains(site)) answer(r, 500, "{}");
        else return false;
        return true;
    };
    w.add_all();
    pass(w, 5min);
    auto all = seen(w, *view);
    REQUIRE(all.size() == 4);
    CHECK(sum(all, [](auto& s) { return s.tokens; }) == 3000);
    CHECK(sum(all, [](auto& s) { return s.stale_tokens; }) == 0);
    CHECK(told_connections(all).empty());
    CHECK(followed_in_trouble(all).empty());
    for (auto const& s : all) {
        REQUIRE(s->soonest_expiry);
        CHECK(*s->soonest_expiry > 0s);
        CHECK(*s->soonest_expiry < 1h);
        REQUIRE(s->oldest_token);
        CHECK(*s->oldest_token > 0s);
        CHECK(*s->oldest_token < 1h);
    }

    std::set<std::string> refused;
    std::set<std::string> failing;
    for (std::size_t n = 0; n < 60; ++n) {
        auto const c = w.jira().config(50 * n);
        bad_cloud.insert(std::string(w.site(50 * n).site()));
        refused.insert(c.id());
    }
    for (std::size_t n = 0; n < 40; ++n) {
        auto const site = std::string(w.site(50 * n + 7).site());
        failing_cloud.insert(site);
        failing.insert(site);
    }
    for (int i = 0; i < 3; ++i) {
        for (std::size_t n = 0; n < m.sites; ++n) w.start(n, request::get("/rest/api/3/issue/A-1"), 10s);
        pass(w, 20s);
    }
    all = seen(w, *view);
    CHECK(told_connections(all) == refused);
    for (auto const& s : all)
        for (auto const& c : s->in_trouble) CHECK(c.status.condition == connection_condition::credential_rejected);
    auto const followed = followed_in_trouble(all);
    CHECK(std::includes(followed.begin(), followed.end(), failing.begin(), failing.end()));
    CHECK(sum(all, [](auto& s) { return s.sites.size(); }) <= p.overview.max_sites);

    // Followed, a failing site's calls are under its own name, the others' are not.
    auto const failed = [&](surveys const& from) {
        std::uint64_t n = 0;
        for (auto const& s : from)
            for (auto const& site : s->sites)
                if (failing.contains(site.site) && site.calls)
                    n += (*site.calls)[static_cast<std::size_t>(call_fault::jira)];
        return n;
    };
    auto const before = failed(all);
    for (std::size_t n = 0; n < m.sites; ++n) w.start(n, request::get("/rest/api/3/issue/A-1"), 10s);
    pass(w, 20s);
    all = seen(w, *view);
    CHECK(failed(all) - before == failing.size());

    auto const connections = view->connections();
    REQUIRE(connections.size() == 3000);
    CHECK(std::is_sorted(connections.begin(), connections.end(), [](auto& a, auto& b) { return a.id < b.id; }));
    auto const rejected = std::count_if(connections.begin(), connections.end(), [](auto const& c) {
        return c.status.condition == connection_condition::credential_rejected;
    });
    CHECK(rejected == 60);

    // They heal, and are named no more; an hour later nothing is left of the trouble.
    bad_cloud.clear();
    failing_cloud.clear();
    for (std::size_t n = 0; n < 60; ++n) w.replace_secret(50 * n);
    pass(w, 3h);
    all = seen(w, *view);
    CHECK(told_connections(all).empty());
    CHECK(followed_in_trouble(all).empty());
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE(
    "overview: more trouble than the bounds have room for is counted, and a listed site is followed in any case") {
    model_params m;
    m.sites = 1000;
    client_params p;
    p.retries.max_exchanges = 1;
    p.overview.max_sites = 10;
    p.overview.max_connections = 7;
    std::string listed;
    {
        jira_model const names(m, 72);
        auto const c = names.config(500);
        listed = c.base_path().substr(c.base_path().rfind('/') + 1);
    }
    p.overview.sites = {listed};
    engine_world w(m, p, 72, 2);
    auto const view = detail::make_overview(w.engine_shared());
    w.jira().script = [&](std::string_view host, detail::exchange_input const& in, jira_model::reply& r) {
        if (host == auth_host || in.base_path.ends_with(listed)) return false;
        answer(r, 401, R"({"code":401,"message":"Unauthorized"})");
        return true;
    };
    w.add_all();
    pass(w, 5min);
    // The first calls of each are answered with 401, which is an answer; those behind them end with credential_refused.
    for (int i = 0; i < 4; ++i) {
        for (std::size_t n = 0; n < m.sites; ++n) w.start(n, request::get("/rest/api/3/issue/A-1"), 10s);
        pass(w, 1min);
    }
    auto const all = seen(w, *view);
    auto const sites = sum(all, [](auto& s) { return s.sites.size(); });
    auto const connections = sum(all, [](auto& s) { return s.in_trouble.size(); });
    CHECK(sites <= 10);
    CHECK(connections <= 8);  // shared out among the shards
    CHECK(sum(all, [](auto& s) { return s.untold; }) == 2 * 999 - (sites - 1) - connections);
    bool found = false;
    for (auto const& s : all)
        for (auto const& site : s->sites) {
            if (site.site != listed) continue;
            found = true;
            REQUIRE(site.calls);
            CHECK((*site.calls)[static_cast<std::size_t>(call_fault::credential)] == 0);
        }
    CHECK(found);

    // Removed, nothing of them is left, nor the tracks that they had.
    for (std::size_t n = 0; n < m.sites; ++n) w.remove(n);
    pass(w, 1min);
    auto const empty = seen(w, *view);
    CHECK(sum(empty, [](auto& s) { return s.sites.size() + s.in_trouble.size() + s.untold; }) == 0);
    w.finish();
    CHECK(joined(w.jira().violations) == "");
}

TEST_CASE(
    "overview: all sites that are listed are followed, whichever shards they are on, and the others share the rest") {
    model_params m;
    m.sites = 200;
    client_params p;
    p.overview.max_sites = 20;
    {
        jira_model const names(m, 75);
        for (std::size_t n = 0; n < 16; ++n) p.overview.sites.push_back(names.config(10 * n).cloud()->str());
    }
    REQUIRE(why_invalid(p) == nullptr);
    engine_world w(m, p, 75, 8);
    auto const view = detail::make_overview(w.engine_shared());
    fail_all(w);
    w.add_all();
    pass(w, 5min);
    for (std::size_t n = 0; n < m.sites; ++n) w.start(n, request::get("/rest/api/3/issue/A-1"), 10s);
    pass(w, 1min);
    std::size_t listed = 0;
    std::size_t others = 0;
    for (auto const& s : seen(w, *view))
        for (auto const& site : s->sites) {
            REQUIRE(site.calls);
            auto const& names = p.overview.sites;
            ++(std::find(names.begin(), names.end(), site.site) != names.end() ? listed : others);
        }
    CHECK(listed == 16);
    CHECK(others == 8);  // four, as far as they can be shared out
    w.finish();
}

TEST_CASE("overview: credentials that end are counted by how soon, and the soonest told first") {
    model_params m;
    m.sites = 8;
    client_params p;
    p.overview.max_connections = 3;
    engine_world w(m, p, 73);
    auto const view = detail::make_overview(w.engine_shared());
    auto const now = std::chrono::floor<std::chrono::seconds>(w.time().clock().wall());
    auto const day = std::chrono::hours(24);
    std::chrono::seconds const ends_in[] = {40 * day, 29 * day, 8 * day, 6 * day,
                                            2 * day,  23h,      1h,      std::chrono::seconds(-1h)};
    for (std::size_t n = 0; n < std::size(ends_in); ++n) {
        connection_options o;
        o.expires_at = now + ends_in[n];
        auto const cloud = w.jira().config(n).cloud()->str();
        w.engine().add(
            make_connection_config("c" + std::to_string(n), service_api_token(cloud, secret("key")), o).value());
    }
    pass(w, 1s);
    auto const all = seen(w, *view);
    REQUIRE(all.size() == 1);
    CHECK(all[0]->endings == std::array<std::size_t, 4>{2, 2, 2, 1});
    REQUIRE(all[0]->expiring.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) CHECK(all[0]->expiring[i].id == "c" + std::to_string(7 - i));
    w.finish();
}

TEST_CASE("overview: it outlives its client, and tells what was known last") {
    model_params m;
    m.sites = 20;
    engine_world w(m, {}, 74);
    auto const view = detail::make_overview(w.engine_shared());
    w.add_all();
    pass(w, 1min);
    CHECK(seen(w, *view)[0]->tokens == 20);
    CHECK(view->bounds().size() > 5);
    w.finish();
    w.drop_handles();
    w.destroy_engine();
    auto const after = view->look(0ms);
    REQUIRE(after.size() == 1);
    CHECK(after[0]->tokens == 20);
    CHECK(view->connections().empty());
    CHECK(view->sites(0ms).size() <= 20);
    CHECK(detail::stats_access::of(*view).size() == 1);
    REQUIRE(view->paces().size() == 1);
    CHECK(view->paces()[0].age);
}

TEST_CASE("overview: a site with several connections is one site") {
    model_params m;
    m.sites = 3;
    engine_world w(m, {}, 76);
    auto const view = detail::make_overview(w.engine_shared());
    fail_all(w);
    w.add_all();
    std::vector<connection> more;
    for (int i = 0; i < 5; ++i) {
        auto const cloud = w.jira().config(0).cloud()->str();
        more.push_back(w.engine()
                           .add(make_connection_config("more-" + std::to_string(i),
                                                       service_api_token(cloud, secret("key")), {})
                                    .value())
                           .value());
    }
    pass(w, 1min);
    for (std::size_t n = 0; n < m.sites; ++n) w.start(n, request::get("/rest/api/3/issue/A-1"), 10s);
    pass(w, 1min);
    auto const all = seen(w, *view);
    REQUIRE(all.size() == 1);
    CHECK(all[0]->sites.size() == 3);
    CHECK(all[0]->untold == 0);
    more.clear();
    w.finish();
}

TEST_CASE("overview: the oldest token's age is told") {
    model_params m;
    m.sites = 4;
    engine_world w(m, {}, 77);
    auto const view = detail::make_overview(w.engine_shared());
    w.add_all();
    pass(w, 10min);
    w.replace_secret(0);
    w.start(0, request::get("/rest/api/3/issue/A-1"), 10s);
    pass(w, 1min);
    auto const all = seen(w, *view);
    REQUIRE(all[0]->oldest_token);
    CHECK(*all[0]->oldest_token >= 10min);
    CHECK(*all[0]->oldest_token <= 11min);
    w.finish();
}
