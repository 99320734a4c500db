#pragma once

#include <jirapool/core/labels.hpp>
#include <jirapool/core/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/* Every answer by which Jira, or what stands before it, says "later" (core/doc/jira-cloud.md, 3.1 and 3.3), and what must follow from
   it: which scope is closed, and for how long. One table, read by two tests that share nothing else: what core makes of the headers
   (tests/unit/core/limits_told_test.cpp), and what calls meet behind such an answer of the mock's, over TLS
   (tests/wire/limits_told_test.cpp). */

namespace jirapool::test {

/// How long an answer closes its scope.
enum class told : std::uint8_t {
    nothing,      ///< it closes nothing
    wait,         ///< for what it says, `told_wait`
    longer_wait,  ///< for the longer one of two, a second more
    minute,       ///< until the first minute behind `told_wait`, as its time has no seconds
    untold,       ///< it does not say: limit_params::pause
    unreadable,   ///< nobody can read what it says: a minute
    too_long,     ///< for longer than an hour: it is tried in an hour
    hour_end,     ///< until Jira's hour ends
};

/// What the answers say where they say how long. Long, so that a slow machine does not see the end of it.
inline constexpr std::chrono::seconds told_wait{40};
/// What both tests set limit_params::pause to.
inline constexpr std::chrono::milliseconds untold_pause{30'000};

struct limited_answer {
    std::string_view scene;  ///< by which the mock gives it
    int status;
    limit_scope of_api_token;  ///< what it closes, told to a personal or a service account's API token
    limit_scope of_oauth;      ///< the same, told to an OAuth credential, which is Jira's "app"
    told lasts;
    /// The lines that tell of limits, parted by `|`. In braces: `wait`, `more` (a second more), `date` (HTTP) and `until` (ISO 8601)
    /// of its end, `minute` (the same without seconds, rounded up).
    std::string_view headers;
};

// clang-format off: a table
inline std::vector<limited_answer> const& limited_answers() {
    using enum limit_scope;
    static std::vector<limited_answer> const all{
        // By its reason.
        {"limited_burst", 429, route, route, told::wait,
         "Retry-After: {wait}|X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|X-RateLimit-Reset: {until}|RateLimit-Policy: \"jira-burst-based\";q=100;w=1|RateLimit-Reason: jira-burst-based"},
        {"limited_issue_writes", 429, issue, issue, told::wait,
         "Retry-After: {wait}|X-RateLimit-Limit: 20|X-RateLimit-Remaining: 0|X-RateLimit-Reset: {until}|RateLimit-Reason: jira-per-issue-on-write"},
        {"limited_quota_tenant", 429, site_quota, site_quota, told::wait,
         "Retry-After: {wait}|X-RateLimit-Limit: 100000|X-RateLimit-Remaining: 0|X-RateLimit-Reset: {until}|X-RateLimit-NearLimit: true|RateLimit-Policy: \"tenant-app-quota\";q=100000;w=3600|RateLimit: \"tenant-app-quota\";r=0;t={wait}|RateLimit-Reason: jira-quota-tenant-based"},
        {"limited_quota_global", 429, site, app_quota, told::wait,
         "Retry-After: {wait}|X-RateLimit-Limit: 65000|X-RateLimit-Remaining: 0|X-RateLimit-Reset: {until}|X-RateLimit-NearLimit: true|RateLimit-Policy: \"global-app-quota\";q=65000;w=3600|RateLimit: \"global-app-quota\";r=0;t={wait},\"jira-burst-based\";r=90;t=1|RateLimit-Reason: jira-quota-global-based"},
        {"limited_quota", 429, site, site, told::wait, "Retry-After: {wait}|X-RateLimit-Reset: {until}|RateLimit-Reason: jira-quota-based"},
        {"limited_cost", 429, account, account, told::wait,
         "Retry-After: {wait}|X-RateLimit-Limit: 300000|X-RateLimit-Remaining: 0|X-RateLimit-Reset: {minute}|RateLimit-Reason: jira-cost-based"},
        {"limited_concurrency", 429, account, account, told::wait,
         "Retry-After: {wait}|RateLimit-Reason: jira-max-concurrent-threads-across-all-instances-per-tenant-per-user"},
        {"limited_confluence", 429, route, route, told::wait, "Retry-After: {wait}|X-RateLimit-Reset: {until}|RateLimit-Reason: confluence-quota-tenant-based"},
        {"limited_confluence_global", 429, route, route, told::wait, "Retry-After: {wait}|X-RateLimit-Reset: {until}|RateLimit-Reason: confluence-quota-global-based"},
        {"limited_unknown_reason", 429, site, site, told::wait, "Retry-After: {wait}|RateLimit-Reason: jira-unheard-of-based"},
        {"limited_no_reason", 429, site, site, told::wait, "Retry-After: {wait}"},
        {"limited_gateway", 429, site, site, told::wait,
         "X-Failure-Category: FAILURE CLIENT RATE LIMITED|X-Ratelimit-Limit: 360000|X-Ratelimit-Remaining: 0|X-Ratelimit-Reset: {until}"},

        // Without a time.
        {"limited_no_retry_after", 429, route, route, told::untold, "X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|RateLimit-Reason: jira-burst-based"},
        {"limited_issue_writes_untold", 429, issue, issue, told::untold, "RateLimit-Reason: jira-per-issue-on-write"},
        {"limited_quota_tenant_untold", 429, site_quota, site_quota, told::hour_end,
         "X-RateLimit-NearLimit: true|RateLimit: \"tenant-app-quota\";r=0;t=4300|RateLimit-Reason: jira-quota-tenant-based"},
        {"limited_quota_global_untold", 429, site, app_quota, told::hour_end, "RateLimit-Reason: jira-quota-global-based"},
        {"limited_cost_untold", 429, account, account, told::hour_end, "RateLimit-Reason: jira-cost-based"},
        {"limited_concurrency_untold", 429, account, account, told::untold,
         "RateLimit-Reason: jira-max-concurrent-threads-across-all-instances-per-tenant-per-user"},
        {"limited_confluence_untold", 429, route, route, told::untold, "RateLimit-Reason: confluence-quota-tenant-based"},
        {"limited_unknown_reason_untold", 429, site, site, told::untold, "RateLimit-Reason: jira-unheard-of-based"},

        // By how it tells the time.
        {"limited_retry_after_zero", 429, route, route, told::untold, "Retry-After: 0|X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|RateLimit-Reason: jira-burst-based"},
        {"limited_retry_after_zero_reset", 429, route, route, told::wait, "Retry-After: 0|X-RateLimit-Reset: {until}|RateLimit-Reason: jira-burst-based"},
        {"limited_retry_after_date", 429, route, route, told::wait, "Retry-After: {date}|X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|RateLimit-Reason: jira-burst-based"},
        {"limited_retry_after_garbage", 429, route, route, told::unreadable, "Retry-After: soon|X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|RateLimit-Reason: jira-burst-based"},
        {"limited_retry_after_huge", 429, route, route, told::too_long,
         "Retry-After: 99999999999999999999999999|X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|RateLimit-Reason: jira-burst-based"},
        {"limited_quota_retry_after_huge", 429, site_quota, site_quota, told::too_long, "Retry-After: 99999999999999999999999999|RateLimit-Reason: jira-quota-tenant-based"},
        {"limited_retry_after_twice", 429, route, route, told::longer_wait,
         "Retry-After: {wait}|Retry-After: {more}|X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|RateLimit-Reason: jira-burst-based"},
        {"limited_retry_after_twice_bad", 429, route, route, told::wait, "Retry-After: soon|Retry-After: {wait}|RateLimit-Reason: jira-burst-based"},
        {"limited_reset", 429, route, route, told::wait, "X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|X-RateLimit-Reset: {until}|RateLimit-Reason: jira-burst-based"},
        {"limited_reset_minute", 429, route, route, told::minute, "X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|X-RateLimit-Reset: {minute}|RateLimit-Reason: jira-burst-based"},
        {"limited_reset_past", 429, route, route, told::untold, "X-RateLimit-Reset: 2026-01-01T01:01:01Z|RateLimit-Reason: jira-burst-based"},
        {"limited_reset_garbage", 429, route, route, told::untold, "X-RateLimit-Reset: tomorrow|RateLimit-Reason: jira-burst-based"},

        // By its body.
        {"limited_html", 429, site, site, told::wait, "Retry-After: {wait}"},
        {"limited_empty", 429, site, site, told::untold, ""},

        // Announced only.
        {"limited_beta", 200, none, none, told::nothing,
         "Beta-Retry-After: {wait}|X-Beta-RateLimit-Limit: 65000|X-Beta-RateLimit-Remaining: 0|X-Beta-RateLimit-Reset: {until}|X-Beta-RateLimit-NearLimit: true|X-Beta-RateLimit-Reason: jira-quota-global-based|Beta-RateLimit-Policy: \"global-app-quota\";q=65000;w=3600|Beta-RateLimit: \"global-app-quota\";r=0;t={wait}"},
        {"limited_beta_only", 429, site, site, told::untold,
         "Beta-Retry-After: {wait}|X-Beta-RateLimit-Reset: {until}|X-Beta-RateLimit-Reason: jira-quota-global-based|Beta-RateLimit: \"global-app-quota\";r=0;t={wait}"},
        {"limited_beta_beside", 429, route, route, told::wait,
         "Retry-After: {wait}|X-RateLimit-Limit: 100|X-RateLimit-Remaining: 0|RateLimit-Reason: jira-burst-based|Beta-Retry-After: 3000|X-Beta-RateLimit-Reason: jira-quota-global-based|Beta-RateLimit: \"global-app-quota\";r=0;t=3000"},

        // No limit of Jira's, but the same word.
        {"unavailable_retry_after", 503, route, route, told::wait, "Retry-After: {wait}"},
        {"unavailable", 503, none, none, told::nothing, ""},
    };
    return all;
}
// clang-format on

/// Who asks behind such an answer, which a write to an issue got.
enum class asker : std::uint8_t {
    same_issue,             ///< the same connection, for the same
    other_issue,            ///< the same connection, for another issue by the same route
    other_route,            ///< the same connection, by another route
    neighbour,              ///< another credential of the same kind at the same site, for the same
    neighbour_other_route,  ///< the same by another route
    elsewhere,              ///< another site; for OAuth by the same credential
};
inline constexpr asker all_askers[] = {asker::same_issue, asker::other_issue,           asker::other_route,
                                       asker::neighbour,  asker::neighbour_other_route, asker::elsewhere};

/// Whether what is closed keeps that one waiting.
inline bool holds(limit_scope closed, bool is_oauth, asker who) {
    using enum asker;
    switch (closed) {
    case limit_scope::route: return who == same_issue || who == other_issue || who == neighbour;
    case limit_scope::issue: return who == same_issue || who == neighbour;
    case limit_scope::site: return who != elsewhere;
    // All API tokens of a site are one app.
    case limit_scope::site_quota: return is_oauth ? who <= other_route : who != elsewhere;
    case limit_scope::account: return who <= other_route;
    case limit_scope::app_quota: return who <= other_route || who == elsewhere;
    default: return false;
    }
}

inline constexpr bool is_closed(limited_answer const& a) noexcept { return a.lasts != told::nothing; }

/// When the pause ends of an answer that Jira gave then, by its clock.
inline wall_time end_of(told lasts, wall_time answered) {
    using namespace std::chrono;
    switch (lasts) {
    case told::nothing: break;
    case told::wait: return answered + told_wait;
    case told::longer_wait: return answered + told_wait + 1s;
    case told::minute: return ceil<minutes>(ceil<seconds>(answered) + told_wait);
    case told::untold: return answered + untold_pause;
    case told::unreadable: return answered + 60s;
    case told::too_long: return answered + 1h;
    case told::hour_end: return floor<hours>(answered) + 1h;
    }
    return answered;
}

/// What a pause may be longer than it was told, so that not all come back at once.
inline constexpr std::chrono::milliseconds jitter{1'000};

/// The header lines of an answer that was given then, names and values.
inline std::vector<std::pair<std::string, std::string>> headers_of(limited_answer const& a, wall_time answered) {
    using namespace std::chrono;
    auto const written = [](char const* format, int year, unsigned month, unsigned day, long hour, long minute,
                            long second) {
        char text[128];
        std::snprintf(text, sizeof text, format, year, month, day, hour, minute, second);
        return std::string(text);
    };
    auto const parts = [](wall_time t, auto out) {
        auto const date = floor<days>(t);
        year_month_day const d(date);
        hh_mm_ss const s(floor<seconds>(t - date));
        return out(date, static_cast<int>(d.year()), static_cast<unsigned>(d.month()), static_cast<unsigned>(d.day()),
                   s.hours().count(), s.minutes().count(), s.seconds().count());
    };
    auto const iso = [&](wall_time t) {
        return parts(t, [&](auto, int y, unsigned m, unsigned d, long h, long min, long s) {
            return written("%04d-%02u-%02uT%02ld:%02ld:%02ldZ", y, m, d, h, min, s);
        });
    };
    auto const http = [&](wall_time t) {
        return parts(t, [](auto date, int y, unsigned m, unsigned d, long h, long min, long s) {
            constexpr char const* day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
            constexpr char const* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
            char text[128];
            std::snprintf(text, sizeof text, "%s, %02u %s %04d %02ld:%02ld:%02ld GMT",
                          day_names[weekday(date).c_encoding()], d, months[m - 1], y, h, min, s);
            return std::string(text);
        });
    };
    wall_time const over = ceil<seconds>(answered) + told_wait;
    std::pair<std::string_view, std::string> const values[] = {
        {"{wait}", std::to_string(told_wait.count())},
        {"{more}", std::to_string(told_wait.count() + 1)},
        {"{date}", http(over)},
        {"{until}", iso(over)},
        {"{minute}", iso(ceil<minutes>(over)).substr(0, 16) + "Z"},
    };
    std::vector<std::pair<std::string, std::string>> lines;
    std::string_view rest = a.headers;
    while (!rest.empty()) {
        std::string line(rest.substr(0, rest.find('|')));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        for (auto const& [name, value] : values)
            if (auto const at = line.find(name); at != line.npos) line.replace(at, name.size(), value);
        auto const colon = line.find(": ");
        lines.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
    return lines;
}

}  // namespace jirapool::test
