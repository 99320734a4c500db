#include <jirapool/pool/webhooks.hpp>

#include "jira/callback_url.hpp"
#include "jira/webhook_plan.hpp"

#include <jirapool/core/jira_error.hpp>
#include <jirapool/core/json_text.hpp>

#include <simdjson.h>

#include <algorithm>
#include <string_view>

namespace jirapool {

namespace {

constexpr char const* collection = "/rest/webhooks/1.0/webhook";

failure why_unsupported(connection const& c) {
    return failure(errc::unsupported_for_kind,
                   "managed webhooks need a personal API token: add the site as a connection with site_url, email and "
                   "apiKey")
        .with_connection(c.id());
}

failure invalid(char const* field, char const* rule) { return failure(errc::invalid_argument, rule).with_field(field); }

/// The broken rule, or a failure without a code.
failure check(webhook_spec const& s) {
    if (s.name.empty() || s.name.size() > 255) return invalid("name", "must have 1 to 255 bytes");
    if (char const* const rule = detail::why_invalid_callback_url(s.callback_url)) return invalid("callback_url", rule);
    if (s.events.empty()) return invalid("events", "must name at least one event");
    for (auto const& e : s.events) {
        bool const plain = !e.empty() && std::all_of(e.begin(), e.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ':' || c == '-';
        });
        if (!plain) return invalid("events", "must be names such as jira:issue_created");
    }
    if (!simdjson::validate_utf8(s.name.data(), s.name.size())) return invalid("name", "must be UTF-8");
    if (!simdjson::validate_utf8(s.jql.data(), s.jql.size())) return invalid("jql", "must be UTF-8");
    auto const key = s.signing_secret.reveal();
    if (!simdjson::validate_utf8(key.data(), key.size())) return invalid("signing_secret", "must be UTF-8");
    return {};
}

/// With `enabled`, of a webhook that is there: a filter that the spec has not is taken away.
std::string body_of(webhook_spec const& s, std::optional<bool> enabled = {}) {
    std::string body;
    body.reserve(512 + s.name.size() + s.callback_url.size() + 6 * s.signing_secret.size() + 6 * s.jql.size());
    body.append("{\"name\":");
    append_json_string(body, s.name);
    body.append(",\"url\":");
    append_json_string(body, s.callback_url);
    body.append(",\"events\":[");
    for (std::size_t i = 0; i < s.events.size(); ++i) {
        if (i > 0) body.push_back(',');
        append_json_string(body, s.events[i]);
    }
    body.append("],\"excludeBody\":false");
    if (enabled) body.append(*enabled ? ",\"enabled\":true" : ",\"enabled\":false");
    if (enabled || !s.jql.empty()) {
        body.append(",\"filters\":{\"issue-related-events-section\":");
        append_json_string(body, s.jql);
        body.push_back('}');
    }
    if (!s.signing_secret.empty()) {
        body.append(",\"secret\":");
        append_json_string(body, s.signing_secret.reveal());
    }
    body.push_back('}');
    return body;
}

/// Fails as simdjson does. What it gives lives as long as the parser.
simdjson::simdjson_result<simdjson::dom::element> parse(simdjson::dom::parser& parser, response const& r) {
    auto const text = json_text(r.body());
    return parser.parse(text.data(), text.size(), false);  // a body's padding is behind it
}

std::string text_of(simdjson::dom::element const& e, char const* key) {
    std::string_view text;
    return e[key].get(text) ? std::string() : std::string(text);
}

bool flag_of(simdjson::dom::element const& e, char const* key) {
    bool flag = false;
    return !e[key].get(flag) && flag;
}

/// False: not a webhook's record.
bool read_record(simdjson::dom::element const& e, webhook_info& out) {
    // The id is in no field of its own: it is the last segment of `self`.
    auto const self = text_of(e, "self");
    auto const slash = self.rfind('/');
    if (slash == std::string::npos || slash + 1 == self.size()) return false;
    out.id = self.substr(slash + 1);
    out.name = text_of(e, "name");
    out.callback_url = text_of(e, "url");
    out.enabled = flag_of(e, "enabled");
    out.is_signed = flag_of(e, "isSigned");
    out.has_body = !flag_of(e, "excludeBody");
    simdjson::dom::element filters;
    if (!e["filters"].get(filters)) out.jql = text_of(filters, "issue-related-events-section");
    simdjson::dom::array events;
    if (!e["events"].get(events)) {
        for (auto const event : events) {
            std::string_view text;
            if (!event.get(text)) out.events.emplace_back(text);
        }
    }
    return true;
}

failure malformed(connection const& c) {
    return failure(errc::protocol_error, "Jira's answer is not what was asked for")
        .with_connection(c.id())
        .at(stage::body);
}

/// Whether the text holds the secret, or as much of it as must not be told either: Jira's words against a body may quote it, cut or escaped.
bool quotes(std::string_view text, secret const& key) {
    constexpr std::size_t part = 12;
    auto const all = key.reveal();
    if (all.size() <= part) return !all.empty() && text.find(all) != text.npos;
    for (std::size_t i = 0; i + part <= all.size(); ++i)
        if (text.find(all.substr(i, part)) != text.npos) return true;
    return false;
}

/// What Jira says against it. `key`: what was sent to it besides.
failure refused(connection const& c, response const& r, secret const& key) {
    auto said = read_jira_error(r);
    auto why = "status " + std::to_string(said.status);
    if (auto const text = said.text(); quotes(text, key)) why.append(": (a text that quotes the webhook's secret)");
    else if (!said.empty()) why.append(": ").append(text);
    return failure(errc::webhook_refused, std::move(why))
        .with_status(said.status)
        .with_connection(c.id())
        .with_trace_id(std::move(said.trace_id))
        .at(stage::body);
}

}  // namespace

