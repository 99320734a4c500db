#include "commands.hpp"
#include "exit_status.hpp"
#include "one_connection.hpp"

#include <jirapool/pool/webhooks.hpp>
#include <jirapool/tools/json_writer.hpp>
#include <jirapool/tools/process.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <optional>

namespace jirapool::cli {
namespace {

/// Runs one operation to its end and gives its value to `show`, which returns the exit status.
template <class T, class Show>
int finish(one_connection& one, asio::awaitable<result<T>> operation, Show show) {
    int status = failed;
    auto end = [&](std::exception_ptr e, result<T> r) {
        one.stop();
        if (e) std::rethrow_exception(e);
        if (r) {
            status = show(*r);
        } else {
            auto const f = r.error();
            tools::tell(fmt::format("jirapool: {}\n", tools::printable(f.describe())));
            status = status_of(f);
        }
    };
    asio::co_spawn(one.context(), std::move(operation), std::move(end));
    one.run();
    return status;
}

void write_webhook(tools::json_writer& out, webhook_info const& w) {
    out.begin_object();
    out.member("id", w.id);
    out.member("name", w.name);
    out.member("url", w.callback_url);
    out.key("events").begin_array();
    for (auto const& e : w.events) out.value(e);
    out.end_array();
    out.member("jql", w.jql);
    out.member("body", w.has_body);
    out.member("enabled", w.enabled);
    out.member("signed", w.is_signed);
    out.end_object();
}

std::string to_text(webhook_info const& w) {
    std::string events;
    for (auto const& e : w.events) {
        if (!events.empty()) events += ',';
        events += tools::printable(e);
    }
    return fmt::format("{}  {}  {}  {}  {}, {}\n", tools::printable(w.id), tools::printable(w.name),
                       tools::printable(w.callback_url), events, w.enabled ? "enabled" : "disabled",
                       w.is_signed ? "signed" : "unsigned");
}

int show(std::string const& text) { return tools::print("jirapool", text) ? ok : failed; }

int show_one(webhook_info const& w, bool json) {
    if (!json) return show(to_text(w));
    tools::json_writer out;
    write_webhook(out, w);
    return show(out.take());
}

int show_ensured(ensured_webhook const& e, bool json) {
    if (json) {
        tools::json_writer out;
        out.begin_object();
        out.key("healed").begin_array();
        for (auto const d : e.healed) out.value(to_string(d));
        out.end_array();
        out.key("webhook");
        write_webhook(out, e.webhook);
        out.end_object();
        return show(out.take());
    }
    std::string drift;
    for (auto const d : e.healed) drift.append(drift.empty() ? "" : ", ").append(to_string(d));
    tools::tell(e.healed.empty() ? std::string("as it should be\n")
                : e.created()    ? std::string("created\n")
                                 : fmt::format("healed: {}\n", drift));
    return show(to_text(e.webhook));
}

int no_such_webhook() {
    tools::tell("jirapool: no such webhook\n");
    return not_ok;
}

int show_list(std::vector<webhook_info> const& all, bool json) {
    if (json) {
        tools::json_writer out;
        out.begin_array();
        for (auto const& w : all) write_webhook(out, w);
        out.end_array();
        return show(out.take());
    }
    std::string text;
    for (auto const& w : all) text += to_text(w);
    int const status = show(text);
    tools::tell(fmt::format("{} webhook{}\n", all.size(), all.size() == 1 ? "" : "s"));
    return status;
}

}  // namespace

int make_webhook(make_webhook_options o) {
    one_connection one(o.at);
    auto url = o.base.empty() ? result<std::string>(std::move(o.url)) : webhook_callback_url(o.base, o.at.id);
    if (!url) {
        tools::tell(fmt::format("jirapool: --base: {}\n", url.error().describe()));
        return bad_usage;
    }
    webhook_spec spec(std::move(o.name), std::move(*url), std::move(o.events));
    spec.signing_secret = std::move(o.signing_secret);
    spec.jql = std::move(o.jql);
    if (o.ensure)
        return finish<ensured_webhook>(one, jirapool::ensure_webhook(one.get(), std::move(spec)),
                                       [json = o.json](ensured_webhook const& e) { return show_ensured(e, json); });
    return finish<webhook_info>(one, jirapool::create_webhook(one.get(), std::move(spec)),
                                [json = o.json](webhook_info const& w) { return show_one(w, json); });
}

int list_webhooks(list_webhooks_options o) {
    one_connection one(o.at);
    return finish<std::vector<webhook_info>>(one, jirapool::list_webhooks(one.get()),
                                             [json = o.json](std::vector<webhook_info> const& all) {
                                                 return show_list(all, json);
                                             });
}

int use_webhook(one_webhook_options o) {
    using action = one_webhook_options::action;
    one_connection one(o.at);
    if (o.what == action::remove)
        return finish<bool>(one, jirapool::delete_webhook(one.get(), o.webhook_id), [](bool existed) -> int {
            if (!existed) return no_such_webhook();
            tools::tell("deleted\n");
            return ok;
        });
    if (o.what == action::show)
        return finish<std::optional<webhook_info>>(one, jirapool::get_webhook(one.get(), o.webhook_id),
                                                   [json = o.json](std::optional<webhook_info> const& w) {
                                                       return w ? show_one(*w, json) : no_such_webhook();
                                                   });
    auto change = jirapool::enable_webhook(one.get(), o.webhook_id, o.what == action::enable);
    return finish<webhook_info>(one, std::move(change),
                                [json = o.json](webhook_info const& w) { return show_one(w, json); });
}

}  // namespace jirapool::cli
