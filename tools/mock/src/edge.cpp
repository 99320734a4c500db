#include "edge.hpp"

#include "answers.hpp"
#include "injection.hpp"

#include <fmt/format.h>

namespace jirapool::mock {
namespace {

// CloudFront's ceiling.
constexpr std::size_t max_target = 8192;

reply page_unavailable() { return simple(404, html_type, wording::page_unavailable); }

}  // namespace

reply edge::refuse_unreadable(int status) {
    reply out = simple(status, "text/html", wording::not_satisfied);
    out.headers = wording::not_satisfied_headers;
    return out;
}

void edge::locate(visit& v) const {
    place& where = v.where;
    std::string_view const path = v.r.target.substr(0, v.r.target.find('?'));
    where.query = path.size() < v.r.target.size() ? v.r.target.substr(path.size() + 1) : std::string_view();
    if (v.r.host == gateway_host) {
        where.kind = host_kind::gateway;
        constexpr std::string_view prefix = "/ex/jira/";
        if (path.starts_with(prefix)) {
            std::string_view const id = path.substr(prefix.size(), path.find('/', prefix.size()) - prefix.size());
            where.site = world_.site_by_cloud_id(id);
            where.path = path.substr(prefix.size() + id.size());
        }
        v.match = find_route(v.r.method, where.path);
        // tenant_info belongs to the site's own host.
        if (v.match.id == route::tenant_info) v.match = {};
    } else if (v.r.host == auth_host) {
        where.kind = host_kind::auth;
        where.path = path;
        if (path == "/oauth/token" && v.r.method == "POST") v.match.id = route::token_exchange;
    } else if ((where.site = world_.site_by_host(v.r.host))) {
        where.kind = host_kind::site;
        where.path = path;
        v.match = find_route(v.r.method, where.path);
    }
}

std::optional<reply> edge::answer(visit& v) const {
    if (v.r.sni != v.r.host) {
        return simple(421, text_type, "The host named in the TLS handshake is not the one of the request.\n");
    }
    if (v.where.kind == host_kind::unknown) return page_unavailable();
    if (v.r.target.size() > max_target) return refuse_unreadable(414);
    bool const reads = v.r.method == "GET" || v.r.method == "HEAD";
    if (reads && (!v.r.body.empty() || !v.r.header("transfer-encoding").empty())) return refuse_unreadable(400);
    if (!reads && v.r.method != "POST" && v.r.method != "PUT" && v.r.method != "DELETE") {
        return simple(405, html_type, wording::not_allowed);
    }
    switch (v.where.kind) {
    case host_kind::site: return answer_on_site(v);
    case host_kind::gateway: return answer_on_gateway(v);
    default: return std::nullopt;
    }
}

std::optional<reply> edge::answer_on_site(visit& v) const {
    if (v.match.id == route::edge) return page_unavailable();
    if (v.match.id != route::tenant_info) return std::nullopt;
    if (auto error = injected_api_error(v)) return error;
    reply out = json(200, fmt::format(R"({{"cloudId":"{}"}})", world_.sites()[*v.where.site].cloud_id));
    add_common_headers(v, world_, out);
    return out;
}

std::optional<reply> edge::answer_on_gateway(visit& v) const {
    if (v.where.path.empty()) return gateway_error(v, world_, 404, "Not Found");
    if (is_webhook(v.match.id)) {
        // No scope covers admin webhooks, so the gateway has no such path.
        v.is_webhook_refused = true;
        if (v.shown.is_good) v.caller = v.shown.connection;
        return gateway_error(v, world_, 404, "Not Found");
    }
    if (!v.where.site) return gateway_error(v, world_, 404, "No tenant found for this cloud id");
    return std::nullopt;
}

}  // namespace jirapool::mock
