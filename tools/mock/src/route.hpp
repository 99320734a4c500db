#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jirapool::mock {

/// What the mock can be asked for. Versions 2, 3 and latest of the API are one route, as Jira's limits count them.
enum class route : std::uint8_t {
    get_myself,
    get_my_permissions,
    get_server_info,
    get_issue,
    create_issue,
    edit_issue,
    delete_issue,
    search_by_get,
    search_by_post,
    list_webhooks,
    create_webhook,
    get_webhook,
    edit_webhook,
    delete_webhook,
    other_get,
    other_post,
    other_put,
    other_delete,
    // From here on nothing is limited.
    removed_search,
    tenant_info,
    token_exchange,
    edge,
};
inline constexpr std::size_t limited_route_count = static_cast<std::size_t>(route::removed_search);
inline constexpr std::size_t route_count = static_cast<std::size_t>(route::edge) + 1;

constexpr bool is_limited(route r) noexcept { return static_cast<std::size_t>(r) < limited_route_count; }
constexpr bool is_webhook(route r) noexcept { return r >= route::list_webhooks && r <= route::delete_webhook; }
/// Jira answers these without credentials too.
constexpr bool allows_anonymous(route r) noexcept {
    return r == route::get_server_info || r == route::get_issue || r == route::search_by_get ||
           r == route::search_by_post;
}

struct route_match {
    route id = route::edge;
    /// What stands for {issueIdOrKey} or {id}, as sent.
    std::string_view parameter;
};

/// A path below a site's root, without its query. What is no REST path at all is route::edge.
route_match find_route(std::string_view method, std::string_view path) noexcept;
/// "GET /rest/api/{version}/issue/{issueIdOrKey}".
std::string_view route_name(route r) noexcept;

}  // namespace jirapool::mock
