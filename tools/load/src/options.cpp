#include "options.hpp"

#include <jirapool/tools/process.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sstream>
#include <stdexcept>

namespace jirapool::load {
namespace {

/// What CLI11 reads; the rest is parsed from it.
struct raw_options {
    std::vector<std::string> connect_to;
    std::string mock_stats;
    std::vector<std::string> required;
};

void add_options(CLI::App& cli, options& o, raw_options& raw) {
    cli.add_option("CONNECTIONS", o.connections_file, "Connections file (JSON); all of it is used")->required();

    char const* const load = "Load";
    auto const number = [&cli](char const* name, auto& value, char const* help, char const* group) {
        // The last one holds, so that a script's own can be followed by other ones.
        return cli.add_option(name, value, help)->capture_default_str()->take_last()->group(group);
    };
    number("--rate", o.rate, "Calls per second over all connections, begun whether or not others have ended", load)
        ->check(CLI::Range(0.001, 1e6));
    number("--duration", o.duration_s, "Seconds", load)->check(CLI::Range(0.001, 1e6));
    number("--mix", o.mix_text, "Weights of myself, get_issue, search, put_issue, post_issue", load);
    number("--issues", o.issues, "Issues to use: PROJ-1 to PROJ-N of each site", load)
        ->check(CLI::Range(1u, 10'000'000u));
    number("--seed", o.seed, "Order of connections, draw of operations and issues", load);
    number("--timeout", o.timeout_s, "Seconds that one call may last", load)->check(CLI::Range(0.001, 3600.0));
    number("--max-in-flight", o.max_in_flight, "Calls due while so many are under way are not sent, but counted", load)
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10'000'000}));
    number("--warm-up", o.warm_up_s,
           "Seconds to wait at most until each OAuth credential has a token; then the clock starts", load)
        ->check(CLI::Range(0.0, 3600.0));

    char const* const wire = "Client";
    number("--threads", o.threads, "Shards, each with a thread", wire)->check(CLI::Range(1u, 256u));
    cli.add_option("--connect-to", raw.connect_to,
                   "Connect to this address instead: for one host or, without HOST, all of them; may be repeated")
        ->type_name("[HOST:]ADDR:PORT")
        ->allow_extra_args(false)
        ->group(wire);
    cli.add_option("--ca", o.ca_file, "Trust these certificate authorities (PEM) instead of the system's")
        ->take_last()
        ->type_name("FILE")
        ->group(wire);

    number("--http", o.http, "Versions of HTTP to offer: either, 1.1 or 2; the server chooses (ALPN)", wire)
        ->check(CLI::IsMember({"either", "1.1", "2"}));
    cli.add_flag(
           "--follow", o.follow,
           "Take over what changes in the connections file while it runs, as a service would; SIGHUP reads it again.\n"
           "Connections that come are not called, calls on those that go fail")
        ->group(wire);

    char const* const output = "Output";
    auto* const metrics = cli.add_option("--metrics", o.metrics_address,
                                         "Serve /metrics for Prometheus while it runs; port 0: any free one");
    metrics->take_last()->type_name("ADDR:PORT")->group(output);
    cli.add_option("--metrics-token-file", o.metrics_token_file,
                   "File with the bearer token that who reads the metrics must send")
        ->needs(metrics)
        ->take_last()
        ->type_name("FILE")
        ->group(output);
    cli.add_option("--json", o.json_file,
                   "Write the summary as JSON; -: to standard output, the text to standard error")
        ->take_last()
        ->type_name("FILE")
        ->group(output);
    cli.add_option("--mock-stats", raw.mock_stats, "A jirapool-mock's admin address: show its figures beside ours")
        ->take_last()
        ->type_name("ADDR:PORT")
        ->group(output);
    cli.add_flag("-q,--quiet", o.quiet, "No progress")->group(output);

    char const* const verdict = "Verdict";
    cli.add_option("--require", raw.required,
                   "NAME<=NUMBER or NAME>=NUMBER, NAME a number's place in the JSON; may be repeated.\n"
                   "E.g. 'response_ms.p95 <= 250', 'calls.share_failed <= 0.001', 'client.token_waits <= 0'")
        ->type_name("CONDITION")
        ->allow_extra_args(false)
        ->group(verdict);
    cli.add_flag("--allow-failures", o.allow_failures, "Failed and unsent calls are no reason for exit status 1")
        ->group(verdict);
}

template <class T>
T value_or_throw(char const* option, result<T> r) {
    if (!r) throw std::invalid_argument(fmt::format("{}: {}", option, r.error().rule()));
    return std::move(*r);
}

void take_over(options& o, raw_options const& raw) {
    o.what = value_or_throw("--mix", mix::parse(o.mix_text));
    for (auto const& text : raw.connect_to)
        o.connect_to.push_back(value_or_throw("--connect-to", tools::parse_connect_to(text)));
    if (!raw.mock_stats.empty()) o.mock_stats = value_or_throw("--mock-stats", tools::parse_endpoint(raw.mock_stats));
    for (auto const& text : raw.required) {
        o.required.push_back(value_or_throw("--require", threshold::parse(text)));
        if (o.required.back().name().starts_with("mock.") && !o.mock_stats)
            throw std::invalid_argument("--require: numbers of the mock need --mock-stats");
    }
    if (o.rate * o.duration_s > 1e9)
        throw std::invalid_argument("--rate and --duration: more than 1,000,000,000 calls");
}

}  // namespace

std::variant<options, int> parse_options(int argc, char const* const* argv) {
    CLI::App cli{
        "Drives Jira connections at a fixed rate and says what came of it. An open loop: calls begin when they are\n"
        "planned, and response times are counted from then, so a stall shows in all the calls it delays.",
        "jirapool-load"};
    cli.set_version_flag("--version", "jirapool-load " JIRAPOOL_VERSION);
    cli.footer(
        "Exit status: 0; 1 if a call failed or was not sent (see --allow-failures), a --require is not met, or the "
        "mock's\n"
        "figures are missing; 2 for bad usage or connections, or output that cannot be written; 130 after SIGINT or "
        "SIGTERM, which end it in 2 s with the summary.");
    options o;
    raw_options raw;
    add_options(cli, o, raw);
    try {
        cli.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        std::ostringstream out;
        std::ostringstream problem;
        bool const fine = cli.exit(e, out, problem) == 0;
        tools::tell(problem.str());
        return tools::print("jirapool-load", out.str()) && fine ? 0 : 2;
    }
    try {
        take_over(o, raw);
    } catch (std::invalid_argument const& e) {
        tools::tell(fmt::format("jirapool-load: {}\n", e.what()));
        return 2;
    }
    return o;
}

}  // namespace jirapool::load
