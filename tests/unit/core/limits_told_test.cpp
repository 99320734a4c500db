// What core makes of each answer that says "later". The same over TLS: tests/wire/limits_told_test.cpp.
#include "support/catch.hpp"
#include "support/limited_answers.hpp"

#include <jirapool/core/account_scope.hpp>
#include <jirapool/core/limiter.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/response.hpp>
#include <jirapool/core/shared_quota.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

using namespace jirapool;
using namespace jirapool::test;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};
// Neither at the top of a minute nor of a second.
wall_time const answered{std::chrono::sys_days{std::chrono::year(2026) / 11 / 30} + 9h + 34min + 11s + 250ms};

/// Two credentials of one kind at a site, and what the first one meets at another site.
struct world {
    explicit world(bool is_oauth) : oauth(is_oauth) { params.pause = untold_pause; }

    quota_scopes quotas(asker who) {
        bool const next_door = who == asker::neighbour || who == asker::neighbour_other_route;
        if (who == asker::elsewhere) return {&far_quota, oauth ? &over_sites : nullptr, &far_account};
        if (!next_door) return {&at_site, oauth ? &over_sites : nullptr, &account};
        if (oauth) return {&neighbours_quota, &neighbours_over_sites, &neighbours_account};
        return {&at_site, nullptr, &neighbours_account};
    }
    admission ask(asker who, steady_time now) {
        bool const issue = who != asker::other_route && who != asker::neighbour_other_route;
        auto const m = issue ? classify_route(method::put, who == asker::other_issue ? "/rest/api/3/issue/PROJ-2"
                                                                                     : "/rest/api/3/issue/PROJ-1")
                             : classify_route(method::get, "/rest/api/3/myself");
        limiter_waiter w(m, priority::interactive, quotas(who));
        auto& at = who == asker::elsewhere ? far : limiter;
        auto const word = at.admit(w, now, now + 10ms);
        at.remove(w);
        return word;
    }

    bool const oauth;
    limit_params params;
    random_engine random{7};
    site_limiter limiter{params}, far{params};
    std::atomic<std::uint32_t> in_flight{0};
    points_quota at_site, neighbours_quota, far_quota;
    account_scope account{in_flight}, neighbours_account{in_flight}, far_account{in_flight};
    std::shared_ptr<shared_quota> const all_sites = std::make_shared<shared_quota>();
    budget_share over_sites{all_sites}, neighbours_over_sites{std::make_shared<shared_quota>()};
};

}  // namespace

TEST_CASE("limits: what each answer that says `later` closes, for whom and for how long") {
    for (auto const& row : limited_answers())
        for (bool const oauth : {false, true})
            for (auto const who : all_askers) {
                INFO(row.scene << (oauth ? ", OAuth, asker " : ", API token, asker ") << static_cast<int>(who));
                auto const scope = oauth ? row.of_oauth : row.of_api_token;
                world w(oauth);
                response r;
                r.set_status(row.status);
                for (auto const& [name, value] : headers_of(row, answered)) r.add_header(name, value);
                auto const said = read_rate_headers(r, answered);
                auto const m = classify_route(method::put, "/rest/api/3/issue/PROJ-1");
                auto const lesson = w.limiter.on_answer(m, w.quotas(asker::same_issue), row.status, said, t0, answered,
                                                        w.random);
                CHECK((lesson.pause != limit_reason::none) == is_closed(row));
                auto const word = w.ask(who, t0);
                if (!is_closed(row) || !holds(scope, oauth, who)) {
                    CHECK(word.what == admission::kind::now);
                    continue;
                }
                REQUIRE(word.what == admission::kind::refused);
                CHECK(std::string_view(to_string(word.scope)) == to_string(scope));
                auto const least = end_of(row.lasts, answered) - answered;
                CHECK(word.at - t0 >= least);
                // Dates have whole seconds, and a closed quota is tried a second behind Jira's hour.
                CHECK(word.at - t0 <= least + 1s + jitter);
                // Then it is over, or tried.
                CHECK(w.ask(who, word.at).what == admission::kind::now);
            }
}

TEST_CASE("limits: the answers that say `later` name each reason, each scope and each way to tell a time") {
    auto const count = [](auto which) {
        return std::count_if(limited_answers().begin(), limited_answers().end(), which);
    };
    for (auto const t : {told::nothing, told::wait, told::longer_wait, told::minute, told::untold, told::unreadable,
                         told::too_long, told::hour_end})
        CHECK(count([t](auto const& a) { return a.lasts == t; }) > 0);
    for (auto const s : {limit_scope::none, limit_scope::route, limit_scope::issue, limit_scope::site,
                         limit_scope::site_quota, limit_scope::app_quota, limit_scope::account})
        CHECK(count([s](auto const& a) { return a.of_oauth == s; }) > 0);
    for (auto const reason : {limit_reason::none, limit_reason::burst, limit_reason::issue_write,
                              limit_reason::tenant_quota, limit_reason::global_quota, limit_reason::unknown,
                              limit_reason::account_cost, limit_reason::account_calls, limit_reason::other_product})
        CHECK(count([reason](auto const& a) {
                  response r;
                  for (auto const& [name, value] : headers_of(a, answered)) r.add_header(name, value);
                  return a.status == 429 && read_rate_headers(r, answered).reason == reason;
              }) > 0);
}
