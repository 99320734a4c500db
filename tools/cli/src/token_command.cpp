#include "commands.hpp"
#include "exit_status.hpp"
#include "one_connection.hpp"
#include "report_parts.hpp"

#include <jirapool/tools/json_writer.hpp>
#include <jirapool/tools/process.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>
#include <boost/asio/bind_executor.hpp>

#include <optional>
#include <string>
#include <utility>

namespace jirapool::cli {
namespace {

/// What is known of a connection's credential once Jira was asked. Never the credential.
struct credential_state {
    connection_status status;
    /// Why Jira could not be asked.
    std::optional<failure> unasked;
    int answered = 0;  ///< the status that it answered with
    std::optional<wall_time> expires_at;
    std::optional<std::string> scopes;

    bool works() const noexcept {
        return status.condition == connection_condition::healthy || status.condition == connection_condition::limited;
    }
    std::string problem() const {
        if (unasked) return unasked->describe();
        if (status.condition == connection_condition::healthy) return {};
        if (status.condition == connection_condition::unknown)
            return fmt::format("Jira answered {}, which tells nothing of the credential", answered);
        return status.describe();
    }
};

std::optional<wall_time> since_of(connection_status const& s) {
    return s.since == wall_time() ? std::nullopt : std::optional(s.since);
}

std::string to_json(connection const& c, credential_state const& state) {
    auto const& s = state.status;
    tools::json_writer out;
    out.begin_object();
    out.member("schema", 1);
    out.member("id", c.id());
    out.member("kind", to_string(c.kind()));
    out.member("host", c.host());
    out.member("site", c.site());
    out.member("condition", to_string(s.condition));
    out.member("cause", to_string(s.cause));
    write_text(out, "problem", state.problem());
    write_time(out, "since", since_of(s));
    write_time(out, "last_success", s.last_success);
    write_time(out, "next_try", s.until);
    write_time(out, "token_expires", s.token_expires);
    write_scopes(out, state.scopes.value_or(std::string()));
    write_time(out, "expires_at", state.expires_at);
    if (s.ends_within_days) out.member("ends_within_days", *s.ends_within_days);
    else out.key("ends_within_days").null();
    out.end_object();
    return out.take();
}

std::string end_text(credential_state const& state) {
    if (!state.expires_at) return "-";
    auto at = time_text(*state.expires_at);
    if (!state.status.ends_within_days) return at;
    int const days = *state.status.ends_within_days;
    if (days == 0) return at + ", which is past";
    return fmt::format("{}, within {} day{}", at, days, days == 1 ? "" : "s");
}

std::string to_text(connection const& c, credential_state const& state) {
    auto const& s = state.status;
    auto const when = [](std::optional<wall_time> const& t) { return t ? time_text(*t) : std::string("-"); };
    auto const problem = state.problem();
    std::string out;
    auto const line = [&out](char const* name, std::string const& value) {
        out += fmt::format("{:<14}{}\n", name, tools::printable(value));
    };
    line("connection", c.id());
    line("kind", to_string(c.kind()));
    line("host", std::string(c.host()));
    line("site", std::string(c.site()));
    line("condition", to_string(s.condition));
    if (s.cause != condition_cause::none) line("cause", to_string(s.cause));
    if (!problem.empty()) line("problem", problem);
    line("since", when(since_of(s)));
    line("last success", when(s.last_success));
    line("next try", when(s.until));
    if (c.kind() == connection_kind::service_oauth) {
        line("token expires", when(s.token_expires));
        line("scopes", state.scopes && !state.scopes->empty() ? *state.scopes : "-");
    }
    line("expires at", end_text(state));
    return out;
}

credential_state state_of(one_connection const& one, result<response> const& answer) {
    credential_state state;
    state.status = one.get().status();
    state.scopes = one.scopes();
    if (one.options().expires_at) state.expires_at = wall_time(*one.options().expires_at);
    if (answer) state.answered = answer->status();
    // These two are about the credential: the status tells them better.
    if (!answer && answer.error().code() != errc::anonymous_answer && answer.error().code() != errc::credential_refused)
        state.unasked = answer.error();
    return state;
}

}  // namespace

int show_token(token_options o) {
    one_connection one(o.at);
    credential_state state;
    auto end = [&](result<response> const& answer) {
        state = state_of(one, answer);
        one.stop();
    };
    one.get().async_call(request::check().timeout(o.timeout), asio::bind_executor(one.context(), std::move(end)));
    one.run();
    auto const c = one.get();
    if (!tools::print("jirapool", o.json ? to_json(c, state) : to_text(c, state))) return failed;
    if (state.unasked) {
        tools::tell(fmt::format("jirapool: {}\n", tools::printable(state.unasked->describe())));
        return status_of(*state.unasked);
    }
    return state.works() ? ok : not_ok;
}

}  // namespace jirapool::cli