namespace {

bool is_number(std::string const& id) noexcept {
    return !id.empty() && std::all_of(id.begin(), id.end(), [](char d) { return d >= '0' && d <= '9'; });
}

std::string path_of(std::string const& id) { return std::string(collection) + "/" + id; }

/// Why nothing is sent; no code: it may be.
failure why_not(connection const& c, webhook_spec const* spec, std::string const* id) {
    if (c.kind() != connection_kind::personal_api_token) return why_unsupported(c);
    if (id != nullptr && !is_number(*id)) return invalid("id", "must be a number").with_connection(c.id());
    if (spec == nullptr) return {};
    auto broken = check(*spec);
    return broken.code() ? std::move(broken).with_connection(c.id()) : failure();
}

result<webhook_info> record_in(connection const& c, response const& answer, secret const& key = {}) {
    if (!answer.ok()) return refused(c, answer, key);
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    webhook_info info;
    if (parse(parser, answer).get(doc) || !read_record(doc, info)) return malformed(c);
    return info;
}

result<std::vector<webhook_info>> records_in(connection const& c, response const& answer) {
    if (!answer.ok()) return refused(c, answer, {});
    simdjson::dom::parser parser;
    simdjson::dom::array records;
    std::vector<webhook_info> all;
    if (parse(parser, answer).get(records)) return malformed(c);
    for (auto const record : records) {
        webhook_info info;
        if (!read_record(record, info)) return malformed(c);
        all.push_back(std::move(info));
    }
    return all;
}

/// The record as Jira takes it, with `enabled` changed: what it says of all else goes back as it came.
std::string body_with(simdjson::dom::element const& record, bool enabled) {
    std::string body = "{";
    for (char const* const field : {"name", "description", "url", "events", "filters", "excludeBody"}) {
        simdjson::dom::element value;
        if (record[field].get(value)) continue;
        body.append("\"").append(field).append("\":").append(simdjson::minify(value)).push_back(',');
    }
    return body.append(enabled ? "\"enabled\":true}" : "\"enabled\":false}");
}

std::string list_of(std::vector<webhook_drift> const& all) {
    std::string text;
    for (auto const d : all) text.append(text.empty() ? "" : ", ").append(to_string(d));
    return text;
}

void report_drift(connection const& c, webhook_spec const& s, std::vector<webhook_drift> const& found) {
    event e{event::kind::webhook_drifted, {}, list_of(found)};
    e.scope = s.name;
    detail::report(c, std::move(e));
}

}  // namespace

asio::awaitable<result<webhook_info>> create_webhook(connection c, webhook_spec spec) {
    if (auto why = why_not(c, &spec, nullptr); why.code()) co_return why;
    // The request owns and wipes no secret; its body lives until the answer is there and no longer.
    auto post = request::post(collection).json(body_of(spec));
    auto const answer = co_await c.call(std::move(post));
    if (!answer) co_return answer.error();
    co_return record_in(c, *answer, spec.signing_secret);
}

asio::awaitable<result<std::vector<webhook_info>>> list_webhooks(connection c) {
    if (auto why = why_not(c, nullptr, nullptr); why.code()) co_return why;
    auto get = request::get(collection);
    auto const answer = co_await c.call(std::move(get));
    if (!answer) co_return answer.error();
    co_return records_in(c, *answer);
}

asio::awaitable<result<std::optional<webhook_info>>> get_webhook(connection c, std::string id) {
    if (auto why = why_not(c, nullptr, &id); why.code()) co_return why;
    auto get = request::get(path_of(id));
    auto const answer = co_await c.call(std::move(get));
    if (!answer) co_return answer.error();
    if (answer->status() == 404) co_return std::optional<webhook_info>();
    auto record = record_in(c, *answer);
    if (!record) co_return record.error();
    co_return std::optional<webhook_info>(std::move(*record));
}

