#include "route.hpp"

namespace jirapool::mock {
namespace {

route other(std::string_view method) noexcept {
    if (method == "GET") return route::other_get;
    if (method == "PUT") return route::other_put;
    if (method == "DELETE") return route::other_delete;
    return route::other_post;
}

/// What follows `prefix` if that is one segment.
bool one_segment(std::string_view path, std::string_view prefix, std::string_view& rest) noexcept {
    if (!path.starts_with(prefix)) return false;
    rest = path.substr(prefix.size());
    return !rest.empty() && rest.find('/') == std::string_view::npos;
}

}  // namespace

route_match find_route(std::string_view method, std::string_view path) noexcept {
    if (method == "HEAD") method = "GET";
    bool const get = method == "GET";
    bool const post = method == "POST";
    bool const put = method == "PUT";
    bool const del = method == "DELETE";
    std::string_view parameter;

    if (path == "/_edge/tenant_info") return {get ? route::tenant_info : route::edge, {}};
    constexpr std::string_view webhooks = "/rest/webhooks/1.0/webhook";
    if (path == webhooks) {
        if (get) return {route::list_webhooks, {}};
        if (post) return {route::create_webhook, {}};
        return {other(method), {}};
    }
    if (path.starts_with(webhooks) && one_segment(path.substr(webhooks.size()), "/", parameter)) {
        if (get) return {route::get_webhook, parameter};
        if (put) return {route::edit_webhook, parameter};
        if (del) return {route::delete_webhook, parameter};
        return {other(method), {}};
    }
    if (!path.starts_with("/rest/")) return {};

    std::string_view rest;
    for (std::string_view const version : {"/rest/api/3/", "/rest/api/2/", "/rest/api/latest/"}) {
        if (path.starts_with(version)) rest = path.substr(version.size());
    }
    if (rest == "myself" && get) return {route::get_myself, {}};
    if (rest == "mypermissions" && get) return {route::get_my_permissions, {}};
    if (rest == "serverInfo" && get) return {route::get_server_info, {}};
    if (rest == "issue" && post) return {route::create_issue, {}};
    if (rest == "search" && (get || post)) return {route::removed_search, {}};
    if (rest == "search/jql" && get) return {route::search_by_get, {}};
    if (rest == "search/jql" && post) return {route::search_by_post, {}};
    if (one_segment(rest, "issue/", parameter)) {
        if (get) return {route::get_issue, parameter};
        if (put) return {route::edit_issue, parameter};
        if (del) return {route::delete_issue, parameter};
    }
    return {other(method), {}};
}

std::string_view route_name(route r) noexcept {
    switch (r) {
    case route::get_myself: return "GET /rest/api/{version}/myself";
    case route::get_my_permissions: return "GET /rest/api/{version}/mypermissions";
    case route::get_server_info: return "GET /rest/api/{version}/serverInfo";
    case route::get_issue: return "GET /rest/api/{version}/issue/{issueIdOrKey}";
    case route::create_issue: return "POST /rest/api/{version}/issue";
    case route::edit_issue: return "PUT /rest/api/{version}/issue/{issueIdOrKey}";
    case route::delete_issue: return "DELETE /rest/api/{version}/issue/{issueIdOrKey}";
    case route::search_by_get: return "GET /rest/api/{version}/search/jql";
    case route::search_by_post: return "POST /rest/api/{version}/search/jql";
    case route::list_webhooks: return "GET /rest/webhooks/1.0/webhook";
    case route::create_webhook: return "POST /rest/webhooks/1.0/webhook";
    case route::get_webhook: return "GET /rest/webhooks/1.0/webhook/{id}";
    case route::edit_webhook: return "PUT /rest/webhooks/1.0/webhook/{id}";
    case route::delete_webhook: return "DELETE /rest/webhooks/1.0/webhook/{id}";
    case route::other_get: return "GET other";
    case route::other_post: return "POST other";
    case route::other_put: return "PUT other";
    case route::other_delete: return "DELETE other";
    case route::removed_search: return "/rest/api/{version}/search";
    case route::tenant_info: return "GET /_edge/tenant_info";
    case route::token_exchange: return "POST /oauth/token";
    case route::edge: return "(edge)";
    }
    return "?";
}

}  // namespace jirapool::mock
