#include "options.hpp"

#include "completion.hpp"
#include "exit_status.hpp"

#include <jirapool/core/connections_file.hpp>
#include <jirapool/tools/endpoint.hpp>
#include <jirapool/tools/process.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace jirapool::cli {
namespace {

/// Where a webhook's secret comes from.
struct secret_source {
    std::string env;
    std::string file;
};

/// What CLI11 reads; the rest is parsed from it.
struct raw_options {
    check_options check;
    call_options call;
    token_options token;
    make_webhook_options create;
    make_webhook_options ensure;
    list_webhooks_options list;
    std::array<one_webhook_options, 4> one;  // by action
    listen_options listen;
    top_options top;

    // One for each command: CLI11 also sets the options of those that are not used, from the environment.
    std::vector<std::string> check_connect_to;
    std::vector<std::string> call_connect_to;
    std::vector<std::string> token_connect_to;
    std::vector<std::string> create_connect_to;
    std::vector<std::string> ensure_connect_to;
    std::vector<std::string> list_connect_to;
    std::array<std::vector<std::string>, 4> one_connect_to;

    std::string method_name;
    std::string data;
    std::vector<std::string> headers;
    double timeout_s = 0;
    double check_timeout_s = 30;
    double token_timeout_s = 30;
    std::string forward;
    std::string top_at = "127.0.0.1:9464";
    double top_every_s = 2;
    secret_source create_secret;
    secret_source ensure_secret;
    secret_source listen_secret;
};

struct subcommands {
    CLI::App* check = nullptr;
    CLI::App* call = nullptr;
    CLI::App* token = nullptr;
    CLI::App* webhook = nullptr;
    CLI::App* create = nullptr;
    CLI::App* ensure = nullptr;
    CLI::App* list = nullptr;
    std::array<CLI::App*, 4> one{};  // by action
    CLI::App* listen = nullptr;
    CLI::App* top = nullptr;
    CLI::App* bash = nullptr;
    CLI::App* zsh = nullptr;
    CLI::Option* forward = nullptr;
    CLI::Option* data = nullptr;
    CLI::Option* timeout = nullptr;
};

void add_reach_options(CLI::App& to, std::string& ca_file, std::vector<std::string>& connect_to) {
    to.add_option("--connect-to", connect_to,
                  "Connect to this address instead: for one host or, without HOST, all of them; may be repeated")
        ->type_name("[HOST:]ADDR:PORT")
        ->allow_extra_args(false);
    to.add_option("--ca", ca_file, "Trust these certificate authorities (PEM) instead of the system's")
        ->type_name("FILE");
}

void add_connect_options(CLI::App& to, connect_options& at, std::vector<std::string>& connect_to) {
    to.add_option("ID", at.id, "Connection to use")->required();
    to.add_option("--connections", at.connections_file, "Connections file (JSON); only this connection of it is used")
        ->type_name("FILE")
        ->envname("JIRAPOOL_CONNECTIONS")
        ->required();
    add_reach_options(to, at.ca_file, connect_to);
}

void add_check(CLI::App& cli, subcommands& sub, raw_options& raw) {
    sub.check = cli.add_subcommand(
        "check", "Say of each connection of a file whether it can be used; sends nothing but with --live");
    sub.check->add_option("FILE", raw.check.file, "Connections file (JSON)")->required();
    sub.check->add_flag("--json", raw.check.json, "Print JSON");
    sub.check->add_flag("-q,--quiet", raw.check.quiet, "Print only what is wrong");
    auto* const live = sub.check->add_flag("--live", raw.check.live,
                                           "Ask Jira on each: whether it works, who it is, what it may, and how fast");
    sub.check->add_option("--parallel", raw.check.how.parallel, "Connections that are asked at a time")
        ->check(CLI::Range(1, 256))
        ->capture_default_str()
        ->needs(live);
    sub.check->add_option("--timeout", raw.check_timeout_s, "Of each question")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.001, 3600.0))
        ->capture_default_str()
        ->needs(live);
    add_reach_options(*sub.check, raw.check.how.ca_file, raw.check_connect_to);
}