asio::awaitable<result<webhook_info>> update_webhook(connection c, std::string id, webhook_spec spec) {
    if (auto why = why_not(c, &spec, &id); why.code()) co_return why;
    auto const is = co_await get_webhook(c, id);
    if (!is) co_return is.error();
    bool const enabled = !*is || (*is)->enabled;  // when there is none, Jira says so
    auto put = request::put(path_of(id)).json(body_of(spec, enabled));
    auto const answer = co_await c.call(std::move(put));
    if (!answer) co_return answer.error();
    co_return record_in(c, *answer, spec.signing_secret);
}

asio::awaitable<result<webhook_info>> enable_webhook(connection c, std::string id, bool enabled) {
    if (auto why = why_not(c, nullptr, &id); why.code()) co_return why;
    auto get = request::get(path_of(id));
    auto const is = co_await c.call(std::move(get));
    if (!is) co_return is.error();
    auto known = record_in(c, *is);
    if (!known || known->enabled == enabled) co_return known;
    simdjson::dom::parser parser;
    simdjson::dom::element record;
    if (parse(parser, *is).get(record)) co_return malformed(c);
    auto put = request::put(path_of(id)).json(body_with(record, enabled));
    auto const answer = co_await c.call(std::move(put));
    if (!answer) co_return answer.error();
    co_return record_in(c, *answer);
}

asio::awaitable<result<ensured_webhook>> ensure_webhook(connection c, webhook_spec spec) {
    if (auto why = why_not(c, &spec, nullptr); why.code()) co_return why;
    auto const all = co_await list_webhooks(c);
    if (!all) co_return all.error();
    ensured_webhook done;
    auto const* const is = detail::find_webhook(spec, *all);
    if (is != nullptr) {
        done.webhook = *is;
        done.healed = detail::drift_of(spec, *is);
        if (done.healed.empty()) co_return done;
    } else {
        done.healed.push_back(webhook_drift::missing);
    }
    report_drift(c, spec, done.healed);
    auto change = is != nullptr ? request::put(path_of(is->id)).json(body_of(spec, true))
                                : request::post(collection).json(body_of(spec));
    auto answer = co_await c.call(std::move(change));
    if (answer && is != nullptr && answer->status() == 404) {
        // Deleted since it was listed.
        done.healed = {webhook_drift::missing};
        change = request::post(collection).json(body_of(spec));
        answer = co_await c.call(std::move(change));
    }
    if (!answer) co_return answer.error();
    auto now = record_in(c, *answer, spec.signing_secret);
    if (!now) co_return now.error();
    if (auto const left = detail::drift_of(spec, *now); !left.empty())
        co_return failure(errc::webhook_refused, "Jira's record differs behind the change: " + list_of(left))
            .with_status(answer->status())
            .with_connection(c.id())
            .at(stage::body);
    done.webhook = std::move(*now);
    co_return done;
}

asio::awaitable<result<bool>> may_manage_webhooks(connection c) {
    if (auto why = why_not(c, nullptr, nullptr); why.code()) co_return why;
    auto get = request::get("/rest/api/3/mypermissions?permissions=ADMINISTER");
    auto const answer = co_await c.call(std::move(get));
    if (!answer) co_return answer.error();
    if (!answer->ok()) co_return refused(c, *answer, {});
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    bool has = false;
    if (parse(parser, *answer).get(doc) || doc["permissions"]["ADMINISTER"]["havePermission"].get(has))
        co_return malformed(c);
    co_return has;
}

result<std::string> webhook_callback_url(std::string_view base, std::string_view connection_id) {
    if (auto const* const rule = detail::why_invalid_callback_url(base)) return invalid("base", rule);
    if (base.find_first_of("?#") != base.npos) return invalid("base", "must have no query and no fragment");
    if (connection_id.empty() || connection_id == "." || connection_id == "..")
        return invalid("connection_id", "must not be empty, . or ..");
    std::string url(base);
    if (!url.ends_with('/')) url.push_back('/');
    return url.append(detail::encoded_segment(connection_id));
}

asio::awaitable<result<bool>> delete_webhook(connection c, std::string id) {
    if (auto why = why_not(c, nullptr, &id); why.code()) co_return why;
    auto request = request::delete_(path_of(id));
    auto const answer = co_await c.call(std::move(request));
    if (!answer) co_return answer.error();
    if (answer->ok()) co_return true;
    // Of an earlier exchange that nobody answered, this may be the work.
    if (answer->status() == 404) co_return answer->maybe_processed_before();
    co_return refused(c, *answer, {});
}

}  // namespace jirapool
