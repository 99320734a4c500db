#include "answers.hpp"

#include "text.hpp"

#include <fmt/format.h>

#include <iterator>

namespace jirapool::mock {

reply simple(int status, std::string_view type, std::string_view body) {
    reply out;
    out.status = status;
    out.content_type = type;
    out.body = body;
    return out;
}

reply json(int status, std::string_view body) { return simple(status, jira_json_type, body); }

reply no_content() {
    reply out;
    out.status = 204;
    return out;
}

reply jira_error(int status, std::string_view message) {
    std::string body = "{\"errorMessages\":[";
    append_json(body, message);
    body += "],\"errors\":{}}";
    return json(status, body);
}

reply field_error(std::string_view field, std::string_view message) {
    std::string body = "{\"errorMessages\":[],\"errors\":{";
    append_json(body, field);
    body += ':';
    append_json(body, message);
    body += "}}";
    return json(400, body);
}

reply gateway_error(visit const& v, world const& w, int status, std::string_view message) {
    reply out = simple(status, json_type, fmt::format(R"({{"code":{},"message":"{}"}})", status, message));
    add_common_headers(v, w, out);
    return out;
}

reply oauth_error(int status, std::string_view code, std::string_view description) {
    std::string body = "{\"error\":";
    append_json(body, code);
    body += ",\"error_description\":";
    append_json(body, description);
    body += '}';
    return simple(status, json_type, body);
}

reply service_unavailable() { return json(503, wording::unavailable); }

void add_common_headers(visit const& v, world const& w, reply& out) {
    fmt::format_to(
        std::back_inserter(out.headers),
        "atl-traceid: {:016x}{:016x}\r\nCache-Control: no-cache, no-store, no-transform\r\nVary: Accept-Encoding\r\n"
        "Strict-Transport-Security: max-age=63072000; preload\r\nX-Content-Type-Options: nosniff\r\n",
        mix(v.seed ^ mix(v.number)), mix(v.number ^ 5));
    if (v.where.kind != host_kind::site) return;
    if (v.is_anonymous && v.shown.how != scheme::none) {
        out.headers += "x-seraph-loginreason: AUTHENTICATED_FAILED\r\n";
    }
    // Whether the gateway passes this on is not known: the mock does not, so that nobody relies on it.
    if (v.caller) {
        fmt::format_to(std::back_inserter(out.headers), "X-AAccountId: {}\r\n", w.connections()[*v.caller].account_id);
    }
    fmt::format_to(std::back_inserter(out.headers),
                   "Set-Cookie: atlassian.xsrf.token={:016x}_lin; Path=/; SameSite=None; Secure\r\n",
                   mix(v.number ^ 6));
}

std::string base_url(visit const& v, world const& w) {
    site_info const& site = w.sites()[*v.where.site];
    if (v.where.kind == host_kind::gateway) return fmt::format("https://{}/ex/jira/{}", gateway_host, site.cloud_id);
    return "https://" + site.host;
}

}  // namespace jirapool::mock