void add_call(CLI::App& cli, subcommands& sub, raw_options& raw) {
    sub.call = cli.add_subcommand("call", "Make one call; the answer's body goes to standard output");
    add_connect_options(*sub.call, raw.call.at, raw.call_connect_to);
    sub.call->add_option("METHOD", raw.method_name, "GET, HEAD, POST, PUT, PATCH or DELETE")->required();
    sub.call->add_option("TARGET", raw.call.target, "Path and query, percent-encoded: /rest/api/3/myself")->required();
    sub.data = sub.call
                   ->add_option(
                       "--data", raw.data,
                       "Body, application/json unless a header says otherwise; @file: a file's, @-: standard input's")
                   ->type_name("BODY|@file");
    sub.call->add_option("--header", raw.headers, "May be repeated")
        ->type_name("'NAME: VALUE'")
        ->allow_extra_args(false);
    sub.timeout = sub.call->add_option("--timeout", raw.timeout_s, "Of the whole call; default: the connection's")
                      ->type_name("SECONDS")
                      ->check(CLI::Range(0.001, 3600.0));
    sub.call->add_flag("-i,--include", raw.call.show_head, "Print the answer's status and headers too");
    sub.call->add_flag("--explain", raw.call.explain, "Say on standard error where the time went");
}

void add_token(CLI::App& cli, subcommands& sub, raw_options& raw) {
    sub.token = cli.add_subcommand(
        "token", "Ask Jira once, and say in what state a connection's credential is; it is never shown itself");
    add_connect_options(*sub.token, raw.token.at, raw.token_connect_to);
    sub.token->add_option("--timeout", raw.token_timeout_s, "Of the question")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.001, 3600.0))
        ->capture_default_str();
    sub.token->add_flag("--json", raw.token.json, "Print JSON");
}

void add_top(CLI::App& cli, subcommands& sub, raw_options& raw) {
    sub.top = cli.add_subcommand("top",
                                 "Show the connections and sites in trouble of a program that runs, again and again");
    sub.top->add_option("ENDPOINT", raw.top_at, "Its metrics endpoint, ADDR:PORT")->capture_default_str();
    sub.top->add_option("--every", raw.top_every_s, "Between two looks")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    sub.top->add_option("--rows", raw.top.rows, "The most rows of each table")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    sub.top->add_option("--token-file", raw.top.token_file, "File with the bearer token that the endpoint asks for")
        ->type_name("PATH");
    sub.top->add_flag("--once", raw.top.once, "Look once, as when the output is no terminal");
}

void add_secret(CLI::App& to, secret_source& secret) {
    auto* const env = to.add_option("--secret-env", secret.env,
                                    "Environment variable with the secret that signs deliveries");
    auto* const file = to.add_option("--secret-file", secret.file, "File with that secret");
    env->type_name("NAME")->excludes(file);
    file->type_name("PATH")->excludes(env);
}

void add_spec(CLI::App& to, make_webhook_options& make, secret_source& secret, std::vector<std::string>& connect_to) {
    add_connect_options(to, make.at, connect_to);
    to.add_option("--name", make.name, "What Jira's administrators see")->required();
    auto* const url = to.add_option("--url", make.url, "Callback URL, https");
    auto* const base = to.add_option("--base", make.base, "The same as BASE/ID: a path of its own for each connection");
    url->type_name("URL")->excludes(base);
    base->type_name("BASE")->excludes(url);
    to.add_option("--event", make.events, "E.g. jira:issue_created; may be repeated")
        ->required()
        ->allow_extra_args(false);
    to.add_option("--jql", make.jql, "Only issues that this finds");
    add_secret(to, secret);
    to.add_flag("--json", make.json, "Print JSON");
}

void add_listen(subcommands& sub, raw_options& raw) {
    sub.listen = sub.webhook->add_subcommand(
        "listen", "Receive deliveries by plain HTTP, behind a proxy that does the TLS, and show each as it comes");
    sub.listen->add_option("--address", raw.listen.address, "To listen on")
        ->check(CLI::ValidIPV4)
        ->capture_default_str();
    sub.listen->add_option("--port", raw.listen.port, "To listen on; 0: any, which is said")->capture_default_str();
    sub.listen->add_option("--count", raw.listen.count, "End behind so many requests");
    sub.forward = sub.listen
                      ->add_option("--forward", raw.forward,
                                   "Post each delivery that was proved on to this URL, and say what it answered; "
                                   "without a PATH on to the delivery's own")
                      ->type_name("http://HOST[:PORT][/PATH]");
    add_secret(*sub.listen, raw.listen_secret);
    sub.listen->add_flag("--body", raw.listen.bodies, "Show bodies too");
    sub.listen->add_flag("--json", raw.listen.json, "Print JSON, a document for each");
}

