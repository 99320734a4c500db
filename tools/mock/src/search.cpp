#include "search.hpp"

#include "answers.hpp"
#include "json_body.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace jirapool::mock {
namespace {

/// maxResults as asked for.
using asked_size = std::optional<std::uint64_t>;

asked_size read_query(std::string_view query, search_request& s, std::string& problem) {
    s.jql = form_field(query, "jql").value_or("");
    s.page_token = form_field(query, "nextPageToken");
    asked_size max;
    if (auto const text = form_field(query, "maxResults")) {
        max = to_number(*text);
        if (!max) problem = "maxResults must be a number.";
    }
    std::string const fields = form_field(query, "fields").value_or("");
    for (std::size_t at = 0; at <= fields.size();) {
        std::size_t const comma = std::min(fields.find(',', at), fields.size());
        s.want(std::string_view(fields).substr(at, comma - at));
        at = comma + 1;
    }
    return max;
}

asked_size read_body(std::string_view body, search_request& s, std::string& problem) {
    simdjson::dom::object root;
    if (!parse_object(body, root)) {
        problem = "There was an error parsing JSON.";
        return std::nullopt;
    }
    s.jql = string_at(root, "jql").value_or("");
    s.page_token = string_at(root, "nextPageToken");
    asked_size max;
    simdjson::dom::element given;
    if (!root["maxResults"].get(given)) {
        std::uint64_t value = 0;
        if (given.get(value)) problem = "maxResults must be a number.";
        else max = value;
    }
    simdjson::dom::array fields;
    if (!root["fields"].get(fields)) {
        for (simdjson::dom::element const field : fields) {
            std::string_view name;
            if (!field.get(name)) s.want(name);
        }
    }
    return max;
}

}  // namespace

void search_request::want(std::string_view field) {
    if (field == "key") wants_key = true;
    else if (field != "id" && !field.empty()) wants_fields = true;
}

search::result search::find(visit const& v, site_state const& site) const {
    result found;
    search_request& s = found.asked;
    asked_size const max = v.match.id == route::search_by_get ? read_query(v.where.query, s, found.problem)
                                                              : read_body(v.r.body, s, found.problem);
    s.max_results = std::clamp<std::uint64_t>(max.value_or(s.max_results), 1, s.wants_fields ? 100 : 5000);
    if (s.jql.find_first_not_of(" \t\n") == std::string::npos && found.problem.empty()) {
        found.problem = "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.";
    }
    std::uint32_t start = 0;
    if (s.page_token && !s.page_token->empty()) {
        auto const last = read_page_token(s.jql, *s.page_token);
        if (last) start = *last;
        else found.problem = "The next page token is invalid or has expired.";
    }
    if (found.problem.empty() && !v.is_anonymous) found.page = site.search(start, s.max_results, found.has_more);
    return found;
}

reply search::answer(visit const& v, site_state const& site, result const& found) const {
    if (!found.problem.empty()) return jira_error(400, found.problem);
    search_request const& s = found.asked;
    std::string const base = base_url(v, world_);
    std::string body = "{\"issues\":[";
    for (std::uint32_t const n : found.page) {
        if (body.back() != '[') body += ',';
        if (s.wants_fields) {
            auto const issue = site.issue(n);
            // Deleted since: its place stays empty, as an index that lags behind would have it.
            if (issue) {
                issues_.append(body, base, *v.where.site, *issue);
                continue;
            }
        }
        if (s.wants_fields || s.wants_key) issues::append_key(body, base, n);
        else issues::append_id(body, n);
    }
    body += ']';
    if (found.has_more) {
        body += ",\"nextPageToken\":";
        append_json(body, page_token(s.jql, found.page.back()));
    }
    body += found.has_more ? ",\"isLast\":false}" : ",\"isLast\":true}";
    return json(200, body);
}

std::string search::page_token(std::string_view jql, std::uint32_t last) const {
    std::uint64_t const query = mix(params_.seed ^ std::hash<std::string_view>{}(jql));
    return base64(fmt::format("{}:{:016x}", last, mix(query ^ last)));
}

std::optional<std::uint32_t> search::read_page_token(std::string_view jql, std::string_view token) const {
    auto const text = from_base64(token);
    if (!text) return std::nullopt;
    auto const last = to_number(std::string_view(*text).substr(0, text->find(':')));
    if (!last || *last > 0xffffffffu || page_token(jql, static_cast<std::uint32_t>(*last)) != token) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(*last);
}

}  // namespace jirapool::mock
