#include "commands.hpp"
#include "exit_status.hpp"
#include "one_connection.hpp"

#include <jirapool/core/explanation.hpp>
#include <jirapool/core/jira_error.hpp>
#include <jirapool/tools/process.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>
#include <boost/asio/bind_executor.hpp>

#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::cli {
namespace {

request make_request(call_options& o) {
    request r(o.how, std::move(o.target));
    for (auto& [name, value] : o.headers) {
        request with = std::move(r).header(std::move(name), std::move(value));
        r = std::move(with);
    }
    // A type without a body is sent too: Jira asks for one on some POSTs that have none.
    if (o.body || !o.content_type.empty()) {
        if (o.content_type.empty()) o.content_type = "application/json";
        request with = std::move(r).body(o.body ? std::move(*o.body) : std::string(), std::move(o.content_type));
        r = std::move(with);
    }
    if (o.timeout) {
        request with = std::move(r).timeout(*o.timeout);
        r = std::move(with);
    }
    return std::move(r).explain(o.explain);
}

std::string text_of(response const& r, bool with_head) {
    std::string out;
    if (with_head) {
        out = fmt::format("HTTP {}\n", r.status());
        for (std::size_t i = 0; i < r.header_count(); ++i)
            out += fmt::format("{}: {}\n", r.header_name(i), tools::printable(r.header_value(i)));
        out += '\n';
    }
    out += std::string_view(r.body());
    // Keeps the prompt on a line of its own; a file gets the bytes as they are.
    if (!out.empty() && out.back() != '\n' && ::isatty(STDOUT_FILENO) == 1) out += '\n';
    return out;
}

/// What an answer that is no 2xx says, each message and field on a line of its own behind the status.
std::string error_text(response const& r) {
    auto const e = read_jira_error(r);
    std::string out;
    auto const line = [&out](std::string_view text) { out.append("  ").append(tools::printable(text)).append("\n"); };
    for (auto const& message : e.messages) line(message);
    for (auto const& [field, text] : e.fields) line(field + ": " + text);
    if (e.truncated) line("(it says more than is shown here)");
    if (e.source == error_source::edge) line("(said by the edge before Jira, or by a proxy)");
    if (!e.failure_category.empty()) line("failure category: " + e.failure_category);
    if (!e.login_reason.empty()) line("login reason: " + e.login_reason);
    return out;
}

/// Where the time went, for a call that asked for it.
std::string explanation_text(std::shared_ptr<explanation const> const& e) {
    return e ? fmt::format("took {}\n", tools::printable(e->describe())) : std::string();
}

int report(result<response> const& answer, bool with_head) {
    if (!answer) {
        auto const f = answer.error();
        tools::tell(fmt::format("jirapool: {}\n{}", tools::printable(f.describe()), explanation_text(f.explanation())));
        return status_of(f);
    }
    // In any case: whoever cannot have the answer may still want to know that it was a good one.
    bool const printed = tools::print("jirapool", text_of(*answer, with_head));
    auto const trace = answer->trace_id();
    tools::tell(fmt::format("status {}{}{}\n{}{}", answer->status(), trace.empty() ? "" : ", trace ",
                            tools::printable(trace), answer->ok() ? std::string() : error_text(*answer),
                            explanation_text(answer->explanation())));
    if (!printed) return failed;
    return answer->ok() ? ok : not_ok;
}

}  // namespace

int call(call_options o) {
    one_connection one(o.at);
    bool const with_head = o.show_head;
    int status = failed;
    auto end = [&](result<response> const& answer) {
        status = report(answer, with_head);
        one.stop();
    };
    one.get().async_call(make_request(o), asio::bind_executor(one.context(), std::move(end)));
    one.run();
    return status;
}

}  // namespace jirapool::cli
