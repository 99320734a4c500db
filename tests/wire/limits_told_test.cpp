// Each answer that says "later", of the mock's and over TLS, and what calls meet behind it. The table and what core makes of it alone:
// tests/support/limited_answers.hpp, tests/unit/core/limits_told_test.cpp.
#include "fixture.hpp"
#include "support/limited_answers.hpp"

#include <jirapool/mock/scenes.hpp>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::test;
using namespace jirapool::wire_test;

namespace {

using lines = std::vector<std::pair<std::string, std::string>>;

mock::params two_sites() {
    mock::params p;
    p.sites = 2;
    p.personal = 4;
    p.service = 4;
    p.oauth = 4;
    return p;
}

wall_time wall_now() {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

/// As names are over HTTP/2.
std::string lower_case(std::string_view name) {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

/// Whether a header tells of limits.
bool tells(std::string const& lower) {
    return lower.find("ratelimit") != lower.npos || lower.find("retry-after") != lower.npos ||
           lower == "x-failure-category";
}

/// Those of an answer, or only those that announce.
lines told_by(response const& r, bool announced_only) {
    lines all;
    for (std::size_t i = 0; i < r.header_count(); ++i) {
        auto const name = lower_case(r.header_name(i));
        if (!tells(name)) continue;
        if (announced_only && name.find("beta-") == name.npos) continue;
        all.emplace_back(name, r.header_value(i));
    }
    std::sort(all.begin(), all.end());
    return all;
}

/// The mock gave what the table says, at some moment within the call.
bool is_as_told(limited_answer const& row, response const& r, wall_time begun, wall_time ended) {
    auto const is = told_by(r, row.status == 200);
    for (auto t = begun; t <= ended + 1s; t += 1s) {
        auto should = headers_of(row, t);
        for (auto& [name, value] : should) name = lower_case(name);
        std::sort(should.begin(), should.end());
        if (is == should) return true;
    }
    return false;
}

/// The connections that ask behind an answer, in a client that has just learned nothing but their sites.
struct household {
    household(fixture const& f, mock::connection_kind kind) : jira(1, f.params) {
        auto const& w = f.jira.world();
        std::vector<mock::connection_info const*> there, at_other_site;
        for (auto const& c : w.connections())
            if (c.kind == kind) (c.site == 0 ? there : at_other_site).push_back(&c);
        subject = there[0];
        me = jira.add(f.config(there[0]->id)).value();
        neighbour = jira.add(f.config(there[1]->id)).value();
        if (kind == mock::connection_kind::oauth)
            elsewhere = jira.add(make_connection_config("elsewhere",
                                                        service_oauth(w.sites()[1].cloud_id, there[0]->client_id,
                                                                      secret(there[0]->secret)))
                                     .value())
                            .value();
        else elsewhere = jira.add(f.config(at_other_site[0]->id)).value();
        // A personal token's site is known by its host until its cloud ID is. Those of service accounts name theirs: once there are
        // no more sites than two, all have found each other.
        for (auto const& c : w.connections())
            if (c.kind == mock::connection_kind::service && kind == mock::connection_kind::personal)
                others.push_back(jira.add(f.config(c.id)).value());
        REQUIRE(eventually([&] { return jira.totals().sites == 2; }));
        // Each has its token and a channel.
        for (auto const* const c : {&me, &neighbour})
            REQUIRE(call(**c, request::get("/rest/api/3/myself")).value().status() == 200);
    }

    result<response> ask(asker who, std::chrono::milliseconds timeout) const {
        bool const next_door = who == asker::neighbour || who == asker::neighbour_other_route;
        auto const& c = *(who == asker::elsewhere ? elsewhere : next_door ? neighbour : me);
        if (who == asker::other_route || who == asker::neighbour_other_route)
            return call(c, request::get("/rest/api/3/serverInfo").timeout(timeout));
        return call(c, request::put(who == asker::other_issue ? "/rest/api/3/issue/PROJ-2" : "/rest/api/3/issue/PROJ-1")
                           .json(R"({"fields":{"summary":"x"}})")
                           .timeout(timeout));
    }

    runtime jira;
    mock::connection_info const* subject = nullptr;
    std::optional<connection> me, neighbour, elsewhere;
    std::vector<connection> others;
};

void check_all(mock::connection_kind kind) {
    fixture f(two_sites());
    f.params.limits.pause = untold_pause;
    f.params.retries.max_limited = 0;
    f.params.retries.max_exchanges = 1;
    bool const oauth = kind == mock::connection_kind::oauth;
    for (auto const& row : limited_answers()) {
        INFO(row.scene << " to " << mock::to_string(kind));
        auto const scope = oauth ? row.of_oauth : row.of_api_token;
        household const h(f, kind);
        mock::scene_request r;
        r.what = mock::find_scene(row.scene).value();
        r.connection = static_cast<std::size_t>(h.subject - f.jira.world().connections().data());
        r.times = 1;
        r.wait = told_wait;
        // What ends with the hour is not asked for so late in it that it would be over before all have asked.
        REQUIRE(eventually([] { return std::chrono::ceil<std::chrono::hours>(wall_now()) - wall_now() > 9s; }, 15s));
        f.jira.play(r);

        auto const begun = wall_now();
        auto const answer = h.ask(asker::same_issue, 30s);
        auto const ended = wall_now();
        REQUIRE(answer.has_value());
        if (row.status == 200) CHECK(answer->ok());
        else CHECK(answer->status() == row.status);
        CHECK(is_as_told(row, *answer, begun, ended));

        for (auto const who : all_askers) {
            INFO("asker " << static_cast<int>(who));
            auto const asked = wall_now();
            auto const met = h.ask(who, 5s);
            auto const told_at = wall_now();
            bool const refused = !met.has_value() && met.error().code() == errc::limited_past_deadline;
            REQUIRE(refused == (is_closed(row) && holds(scope, oauth, who)));
            if (!refused) continue;
            CHECK(met.error().rule() == std::string("its turn comes too late at the limit of its ") + to_string(scope));
            REQUIRE(met.error().retry_after().has_value());
            auto const rest = *met.error().retry_after();
            CHECK(told_at + rest >= std::min(end_of(row.lasts, begun), end_of(row.lasts, ended)));
            // Dates have whole seconds, both in what Jira says and by its clock.
            CHECK(asked + rest <= std::max(end_of(row.lasts, begun), end_of(row.lasts, ended)) + 2s + jitter);
        }
    }
    CHECK(f.jira.snapshot().scenes == limited_answers().size());
}

}  // namespace

TEST_CASE("limits: what each answer that says `later` closes for a personal API token, over TLS") {
    check_all(mock::connection_kind::personal);
}

TEST_CASE("limits: what each answer that says `later` closes for a service account's API token, over TLS") {
    check_all(mock::connection_kind::service);
}

TEST_CASE("limits: what each answer that says `later` closes for an OAuth credential, over TLS") {
    check_all(mock::connection_kind::oauth);
}
