#include "support/catch.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/world.hpp>

#include <set>

using namespace jirapool::mock;

namespace {

params sized(std::size_t sites, std::size_t each) {
    params p;
    p.sites = sites;
    p.personal = p.service = p.oauth = each;
    return p;
}

TEST_CASE("mock world: the same seed makes the same world, another seed another one") {
    params p = sized(3, 3);
    std::string const first = world(p).connections_json();
    CHECK(world(p).connections_json() == first);
    p.seed = 2;
    CHECK(world(p).connections_json() != first);
}

TEST_CASE("mock world: a connection's credential does not depend on how many others there are") {
    world const few(sized(9, 3));
    world const many(sized(9, 9));
    CHECK(few.find("oauth-0002")->secret == many.find("oauth-0002")->secret);
    CHECK(few.sites()[1].cloud_id == many.sites()[1].cloud_id);
}

TEST_CASE("mock world: kinds are spread over the sites and overlap") {
    world const w(sized(9, 9));
    CHECK(w.find("personal-0001")->site == 0);
    CHECK(w.find("service-0001")->site == 3);
    CHECK(w.find("oauth-0001")->site == 6);
    CHECK(w.find("oauth-0004")->site == 0);
    CHECK(w.find("oauth-0010") == nullptr);
    CHECK(w.site_of(*w.find("service-0001")).host == "site-0004.atlassian.net");
}

TEST_CASE("mock world: sites are found by host and by cloud id, and by nothing else") {
    world const w(sized(12'000, 0));
    CHECK(w.site_by_host("site-0001.atlassian.net") == 0u);
    CHECK(w.site_by_host("site-12000.atlassian.net") == 11'999u);
    for (auto const* const host :
         {"site-0000.atlassian.net", "site-1.atlassian.net", "site-00001.atlassian.net", "site-12001.atlassian.net",
          "site-0001.atlassian.com", "site-.atlassian.net", "site-", ""}) {
        INFO(host);
        CHECK_FALSE(w.site_by_host(host));
    }
    CHECK(w.site_by_cloud_id(w.sites()[77].cloud_id) == 77u);
    CHECK_FALSE(w.site_by_cloud_id(""));
    std::set<std::string> ids;
    for (site_info const& s : w.sites()) ids.insert(s.cloud_id);
    CHECK(ids.size() == 12'000);
}

TEST_CASE("mock world: credentials look like Atlassian's") {
    world const w(sized(2, 2));
    for (connection_info const& c : w.connections()) {
        INFO(c.id);
        switch (c.kind) {
        case connection_kind::personal:
            CHECK(c.secret.starts_with("ATATT3x"));
            CHECK(c.secret[c.secret.size() - 9] == '=');
            CHECK(c.email.find('@') != std::string::npos);
            break;
        case connection_kind::service: CHECK(c.secret.starts_with("ATSTT3x")); break;
        case connection_kind::oauth:
            CHECK(c.secret.starts_with("ATOA"));
            CHECK(c.client_id.size() == 32);
            break;
        }
    }
}

TEST_CASE("mock params: the defaults are valid and each wrong figure is named") {
    CHECK(why_invalid(params()) == nullptr);
    auto const broken = [](auto change) {
        params p;
        change(p);
        char const* const why = why_invalid(p);
        return std::string(why ? why : "valid");
    };
    CHECK(broken([](params& p) { p.address = "0.0.0.0"; }).find("loopback") != std::string::npos);
    CHECK(broken([](params& p) { p.address = "127.evil.example"; }).find("loopback") != std::string::npos);
    CHECK(broken([](params& p) { p.sites = 0; }).find("sites") != std::string::npos);
    CHECK(broken([](params& p) { p.threads = 0; }).find("threads") != std::string::npos);
    CHECK(broken([](params& p) { p.burst_scale = 0; }).find("burst_scale") != std::string::npos);
    CHECK(broken([](params& p) { p.faulty.error_rate = 1.1; }).find("error_rate") != std::string::npos);
    CHECK(broken([](params& p) { p.faulty.latency = std::chrono::hours{1}; }).find("latency") != std::string::npos);
    CHECK(broken([](params& p) { p.address = "127.0.0.2"; }) == "valid");
    CHECK(broken([](params& p) { p.address = "::1"; }) == "valid");
}

}  // namespace
