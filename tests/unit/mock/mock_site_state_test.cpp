#include "support/catch.hpp"

#include "site_state.hpp"

#include <cmath>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

instant const t0{steady_time{1000h}, wall_time{500'000h}};

instant later(std::chrono::milliseconds t) { return instant{t0.steady + t, t0.wall + t}; }

TEST_CASE("mock site: issues exist before they were asked for, and change when written") {
    site_state site;
    site.open(3);
    CHECK(site.issue_count() == 3);
    REQUIRE(site.issue(3));
    CHECK_FALSE(site.issue(0));
    CHECK_FALSE(site.issue(4));
    CHECK(site.edit_issue(2, "new", t0.wall));
    CHECK(site.issue(2)->summary == "new");
    CHECK(site.issue(2)->updated == t0.wall);
    CHECK(site.issue(1)->summary != site.issue(3)->summary);
    CHECK_FALSE(site.edit_issue(4, "new", t0.wall));
    CHECK(site.delete_issue(2));
    CHECK_FALSE(site.delete_issue(2));
    CHECK_FALSE(site.issue(2));
    CHECK(site.issue_count() == 2);
}

TEST_CASE("mock site: a new issue gets the next number, and the oldest new ones are forgotten") {
    site_state site;
    site.open(2);
    CHECK(site.create_issue("a", t0) == 3);
    CHECK(site.create_issue("b", t0) == 4);
    CHECK(site.issue(3)->summary == "a");
    CHECK(site.delete_issue(3));
    for (std::size_t i = 0; i < site_state::max_created_issues; ++i) site.create_issue("x", t0);
    CHECK_FALSE(site.issue(4));
    CHECK(site.issue(2));
    CHECK(site.issue(5));
    CHECK(site.issue_count() == 2 + site_state::max_created_issues);
    bool more = false;
    CHECK(site.search(1, 3, more) == std::vector<std::uint32_t>{2, 5, 6});
    CHECK(more);
}

TEST_CASE("mock site: a search goes on after the last issue of the page before") {
    site_state site;
    site.open(5);
    site.delete_issue(2);
    bool more = false;
    CHECK(site.search(0, 2, more) == std::vector<std::uint32_t>{1, 3});
    CHECK(more);
    CHECK(site.search(3, 2, more) == std::vector<std::uint32_t>{4, 5});
    CHECK_FALSE(more);
    CHECK(site.search(5, 2, more).empty());
    CHECK(site.search(0xffffffffu, 2, more).empty());
}

TEST_CASE("mock site: buckets are the site's, one for each route") {
    params p;
    p.burst_get = 2;
    limit_table const limits(p);
    site_state site;
    site.open(1);
    auto const ask = [&](route r) { return site.admit(limits, r, 0, std::nullopt, t0).outcome; };
    CHECK(ask(route::get_myself) == admission::verdict::admitted);
    CHECK(ask(route::get_myself) == admission::verdict::admitted);
    CHECK(ask(route::get_myself) == admission::verdict::burst);
    CHECK(ask(route::get_server_info) == admission::verdict::admitted);
    std::vector<bucket_stats> buckets;
    site.append_buckets(7, buckets);
    REQUIRE(buckets.size() == 2);
    CHECK(buckets[0].site == 7);
    CHECK(buckets[0].route == "GET /rest/api/{version}/myself");
    CHECK(buckets[0].admitted == 2);
    CHECK(buckets[0].refused == 1);
}

TEST_CASE("mock site: permitted is the rate times the time between first and last request") {
    limit_table const limits{params()};
    site_state site;
    site.open(1);
    for (int i = 0; i <= 10; ++i) site.admit(limits, route::get_issue, 0, std::nullopt, later(i * 200ms));
    std::vector<bucket_stats> buckets;
    site.append_buckets(0, buckets);
    REQUIRE(buckets.size() == 1);
    CHECK(std::abs(buckets[0].permitted - 300) < 1e-6);
    site.reset_counts();
    buckets.clear();
    site.append_buckets(0, buckets);
    CHECK(buckets.empty());
}

TEST_CASE("mock site: what one limit refuses costs nothing of the others") {
    params p;
    p.quota_points = 1000;
    limit_table const limits(p);
    site_state site;
    site.open(2);
    auto const write = [&](std::uint32_t issue) { return site.admit(limits, route::edit_issue, issue, 1, t0); };
    for (int i = 0; i < 20; ++i) REQUIRE(write(1).outcome == admission::verdict::admitted);
    admission const refused = write(1);
    CHECK(refused.outcome == admission::verdict::issue_writes);
    CHECK(refused.quota_remaining == 980);
    admission const other = write(2);
    CHECK(other.outcome == admission::verdict::admitted);
    CHECK(other.remaining == 29);
}

TEST_CASE("mock site: a spent quota refuses until the hour ends, and leaves the bucket alone") {
    params p;
    p.quota_points = 3;
    limit_table const limits(p);
    site_state site;
    site.open(1);
    auto const read = [&](instant now) { return site.admit(limits, route::get_issue, 0, 2, now); };
    CHECK(read(t0).outcome == admission::verdict::admitted);
    CHECK(read(t0).outcome == admission::verdict::admitted);
    admission const refused = read(t0);
    CHECK(refused.outcome == admission::verdict::quota);
    CHECK(refused.wait == 1h);
    CHECK(site.admit(limits, route::get_issue, 0, std::nullopt, t0).remaining == 147);
    CHECK(read(later(1h)).outcome == admission::verdict::admitted);
}

TEST_CASE("mock site: webhooks are made, read, replaced and deleted") {
    site_state site;
    site.open(0);
    webhook_state w;
    w.name = std::string("n");
    CHECK(site.add_webhook(w) == 1u);
    CHECK(site.add_webhook(w) == 2u);
    REQUIRE(site.webhook(1));
    w.id = 1;
    w.name = std::string("m");
    CHECK(site.replace_webhook(w));
    CHECK(site.webhook(1)->name == "m");
    CHECK(site.delete_webhook(1));
    CHECK_FALSE(site.delete_webhook(1));
    CHECK_FALSE(site.replace_webhook(w));
    CHECK(site.webhook_count() == 1);
}

}  // namespace
