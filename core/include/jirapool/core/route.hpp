#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>
#include <jirapool/core/request.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jirapool {

/// An index into the table of routes, dense from 0. Stable within one build only: store `route_info::name` instead.
using route_id = std::uint16_t;

/// What a write does to Jira's per-issue limit, a request to the bulk limit, and whether it only reads.
struct route_info {
    /// "GET /rest/api/{version}/issue/{issueIdOrKey}", or "GET other" for paths that are in no template.
    std::string_view name;
    jirapool::method method;
    /// Documented burst refill, requests per second (core/doc/jira-cloud.md, 3.2): where learning starts.
    std::uint16_t default_rate;
    /// A POST that changes nothing (`search/jql`, `issue/bulkfetch`, …): may be sent twice.
    bool reads_only;
    /// Bulk edit, move, transition, delete: five at a time per tenant.
    bool bulk;
    /// A write to one issue that counts for 20 in 2 s and 100 in 30 s.
    bool writes_issue;
    /// A PUT that may act twice when sent twice: its body may hold `update` verbs (add, remove), or it adds to a list.
    bool repeat_unsafe_put;
};

struct route_match {
    route_id route = 0;
    /// The issue's id or key as it stands in the target, for routes below `issue/{issueIdOrKey}` and the service desk's
    /// `request/{issueIdOrKey}`; else empty. Points into the target. An issue's id and its key look like two issues;
    /// the spellings of a key (its case, escapes) are one for the limiter.
    std::string_view issue;
};

/** Finds the template of a request's target (path with or without query, without the gateway's base path).

    API versions 2, 3 and `latest` fall together. HEAD gets GET's route: Jira counts them as one. A path that no
    template matches gets its method's fallback route. A template's literal segment wins over a parameter, also where some of
    its characters are percent-escaped that need not be. One slash at
    the end changes nothing, an empty segment elsewhere matches no template. Never allocates. */
route_match classify_route(method m, std::string_view target) noexcept;

/// Precondition: id < route_count().
route_info const& route(route_id id) noexcept;
/// What its calls do. The searches are those by JQL. Precondition: id < route_count().
route_class class_of(route_id id) noexcept;
std::size_t route_count() noexcept;

}  // namespace jirapool