void add_one(subcommands& sub, raw_options& raw, one_webhook_options::action a, char const* name, char const* what) {
    auto const i = static_cast<std::size_t>(a);
    auto* const command = sub.webhook->add_subcommand(name, what);
    sub.one[i] = command;
    raw.one[i].what = a;
    add_connect_options(*command, raw.one[i].at, raw.one_connect_to[i]);
    command->add_option("WEBHOOK_ID", raw.one[i].webhook_id, "As `list` prints it")->required();
    if (a != one_webhook_options::action::remove) command->add_flag("--json", raw.one[i].json, "Print JSON");
}

void add_webhook(CLI::App& cli, subcommands& sub, raw_options& raw) {
    sub.webhook = cli.add_subcommand("webhook",
                                     "Managed webhooks of a site: for connections with a personal API token");
    sub.webhook->require_subcommand(1);

    sub.create = sub.webhook->add_subcommand("create", "Create one and print it");
    add_spec(*sub.create, raw.create, raw.create_secret, raw.create_connect_to);
    sub.ensure = sub.webhook->add_subcommand(
        "ensure", "Create it when there is none of that name or URL, heal it when it drifted, and print it");
    add_spec(*sub.ensure, raw.ensure, raw.ensure_secret, raw.ensure_connect_to);
    raw.ensure.ensure = true;

    sub.list = sub.webhook->add_subcommand("list", "List all, whoever made them");
    add_connect_options(*sub.list, raw.list.at, raw.list_connect_to);
    sub.list->add_flag("--json", raw.list.json, "Print JSON");

    using action = one_webhook_options::action;
    add_one(sub, raw, action::show, "get", "Print one");
    add_one(sub, raw, action::enable, "enable", "Have one deliver");
    add_one(sub, raw, action::disable, "disable", "Have one deliver no more");
    add_one(sub, raw, action::remove, "delete", "Delete one");
    add_listen(sub, raw);
}

void add_completion(CLI::App& cli, subcommands& sub) {
    auto* const completion = cli.add_subcommand("completion", "Print a script that completes commands and options");
    completion->require_subcommand(1);
    sub.bash = completion->add_subcommand("bash", "For bash: source <(jirapool completion bash)");
    sub.zsh = completion->add_subcommand("zsh", "For zsh: source <(jirapool completion zsh), behind compinit");
}

