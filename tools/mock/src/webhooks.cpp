#include "webhooks.hpp"

#include "answers.hpp"
#include "json_body.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::mock {
namespace {

using std::chrono::milliseconds;

void append_webhook(std::string& out, std::string_view base, webhook_state const& w) {
    out += "{\"name\":";
    append_json(out, w.name);
    out += ",\"description\":";
    append_json(out, w.description);
    out += ",\"url\":";
    append_json(out, w.url);
    fmt::format_to(std::back_inserter(out),
                   R"(,"excludeBody":{},"filters":{},"events":{},"enabled":{},"isSigned":{},)"
                   R"("self":"{}/rest/webhooks/1.0/webhook/{}","lastUpdatedUser":"{}","lastUpdated":{}}})",
                   w.exclude_body, w.filters, w.events, w.enabled, !w.secret.empty(), base, w.id, w.updated_by,
                   std::chrono::duration_cast<milliseconds>(w.updated.time_since_epoch()).count());
}

/// Takes over what the body names. Empty, or what is wrong.
std::string read_webhook(std::string_view body, webhook_state& w) {
    simdjson::dom::object root;
    if (!parse_object(body, root)) return "There was an error parsing JSON.";
    if (auto name = string_at(root, "name")) w.name = std::move(*name);
    if (auto text = string_at(root, "description")) w.description = std::move(*text);
    if (auto url = string_at(root, "url")) w.url = std::move(*url);
    if (w.name.empty()) return "The name of the webhook is required.";
    if (!w.url.starts_with("https://") && !w.url.starts_with("http://")) return "The URL of the webhook is invalid.";
    simdjson::dom::array events;
    if (!root["events"].get(events)) w.events = simdjson::minify(events);
    simdjson::dom::object filters;
    if (!root["filters"].get(filters)) w.filters = simdjson::minify(filters);
    bool flag = false;
    if (!root["excludeBody"].get(flag)) w.exclude_body = flag;
    if (!root["enabled"].get(flag)) w.enabled = flag;
    if (auto secret = string_at(root, "secret")) w.secret = std::move(*secret);
    return {};
}

}  // namespace

reply answer_webhooks(visit const& v, world const& w, site_state& site) {
    std::string const base = base_url(v, w);
    std::string_view const who = v.caller ? w.connections()[*v.caller].account_id : std::string_view();
    std::string body;
    if (v.match.id == route::list_webhooks) {
        body = "[";
        for (webhook_state const& hook : site.webhooks()) {
            if (body.size() > 1) body += ',';
            append_webhook(body, base, hook);
        }
        body += ']';
        return json(200, body);
    }
    if (v.match.id == route::create_webhook) {
        webhook_state made;
        made.updated = v.now.wall;
        made.updated_by = who;
        if (std::string const problem = read_webhook(v.r.body, made); !problem.empty()) return jira_error(400, problem);
        auto const id = site.add_webhook(made);
        if (!id) return jira_error(400, "The maximum number of webhooks has been reached.");
        made.id = *id;
        append_webhook(body, base, made);
        reply out = json(201, body);
        fmt::format_to(std::back_inserter(out.headers), "Location: {}/rest/webhooks/1.0/webhook/{}\r\n", base, made.id);
        return out;
    }

    auto const id = to_number(v.match.parameter);
    auto found = id && *id <= 0xffffffffu ? site.webhook(static_cast<std::uint32_t>(*id)) : std::nullopt;
    auto const absent = [&] { return jira_error(404, "The webhook does not exist."); };
    if (!found) return absent();
    if (v.match.id == route::delete_webhook) {
        if (!site.delete_webhook(found->id)) return absent();
        return no_content();
    }
    if (v.match.id == route::edit_webhook) {
        if (std::string const problem = read_webhook(v.r.body, *found); !problem.empty()) {
            return jira_error(400, problem);
        }
        found->updated = v.now.wall;
        found->updated_by = who;
        if (!site.replace_webhook(*found)) return absent();
    }
    append_webhook(body, base, *found);
    return json(200, body);
}

}  // namespace jirapool::mock
