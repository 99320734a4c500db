#include <jirapool/core/rate_headers.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

using fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// 1 Jan 2026 00:00:00 UTC
constexpr wall_time new_year{1'767'225'600'000ms};

response answer(fields f) {
    response r;
    for (auto const& [name, value] : f) r.add_header(name, value);
    return r;
}
rate_headers read(fields f, wall_time now = new_year) { return read_rate_headers(answer(f), now); }

std::string_view reason(std::string_view value) { return to_string(read({{"RateLimit-Reason", value}}).reason); }

/// -1 for absent: reads well when it fails.
long long retry_after(std::string_view value, wall_time now = new_year) {
    auto const s = read({{"Retry-After", value}}, now).retry_after;
    return s ? static_cast<long long>(s->count()) : -1;
}
long long limit(std::string_view value) {
    auto const n = read({{"X-RateLimit-Limit", value}}).limit;
    return n ? static_cast<long long>(*n) : -1;
}
/// "q r w t", `-` for absent; "none" when the quota is not named.
std::string show(std::optional<quota_item> const& item) {
    if (!item) return "none";
    auto const number = [](auto const& n) { return n ? std::to_string(*n) : std::string("-"); };
    auto const time = [](auto const& n) { return n ? std::to_string(n->count()) : std::string("-"); };
    return number(item->quota) + " " + number(item->remaining) + " " + time(item->window) + " " + time(item->reset_in);
}
std::string global(std::string_view value) { return show(read({{"RateLimit", value}}).global_quota); }
std::string tenant(std::string_view value) { return show(read({{"RateLimit", value}}).tenant_quota); }

/// Milliseconds since 1970, -1 for absent.
long long iso(std::string_view text) {
    auto const t = parse_iso_time(text);
    return t ? static_cast<long long>(t->time_since_epoch().count()) : -1;
}
long long http(std::string_view text) {
    auto const t = parse_http_date(text);
    return t ? static_cast<long long>(t->time_since_epoch().count()) : -1;
}

}  // namespace

TEST_CASE("rate_headers: an answer without any says nothing") {
    auto const h = read({{"Content-Type", "application/json"}, {"Server", "AtlassianEdge"}});
    CHECK_FALSE(h.limit);
    CHECK_FALSE(h.remaining);
    CHECK_FALSE(h.reset);
    CHECK_FALSE(h.near_limit);
    CHECK(h.reason == limit_reason::none);
    CHECK_FALSE(h.retry_after);
    CHECK_FALSE(h.global_quota);
    CHECK_FALSE(h.tenant_quota);
    CHECK_FALSE(h.date);
}

TEST_CASE("rate_headers: a plain 200 carries the route's rate, in any case of letters") {
    for (auto const& h : {read({{"X-RateLimit-Limit", "350"}, {"X-RateLimit-Remaining", "349"}}),
                          read({{"X-Ratelimit-Limit", "350"}, {"X-Ratelimit-Remaining", "349"}}),
                          read({{"x-ratelimit-limit", " 350 "}, {"X-RATELIMIT-REMAINING", "\t349"}})}) {
        CHECK(h.limit == 350u);
        CHECK(h.remaining == 349u);
    }
}

