#include <jirapool/pool/webhooks.hpp>

#include "jira/callback_url.hpp"

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

void append_json_string(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    out.push_back('"');
    for (char const c : text) {
        auto const u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (u < 0x20) {
            out.append("\\u00");
            out.push_back(digits[u >> 4]);
            out.push_back(digits[u & 15]);
        } else {
            out.push_back(c);
        }
    }
    out.push_back('"');
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

std::string body_of(webhook_spec const& s) {
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
    if (!s.jql.empty()) {
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
    return failure(errc::protocol_error, "Jira's answer is not a webhook's record")
        .with_connection(c.id())
        .at(stage::body);
}

/// What Jira says against it, from whichever of its error shapes came.
failure refused(connection const& c, response const& r) {
    auto why = "status " + std::to_string(r.status());
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    simdjson::dom::array messages;
    std::string_view text;
    if (!parse(parser, r).get(doc)) {
        if (!doc["errorMessages"].get(messages)) {
            for (auto const m : messages)
                if (!m.get(text)) why.append(": ").append(text.substr(0, 200));
        } else if (!doc["message"].get(text)) {
            why.append(": ").append(text.substr(0, 200));
        }
    }
    return failure(errc::webhook_refused, std::move(why))
        .with_status(r.status())
        .with_connection(c.id())
        .with_trace_id(std::string(r.trace_id()))
        .at(stage::body);
}

}  // namespace

asio::awaitable<result<webhook_info>> create_webhook(connection c, webhook_spec spec) {
    if (c.kind() != connection_kind::personal_api_token) co_return why_unsupported(c);
    if (auto broken = check(spec); broken.code()) co_return std::move(broken).with_connection(c.id());
    // The request owns and wipes no secret; its body lives until the answer is there and no longer.
    auto post = request::post(collection).json(body_of(spec));
    auto const answer = co_await c.call(std::move(post));
    if (!answer) co_return answer.error();
    if (!answer->ok()) co_return refused(c, *answer);
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    webhook_info info;
    if (parse(parser, *answer).get(doc) || !read_record(doc, info)) co_return malformed(c);
    co_return info;
}

asio::awaitable<result<std::vector<webhook_info>>> list_webhooks(connection c) {
    if (c.kind() != connection_kind::personal_api_token) co_return why_unsupported(c);
    auto get = request::get(collection);
    auto const answer = co_await c.call(std::move(get));
    if (!answer) co_return answer.error();
    if (!answer->ok()) co_return refused(c, *answer);
    simdjson::dom::parser parser;
    simdjson::dom::array records;
    std::vector<webhook_info> all;
    if (parse(parser, *answer).get(records)) co_return malformed(c);
    for (auto const record : records) {
        webhook_info info;
        if (!read_record(record, info)) co_return malformed(c);
        all.push_back(std::move(info));
    }
    co_return all;
}

asio::awaitable<result<bool>> delete_webhook(connection c, std::string id) {
    if (c.kind() != connection_kind::personal_api_token) co_return why_unsupported(c);
    bool const digits = !id.empty() && std::all_of(id.begin(), id.end(), [](char d) { return d >= '0' && d <= '9'; });
    if (!digits) co_return invalid("id", "must be a number").with_connection(c.id());
    auto request = request::delete_(std::string(collection) + "/" + id);
    auto const answer = co_await c.call(std::move(request));
    if (!answer) co_return answer.error();
    if (answer->ok()) co_return true;
    // Of an earlier exchange that nobody answered, this may be the work.
    if (answer->status() == 404) co_return answer->maybe_processed_before();
    co_return refused(c, *answer);
}

}  // namespace jirapool
