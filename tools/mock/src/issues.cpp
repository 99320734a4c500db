#include "issues.hpp"

#include "answers.hpp"
#include "json_body.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <utility>

namespace jirapool::mock {
namespace {

constexpr std::string_view absent =
    R"({"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}})";
constexpr std::uint32_t first_id = 10'000;
constexpr std::size_t max_summary = 255;

std::string make_filler(std::size_t size) {
    constexpr std::string_view text =
        "The nightly export stops after the first page, and the rest of the invoices never reaches the archive. "
        "Restarting the job helps for a day. The log shows a timeout of the billing service shortly before. ";
    std::string out;
    out.reserve(size);
    while (out.size() < size) out += text.substr(0, size - out.size());
    return out;
}

/// What is wrong with it, if anything is.
std::optional<reply> refuse_summary(std::optional<std::string> const& summary) {
    if (!summary || summary->empty()) return field_error("summary", "You must specify a summary of the issue.");
    if (summary->size() > max_summary) return field_error("summary", "Summary can't exceed 255 characters.");
    return std::nullopt;
}

}  // namespace

std::uint32_t issue_number(std::string_view id_or_key) noexcept {
    constexpr std::string_view project = "PROJ-";
    bool const is_key = starts_with_name(id_or_key, project);
    auto const number = to_number(is_key ? id_or_key.substr(project.size()) : id_or_key);
    std::uint64_t const offset = is_key ? 0 : first_id;
    if (!number || *number <= offset || *number > 0xffffffffu) return 0;
    return static_cast<std::uint32_t>(*number - offset);
}

issues::issues(params const& p, world const& w) : params_(p), world_(w), filler_(make_filler(p.issue_bytes)) {}

reply issues::get(visit const& v, site_state const& site, std::uint32_t number) const {
    auto const issue = site.issue(number);
    if (!issue) return json(404, absent);
    std::string const base = base_url(v, world_);
    if (!v.is_anonymous) {
        reply out = json(200, {});
        out.body.reserve(params_.issue_bytes + 256);
        append(out.body, base, *v.where.site, *issue);
        return out;
    }
    // What everybody may see.
    std::string body = fmt::format(R"({{"id":"{0}","self":"{1}/rest/api/3/issue/{0}","key":"PROJ-{2}","fields":{{}}}})",
                                   first_id + issue->number, base, issue->number);
    return json(200, body);
}

reply issues::create(visit const& v, site_state& site) const {
    simdjson::dom::object root;
    if (!parse_object(v.r.body, root)) return jira_error(400, "There was an error parsing JSON.");
    simdjson::dom::object fields;
    if (root["fields"].get(fields)) return field_error("project", "Specify a valid project ID or key");
    simdjson::dom::object project;
    if (fields["project"].get(project) ||
        (string_at(project, "key") != "PROJ" && string_at(project, "id") != "10000")) {
        return field_error("project", "Specify a valid project ID or key");
    }
    auto summary = string_at(fields, "summary");
    if (auto problem = refuse_summary(summary)) return *std::move(problem);
    simdjson::dom::object type;
    if (fields["issuetype"].get(type)) return field_error("issuetype", "Specify an issue type");
    std::uint32_t const number = site.create_issue(std::move(*summary), v.now);
    return json(201, fmt::format(R"({{"id":"{0}","key":"PROJ-{1}","self":"{2}/rest/api/3/issue/{0}"}})",
                                 first_id + number, number, base_url(v, world_)));
}

reply issues::edit(visit const& v, site_state& site, std::uint32_t number) const {
    if (!site.has_issue(number)) return json(404, absent);
    simdjson::dom::object root;
    if (!parse_object(v.r.body, root)) return jira_error(400, "There was an error parsing JSON.");
    simdjson::dom::object fields;
    simdjson::dom::object update;
    bool const has_fields = !root["fields"].get(fields);
    if (!has_fields && root["update"].get(update)) return jira_error(400, "one of 'fields' or 'update' required");
    std::optional<std::string> summary;
    simdjson::dom::element given;
    if (has_fields && !fields["summary"].get(given)) {
        summary = string_at(fields, "summary");
        if (auto problem = refuse_summary(summary)) return *std::move(problem);
    }
    return site.edit_issue(number, std::move(summary), v.now.wall) ? no_content() : json(404, absent);
}

reply issues::remove(site_state& site, std::uint32_t number) const {
    return site.delete_issue(number) ? no_content() : json(404, absent);
}

void issues::append(std::string& out, std::string_view base, std::size_t site, issue_state const& issue) const {
    static constexpr std::string_view statuses[] = {"To Do", "In Progress", "In Review", "Done"};
    static constexpr std::string_view priorities[] = {"Low", "Medium", "High"};
    std::size_t const start = out.size();
    std::uint32_t const n = issue.number;
    std::uint64_t const look = mix(mix(params_.seed + site) ^ n);
    wall_time const created{std::chrono::hours{24 * 365 * 55 + n % 8000}};
    wall_time const updated = issue.updated > created ? issue.updated : created;
    auto const to = std::back_inserter(out);
    fmt::format_to(to,
                   R"({{"expand":"renderedFields,names,schema,operations,editmeta,changelog","id":"{0}",)"
                   R"("self":"{1}/rest/api/3/issue/{0}","key":"PROJ-{2}","fields":{{)"
                   R"("issuetype":{{"id":"10001","name":"Bug","subtask":false}},)"
                   R"("project":{{"id":"10000","key":"PROJ","name":"Project","projectTypeKey":"software"}},"summary":)",
                   first_id + n, base, n);
    append_json(out, issue.summary);
    fmt::format_to(
        to,
        R"(,"status":{{"id":"{}","name":"{}"}},"priority":{{"id":"{}","name":"{}"}},"labels":["billing"],)"
        R"("reporter":{{"accountId":"712020:{:016x}","displayName":"Kim Example","active":true}},"assignee":null,)"
        R"("created":"{}","updated":"{}","description":{{"type":"doc","version":1,"content":)"
        R"([{{"type":"paragraph","content":[{{"type":"text","text":")",
        look % 4 + 1, statuses[look % 4], look / 4 % 3 + 2, priorities[look / 4 % 3], mix(look), jira_date(created),
        jira_date(updated));
    constexpr std::string_view end = "\"}]}]}}}";
    std::size_t const size = out.size() - start + end.size();
    if (size < params_.issue_bytes) out += std::string_view(filler_).substr(0, params_.issue_bytes - size);
    out += end;
}

void issues::append_key(std::string& out, std::string_view base, std::uint32_t number) {
    fmt::format_to(std::back_inserter(out),
                   R"({{"expand":"","id":"{0}","self":"{1}/rest/api/3/issue/{0}","key":"PROJ-{2}"}})",
                   first_id + number, base, number);
}

void issues::append_id(std::string& out, std::uint32_t number) {
    fmt::format_to(std::back_inserter(out), R"({{"id":"{}"}})", first_id + number);
}

}  // namespace jirapool::mock