TEST_CASE("rate_headers: a number that is none reads as absent") {
    CHECK(limit("0") == 0);
    CHECK(limit("007") == 7);
    CHECK(limit("4294967295") == 4'294'967'295);
    for (auto const* bad : {"", " ", "-1", "+1", "1.0", "1e3", "0x10", "4294967296", "99999999999999999999999999",
                            "1 2", "350, 349", "many", "1;w=1", "\xd9\xa3"}) {
        CAPTURE(bad);
        CHECK(limit(bad) == -1);
    }
}

TEST_CASE("rate_headers: of two equal headers the more careful one counts") {
    auto const h = read({{"X-RateLimit-Limit", "350"},
                         {"X-RateLimit-Limit", "100"},
                         {"X-RateLimit-Remaining", "0"},
                         {"X-RateLimit-Remaining", "12"},
                         {"X-RateLimit-Reset", "2026-01-01T00:00:05Z"},
                         {"X-RateLimit-Reset", "2026-01-01T00:00:03Z"},
                         {"X-RateLimit-NearLimit", "true"},
                         {"X-RateLimit-NearLimit", "false"},
                         {"Retry-After", "nonsense"},
                         {"Retry-After", "5"},
                         {"Retry-After", "2"},
                         {"RateLimit-Reason", "jira-quota-tenant-based"},
                         {"RateLimit-Reason", "jira-burst-based"}});
    CHECK(h.limit == 100u);
    CHECK(h.remaining == 0u);
    CHECK(h.reset == new_year + 5s);
    CHECK(h.near_limit);
    CHECK(h.retry_after == 5s);
    CHECK(h.reason == limit_reason::tenant_quota);
}

TEST_CASE("rate_headers: near-limit is only ever `true`") {
    CHECK(read({{"X-RateLimit-NearLimit", "true"}}).near_limit);
    CHECK(read({{"X-Ratelimit-Nearlimit", " True "}}).near_limit);
    for (auto const* value : {"false", "", "1", "yes", "truely"}) {
        CHECK_FALSE(read({{"X-RateLimit-NearLimit", value}}).near_limit);
    }
}

TEST_CASE("rate_headers: Retry-After in seconds") {
    CHECK(retry_after("1") == 1);
    CHECK(retry_after("1847") == 1847);
    CHECK(retry_after("0") == 0);
    CHECK(retry_after(" 30\t") == 30);
    CHECK(retry_after("86400") == 86'400);
    CHECK(retry_after("86401") == 86'400);
    CHECK(retry_after("99999999999999999999999999999") == 86'400);
    for (auto const* none : {"", " ", "\t"}) {
        CAPTURE(none);
        CHECK(retry_after(none) == -1);
    }
    // Odd spellings: faults_texts_test.cpp.
    CHECK(retry_after("soon") == 60);
}

TEST_CASE("rate_headers: Retry-After as a date is relative to the answer's own Date") {
    CHECK(retry_after("Thu, 01 Jan 2026 00:00:30 GMT") == 30);
    CHECK(retry_after("Thu, 01 Jan 2026 00:00:30 GMT", new_year + 100ms) == 30);  // 29.9 s, rounded up
    CHECK(retry_after("Wed, 31 Dec 2025 23:59:59 GMT") == 0);
    CHECK(retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
    CHECK(retry_after("Fri, 01 Jan 2027 00:00:00 GMT") == 86'400);
    CHECK(retry_after("Fri, 31 Dec 9999 23:59:59 GMT", wall_time::min()) == 86'400);
    CHECK(retry_after("Fri, 31 Dec 9999 23:59:59 GMT", wall_time::max()) == 0);
    CHECK(retry_after("Thu, 32 Jan 2026 00:00:30 GMT") == 60);  // unreadable

    constexpr std::string_view date = "Thu, 01 Jan 2026 00:00:10 GMT";
    constexpr std::string_view later = "Thu, 01 Jan 2026 00:01:10 GMT";
    // Our clock is an hour off, and says nothing here.
    auto const h = read({{"Date", date}, {"Retry-After", later}}, new_year + 1h);
    CHECK(h.retry_after == 60s);
    CHECK(h.date == new_year + 10s);
    CHECK(read({{"Retry-After", later}, {"Date", date}}, new_year + 1h).retry_after == 60s);
    CHECK(read({{"Retry-After", later}, {"Date", date}, {"Retry-After", "90"}}).retry_after == 90s);
    CHECK(read({{"Retry-After", later}, {"Date", date}, {"Retry-After", "9"}}).retry_after == 60s);
}

TEST_CASE("rate_headers: a reason names its scope") {
    CHECK(reason("jira-burst-based") == "burst");
    CHECK(reason("jira-per-issue-on-write") == "issue_write");
    CHECK(reason("jira-quota-tenant-based") == "tenant_quota");
    CHECK(reason("jira-quota-global-based") == "global_quota");
    CHECK(reason(" Jira-Burst-Based ") == "burst");
    CHECK(reason("\"jira-burst-based\"") == "burst");
    CHECK(reason("") == "none");
    CHECK(reason("\"\"") == "none");
    CHECK(reason(" , ") == "none");
    CHECK(reason("jira-cost-based") == "account_cost");
    CHECK(reason("jira-quota-based") == "unknown");
    CHECK(reason("jira-max-concurrent-threads-across-all-instances-per-tenant-per-user") == "account_calls");
    CHECK(reason("jira-burst") == "unknown");
    CHECK(reason("\"") == "unknown");
    // Several: the one that holds for most.
    CHECK(reason("jira-burst-based, jira-quota-global-based") == "global_quota");
    CHECK(reason("jira-per-issue-on-write,jira-burst-based") == "burst");
    CHECK(reason("jira-cost-based,jira-burst-based") == "account_cost");
    CHECK(read({{"X-RateLimit-Reason", "jira-burst-based"}}).reason == limit_reason::burst);
    CHECK(read({{"x-ratelimit-reason", "JIRA-BURST-BASED"}}).reason == limit_reason::burst);
}

TEST_CASE("rate_headers: policy and state of a quota are joined by name") {
    auto const h = read({{"RateLimit-Policy", "\"global-app-quota\";q=65000;w=3600"},
                         {"RateLimit", "\"global-app-quota\";r=11000;t=600"}});
    CHECK(show(h.global_quota) == "65000 11000 3600 600");
    CHECK(show(h.tenant_quota) == "none");

    auto const both = read({{"ratelimit-policy", "\"tenant-app-quota\";w=3600;q=100500, \"global-app-quota\";q=65000"},
                            {"ratelimit", "\"tenant-app-quota\";t=9"}});
    CHECK(show(both.tenant_quota) == "100500 - 3600 9");
    CHECK(show(both.global_quota) == "65000 - - -");
}

TEST_CASE("rate_headers: a list holds any number of items in any order, unknown names are skipped") {
    constexpr std::string_view text = "\"global-app-quota\";t=200,\"jira-burst-based\";r=90;t=1";
    CHECK(global(text) == "- - - 200");
    CHECK(tenant(text) == "none");
    CHECK(global("\"jira-burst-based\";r=90;t=1 ,\t\"new-in-2027\";z=1;r=2, \"global-app-quota\" ; t = 3 ;r=4 ") ==
          "- 4 - 3");
    CHECK(global("\"global-app-quota\"") == "- - - -");
    CHECK(global("\"global-app-quota\";x=\"a,b;r=1\";flag;r=7;rr=1;R=2") == "- 7 - -");
    CHECK(global("\"a,b;c\";r=1,\"global-app-quota\";r=2") == "- 2 - -");
    CHECK(global("\"a\\\",\";r=1,\"global-app-quota\";r=2") == "- 2 - -");
    CHECK(global("\"Global-App-Quota\";r=2") == "none");
    CHECK(global("") == "none");
    CHECK(global(" , ,, ") == "none");
    // The same name twice: the more careful of each.
    CHECK(global("\"global-app-quota\";r=5;t=9,\"global-app-quota\";r=7;t=12") == "- 5 - 12");
    CHECK(global("\"global-app-quota\";r=5;r=4;t=9;t=3") == "- 4 - 9");
}

TEST_CASE("rate_headers: a malformed item does not take the others with it") {
    constexpr std::string_view good = "\"tenant-app-quota\";r=3;t=4";
    for (std::string const bad : {"global-app-quota;r=1", "\"global-app-quota;r=1", "\"global-app-quota\"r=1",
                                  "\"global-app-quota\";r=\"1", "\"global-app-quota\" x;r=1", ";;;", "=", "\"", "\\",
                                  "\"\\", "\"global-app-quota\";\"r\"=1", "{}", "1", "\"x\";a=\""}) {
        CAPTURE(bad);
        CHECK(tenant(bad + ", " + std::string(good)) == "- 3 - 4");
        CHECK(tenant(std::string(good) + "," + bad) == "- 3 - 4");
        CHECK(tenant(bad + "," + bad + "," + std::string(good) + "," + bad) == "- 3 - 4");
        CHECK(global(bad + "," + std::string(good)) == "none");
    }
}

TEST_CASE("rate_headers: a quota's number that is none reads as absent, its neighbours stay") {
    for (auto const* bad :
         {"", "-1", "1.5", "x", "\"5\"", "1 2", "9999999999999999", "99999999999999999999999", "?1"}) {
        CAPTURE(bad);
        CHECK(global("\"global-app-quota\";r=" + std::string(bad) + ";t=600") == "- - - 600");
        CHECK(global("\"global-app-quota\";r=5;t=" + std::string(bad)) == "- 5 - -");
    }
    CHECK(global("\"global-app-quota\";r=999999999999999;t=1000000000") == "- 999999999999999 - 1000000000");
    CHECK(global("\"global-app-quota\";r=0;t=1000000001") == "- 0 - -");
    CHECK(global("\"global-app-quota\";r=0;t=0;w=0;q=0") == "0 0 0 0");
}

TEST_CASE("rate_headers: announcements (Beta-) are not limits") {
    auto const h = read({{"Beta-RateLimit-Policy", "\"global-app-quota\";q=65000;w=3600"},
                         {"Beta-RateLimit", "\"global-app-quota\";r=0;t=600"},
                         {"Beta-Retry-After", "600"},
                         {"X-Beta-RateLimit-Limit", "1"},
                         {"X-Beta-RateLimit-Remaining", "0"},
                         {"X-Beta-RateLimit-Reset", "2026-01-01T01:00:00Z"},
                         {"X-Beta-RateLimit-NearLimit", "true"},
                         {"X-Beta-RateLimit-Reason", "jira-quota-global-based"},
                         {"RateLimit", "\"tenant-app-quota\";r=7;t=8"}});
    CHECK_FALSE(h.limit);
    CHECK_FALSE(h.remaining);
    CHECK_FALSE(h.reset);
    CHECK_FALSE(h.near_limit);
    CHECK(h.reason == limit_reason::none);
    CHECK_FALSE(h.retry_after);
    CHECK(show(h.global_quota) == "none");
    CHECK(show(h.tenant_quota) == "- 7 - 8");
}

TEST_CASE("rate_headers: ISO times with and without seconds, fraction and offset") {
    CHECK(iso("2026-01-01T00:00:00Z") == 1'767'225'600'000);
    CHECK(iso("2026-01-01T01:01:01Z") == 1'767'229'261'000);
    CHECK(iso("2026-03-26T16:00Z") == 1'774'540'800'000);
    CHECK(iso("2025-10-08T15:00:00Z") == 1'759'935'600'000);
    CHECK(iso("2026-01-01t00:00z") == 1'767'225'600'000);
    CHECK(iso("2026-01-01T00:00:00.5Z") == 1'767'225'600'500);
    CHECK(iso("2026-01-01T00:00:00.05Z") == 1'767'225'600'050);
    CHECK(iso("2026-01-01T00:00:00.123456789Z") == 1'767'225'600'123);
    CHECK(iso("2026-01-01T02:00:00+02:00") == 1'767'225'600'000);
    CHECK(iso("2026-01-01T02:00:00.000+0200") == 1'767'225'600'000);
    CHECK(iso("2025-12-31T18:30-05:30") == 1'767'225'600'000);
    CHECK(iso("2024-02-29T00:00Z") == 1'709'164'800'000);
    CHECK(iso("2016-12-31T23:59:60Z") == 1'483'228'800'000);
    for (auto const* bad : {"",
                            "Z",
                            "2026",
                            "2026-01-01",
                            "2026-01-01T00:00",
                            "2026-01-01T00:00:00",
                            "2026-01-01 00:00Z",
                            "2026-13-01T00:00Z",
                            "2026-00-01T00:00Z",
                            "2026-02-29T00:00Z",
                            "2026-01-32T00:00Z",
                            "2026-01-00T00:00Z",
                            "2026-01-01T24:00Z",
                            "2026-01-01T00:60Z",
                            "2026-01-01T00:00:61Z",
                            "2026-01-01T00:00:00.Z",
                            "2026-01-01T00:00:Z",
                            "2026-01-01T00Z",
                            "2026-1-1T00:00Z",
                            "2026-01-01T00:00Zz",
                            "2026-01-01T00:00+24:00",
                            "2026-01-01T00:00+02:60",
                            "2026-01-01T00:00+2",
                            "2026-01-01T00:00+",
                            "-026-01-01T00:00Z",
                            "1767225600",
                            "20260101T000000Z"}) {
        CAPTURE(bad);
        CHECK(iso(bad) == -1);
        CHECK_FALSE(read({{"X-RateLimit-Reset", bad}}).reset);
    }
    CHECK(read({{"X-RateLimit-Reset", " 2026-01-01T00:00Z "}}).reset == new_year);
}

TEST_CASE("rate_headers: HTTP dates in the three forms of the RFC") {
    CHECK(http("Sun, 06 Nov 1994 08:49:37 GMT") == 784'111'777'000);
    CHECK(http("Sunday, 06-Nov-94 08:49:37 GMT") == 784'111'777'000);
    CHECK(http("Sun Nov  6 08:49:37 1994") == 784'111'777'000);
    CHECK(http("Wed Nov 16 08:49:37 1994") == 784'975'777'000);
    CHECK(http("sun, 06 nov 1994 08:49:37 gmt") == 784'111'777'000);
    CHECK(http("Thursday, 01-Jan-26 00:00:00 GMT") == 1'767'225'600'000);
    CHECK(http("Wednesday, 01-Jan-25 00:00:00 GMT") == 1'735'689'600'000);
    CHECK(http("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
    for (auto const* bad : {"",
                            "Sun",
                            "Sun,",
                            "Sun, 06 Nov 1994 08:49:37",
                            "Sun, 06 Nov 1994 08:49:37 CET",
                            "Sun, 6 Nov 1994 08:49:37 GMT",
                            "Sun, 06 Nov 94 08:49:37 GMT",
                            "Sun, 00 Nov 1994 08:49:37 GMT",
                            "Sun, 31 Nov 1994 08:49:37 GMT",
                            "Sun, 06 Foo 1994 08:49:37 GMT",
                            "Xun, 06 Nov 1994 08:49:37 GMT",
                            "Sun, 06 Nov 1994 24:49:37 GMT",
                            "Sun, 06 Nov 1994 08:60:37 GMT",
                            "Sun, 06 Nov 1994 08:49:61 GMT",
                            "Sun, 06 Nov 1994 08:49:37 GMT ",
                            "Sun, 06-Nov-1994 08:49:37 GMT",
                            "Sunday, 06 Nov 94 08:49:37 GMT",
                            "Monday, 06-Nov-1994 08:49:37 GMT",
                            "Sun Nov 6 08:49:37 1994",
                            "Sun Nov  6 08:49:37 94",
                            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
                            "784111777"}) {
        CAPTURE(bad);
        CHECK(http(bad) == -1);
    }
}

TEST_CASE("rate_headers: a 429 as Jira sends it") {
    auto const h = read({{"Date", "Thu, 26 Mar 2026 15:42:10 GMT"},
                         {"Content-Type", "application/json"},
                         {"Retry-After", "1070"},
                         {"X-Ratelimit-Limit", "65000"},
                         {"X-Ratelimit-Remaining", "0"},
                         {"X-Ratelimit-Reset", "2026-03-26T16:00Z"},
                         {"X-Ratelimit-Nearlimit", "true"},
                         {"Ratelimit-Reason", "jira-quota-global-based"},
                         {"Atl-Traceid", "0123456789abcdef"}});
    CHECK(h.limit == 65'000u);
    CHECK(h.remaining == 0u);
    REQUIRE((h.reset && h.date));
    CHECK(*h.reset - *h.date == 1070s);
    CHECK(h.retry_after == 1070s);
    CHECK(h.near_limit);
    CHECK(h.reason == limit_reason::global_quota);
}

TEST_CASE("rate_headers: to_string names every reason") {
    CHECK(std::string_view(to_string(limit_reason::none)) == "none");
    CHECK(std::string_view(to_string(limit_reason::burst)) == "burst");
    CHECK(std::string_view(to_string(limit_reason::issue_write)) == "issue_write");
    CHECK(std::string_view(to_string(limit_reason::tenant_quota)) == "tenant_quota");
    CHECK(std::string_view(to_string(limit_reason::global_quota)) == "global_quota");
    CHECK(std::string_view(to_string(limit_reason::unknown)) == "unknown");
    CHECK(std::string_view(to_string(limit_reason::account_cost)) == "account_cost");
    CHECK(std::string_view(to_string(limit_reason::account_calls)) == "account_calls");
    CHECK(std::string_view(to_string(limit_reason::other_product)) == "other_product");
    CHECK(std::string_view(to_string(static_cast<limit_reason>(77))) == "unknown");
}

TEST_CASE("rate_headers: any bytes at all are read without harm") {
    std::uint64_t const seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    std::string_view const names[] = {"Date",
                                      "RateLimit",
                                      "RateLimit-Policy",
                                      "RateLimit-Reason",
                                      "Retry-After",
                                      "X-RateLimit-Limit",
                                      "X-RateLimit-Remaining",
                                      "X-RateLimit-Reset",
                                      "X-RateLimit-NearLimit",
                                      "X-RateLimit-Reason"};
    std::string_view const parts[] = {"\"global-app-quota\"",
                                      "\"tenant-app-quota\"",
                                      ";r=",
                                      ";t=",
                                      ";q=1",
                                      ";w=3600",
                                      ",",
                                      "\"",
                                      "\\",
                                      ";",
                                      "=",
                                      " ",
                                      "-",
                                      "9999999999999999999",
                                      "2026-01-01T00:00",
                                      "Z",
                                      "+",
                                      "Thu, 01 Jan 2026 00:00:00 GMT",
                                      "Thursday",
                                      "jira-burst-based",
                                      "0",
                                      ".",
                                      ":"};
    for (int n = 0; n < 20'000; ++n) {
        response r;
        for (int f = 0; f < 6; ++f) {
            std::string value;
            for (auto count = random() % 8; count > 0; --count) {
                if (random() % 4 == 0) {
                    value += static_cast<char>(random());
                } else {
                    value += parts[random() % std::size(parts)];
                }
            }
            r.add_header(names[random() % std::size(names)], value);
            // Vectors of exactly that size: the sanitizer sees a step past their end.
            std::vector<char> const exact(value.begin(), value.end());
            parse_iso_time({exact.data(), exact.size()});
            parse_http_date({exact.data(), exact.size()});
        }
        auto const h = read_rate_headers(r, new_year);
        if (h.retry_after) {
            REQUIRE(*h.retry_after >= 0s);
            REQUIRE(*h.retry_after <= 24h);
        }
        for (auto const& q : {h.global_quota, h.tenant_quota}) {
            if (!q) continue;
            REQUIRE(q->quota.value_or(0) >= 0);
            REQUIRE(q->remaining.value_or(0) >= 0);
            REQUIRE(q->window.value_or(0s) >= 0s);
            REQUIRE(q->reset_in.value_or(0s) >= 0s);
        }
    }
}

TEST_CASE("rate_headers: a list written to be slow is cut short") {
    std::string text;
    while (text.size() < 1'000'000) text += "\"a\";x=\",";
    CHECK(global(text + "\"") == "none");
    CHECK(global(std::string(1'000'000, ',') + "\"global-app-quota\";r=1") == "- 1 - -");
}