std::chrono::milliseconds milliseconds_of(double seconds) {
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

[[noreturn]] void refuse(std::string const& what) { throw std::invalid_argument(what); }

method method_named(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    for (std::size_t i = 0; i < method_count; ++i)
        if (to_string(static_cast<method>(i)) == name) return static_cast<method>(i);
    refuse("METHOD must be GET, HEAD, POST, PUT, PATCH or DELETE");
}

std::string read_body(std::string const& data) {
    if (!data.starts_with('@')) return data;
    bool const standard = data == "@-";
    int const from = standard ? STDIN_FILENO : ::open(data.c_str() + 1, O_RDONLY | O_CLOEXEC);
    std::string body;
    bool const whole = from >= 0 && tools::read_all(from, body);
    int const error = errno;
    if (!standard && from >= 0) ::close(from);
    if (!whole)
        refuse(fmt::format("--data: cannot read {}: {}", standard ? "standard input" : data.substr(1),
                           std::strerror(error)));
    return body;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    auto const lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

void take_over_call(subcommands const& sub, raw_options& raw) {
    call_options& c = raw.call;
    c.how = method_named(raw.method_name);
    for (std::string_view const header : raw.headers) {
        auto const colon = header.find(':');
        if (colon == std::string_view::npos || colon == 0) refuse("--header must be 'NAME: VALUE'");
        auto const name = trimmed(header.substr(0, colon));
        auto const value = trimmed(header.substr(colon + 1));
        if (!same_name(name, "content-type")) {
            c.headers.emplace_back(name, value);
            continue;
        }
        // The request has one type: what would not be sent is refused and not dropped.
        if (!c.content_type.empty()) refuse("--header: Content-Type must not be given twice");
        if (value.empty()) refuse("--header: Content-Type must not be empty");
        c.content_type = value;
    }
    if (sub.data->count() != 0) c.body = read_body(raw.data);
    if (sub.timeout->count() != 0) c.timeout = milliseconds_of(raw.timeout_s);
}

void take_over_addresses(std::vector<address_override>& to, std::vector<std::string> const& texts) {
    for (auto const& text : texts) {
        auto parsed = tools::parse_connect_to(text);
        if (!parsed) refuse("--connect-to: " + parsed.error().rule());
        to.push_back(std::move(*parsed));
    }
}

void take_over_secret(secret& to, secret_source const& from) {
    if (from.env.empty() && from.file.empty()) return;
    auto s = from.env.empty() ? system_secrets().from_file(from.file) : system_secrets().from_env(from.env);
    if (!s) refuse(fmt::format("{}: {}", from.env.empty() ? "--secret-file" : "--secret-env", s.error().describe()));
    to = std::move(*s);
}

command take_over_spec(make_webhook_options& make, secret_source const& secret,
                       std::vector<std::string> const& connect_to) {
    if (make.url.empty() && make.base.empty()) refuse("--url or --base is required");
    take_over_addresses(make.at.connect_to, connect_to);
    take_over_secret(make.signing_secret, secret);
    return std::move(make);
}

command take_over(subcommands const& sub, raw_options& raw) {
    if (*sub.check) {
        take_over_addresses(raw.check.how.connect_to, raw.check_connect_to);
        raw.check.how.timeout = milliseconds_of(raw.check_timeout_s);
        raw.check.how.json = raw.check.json;
        raw.check.how.quiet = raw.check.quiet;
        return std::move(raw.check);
    }
    if (*sub.call) {
        take_over_addresses(raw.call.at.connect_to, raw.call_connect_to);
        take_over_call(sub, raw);
        return std::move(raw.call);
    }
    if (*sub.token) {
        take_over_addresses(raw.token.at.connect_to, raw.token_connect_to);
        raw.token.timeout = milliseconds_of(raw.token_timeout_s);
        return std::move(raw.token);
    }
    if (*sub.create) return take_over_spec(raw.create, raw.create_secret, raw.create_connect_to);
    if (*sub.ensure) return take_over_spec(raw.ensure, raw.ensure_secret, raw.ensure_connect_to);
    if (*sub.list) {
        take_over_addresses(raw.list.at.connect_to, raw.list_connect_to);
        return std::move(raw.list);
    }
    if (*sub.listen) {
        take_over_secret(raw.listen.signing_secret, raw.listen_secret);
        if (raw.listen.signing_secret.empty()) refuse("--secret-env or --secret-file is required: anybody could sign");
        if (sub.forward->count() != 0) {
            auto to = parse_forward_url(raw.forward);
            if (!to) refuse("--forward: " + to.error().rule());
            raw.listen.forward = std::move(*to);
        }
        return std::move(raw.listen);
    }
    if (*sub.top) {
        auto at = tools::parse_endpoint(raw.top_at);
        if (!at) refuse("ENDPOINT: " + at.error().rule());
        if (at->port == 0) refuse("ENDPOINT: the port of ADDR:PORT must not be 0");
        raw.top.at = std::move(*at);
        raw.top.every = milliseconds_of(raw.top_every_s);
        return std::move(raw.top);
    }
    std::size_t i = 0;
    while (!*sub.one[i]) ++i;
    take_over_addresses(raw.one[i].at.connect_to, raw.one_connect_to[i]);
    return std::move(raw.one[i]);
}

}  // namespace

std::variant<command, int> parse_options(int argc, char const* const* argv) {
    CLI::App cli{"Looks at Jira connections, and calls Jira through one of them.", "jirapool"};
    cli.set_version_flag("--version", "jirapool " JIRAPOOL_VERSION);
    cli.require_subcommand(1);
    cli.footer(
        "Exit status: 0; 1 if a connection is bad (check), the answer is not 2xx (call), the credential does not work\n"
        "(token), or there was no such webhook (get, delete); 2 for bad usage, an unusable file or connection; 3 if\n"
        "there is no answer, a webhook was refused, or the output cannot be written.");
    subcommands sub;
    raw_options raw;
    add_check(cli, sub, raw);
    add_call(cli, sub, raw);
    add_token(cli, sub, raw);
    add_webhook(cli, sub, raw);
    add_top(cli, sub, raw);
    add_completion(cli, sub);
    try {
        cli.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        std::ostringstream out;
        std::ostringstream problem;
        bool const fine = cli.exit(e, out, problem) == 0;
        tools::tell(problem.str());
        if (!tools::print("jirapool", out.str())) return failed;
        return fine ? ok : bad_usage;
    }
    if (*sub.bash) return completion_options{bash_completion(cli)};
    if (*sub.zsh) return completion_options{zsh_completion(cli)};
    try {
        return take_over(sub, raw);
    } catch (std::invalid_argument const& e) {
        tools::tell(fmt::format("jirapool: {}\n", e.what()));
        return bad_usage;
    }
}

}  // namespace jirapool::cli
