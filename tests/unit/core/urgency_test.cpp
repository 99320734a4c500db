#include <jirapool/core/urgency.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace jirapool;

namespace {

site_snapshot site(std::string name, double trouble = 0) {
    site_snapshot s;
    s.site = std::move(name);
    s.trouble = trouble;
    return s;
}

}  // namespace

TEST_CASE("urgency: each thing that is wrong with a site puts it before one that is well, and failures weigh most") {
    auto const well = site("well");
    CHECK(urgency_of(well) == 0);
    auto failing = site("failing", 1);
    auto waiting = site("waiting");
    waiting.waiting = 10;
    auto paused = site("paused");
    paused.paused_until = wall_time{};
    auto crowded = site("crowded");
    crowded.others = 0.6;
    auto spent = site("spent");
    spent.quota = budget_left{9, 100};
    for (auto const& s : {failing, waiting, paused, crowded, spent}) {
        INFO(s.site);
        CHECK(urgency_of(s) >= urgent_from);
        CHECK(more_urgent(s, well));
        CHECK_FALSE(more_urgent(well, s));
    }
    CHECK(more_urgent(paused, failing));
    CHECK(more_urgent(site("many", 30), paused));

    // A neighbour that leaves half, and a tenth of the points, are nothing to look at.
    crowded.others = 0.5;
    spent.quota = budget_left{10, 100};
    CHECK(urgency_of(crowded) == 0);
    CHECK(urgency_of(spent) == 0);
    waiting.waiting = 4;
    CHECK(urgency_of(waiting) < urgent_from);
}

TEST_CASE("urgency: equal sites are in the order of their names") {
    std::vector<site_snapshot> all{site("b", 1), site("c"), site("a", 1), site("d", 2)};
    std::sort(all.begin(), all.end(), more_urgent);
    std::string order;
    for (auto const& s : all) order += s.site;
    CHECK(order == "dabc");
}
