#include "files.hpp"

#include <jirapool/mock/server.hpp>
#include <jirapool/tools/process.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <sstream>
#include <stdexcept>
#include <string>

namespace {

using namespace jirapool::mock;

struct options {
    params server;
    std::string http = "either";
    long long token_lifetime_s = 3600;
    double idle_timeout_s = 60;
    long long latency_ms = 0;
    long long latency_jitter_ms = 0;
    long long token_latency_ms = 0;
    std::string ca_file;
    std::string connections_file;
    std::string ready_file;
};

void add_options(CLI::App& cli, options& o) {
    params& p = o.server;
    faults& f = p.faulty;
    auto const add = [&cli](char const* group, char const* name, auto& value, char const* help) {
        return cli.add_option(name, value, help)->capture_default_str()->group(group);
    };
    char const* const where = "Where";
    add(where, "--address", p.address, "Loopback address to listen on");
    add(where, "--port", p.port, "TLS port; 0: any free one");
    add(where, "--admin-port", p.admin_port, "Plain HTTP port on 127.0.0.1 for /stats; 0: any free one");
    add(where, "--threads", p.threads, "Threads, each with its own event loop");

    add(where, "--http", o.http, "What TLS clients may speak: either, 1.1 or 2; ALPN chooses")
        ->check(CLI::IsMember({"either", "1.1", "2"}));

    char const* const what = "What there is";
    add(what, "--sites", p.sites, "Sites, site-0001.atlassian.net and so on");
    add(what, "--personal", p.personal, "Connections with a personal API token");
    add(what, "--service", p.service, "Connections with a service account's API token");
    add(what, "--oauth", p.oauth, "Connections with OAuth client credentials");
    add(what, "--seed", p.seed, "Cloud ids and credentials follow from it");
    add(what, "--issues", p.issues_per_site, "Issues of each site, PROJ-1 and so on");
    add(what, "--issue-bytes", p.issue_bytes, "About the size of an issue");
    add(what, "--token-lifetime", o.token_lifetime_s, "Lifetime of access tokens, seconds");
    add(what, "--token-bytes", p.token_bytes, "Length of access tokens");
    cli.add_flag("--chunked", p.chunked, "Answer with Transfer-Encoding: chunked")->group(what);
    cli.add_flag("--compress", p.compress, "Compress answers by Accept-Encoding: br, or else gzip")->group(what);

    char const* const limits = "Limits";
    add(limits, "--burst-get", p.burst_get, "Requests per second, site and route: GET");
    add(limits, "--burst-get-issue", p.burst_get_issue, "GET issue/{issueIdOrKey}");
    add(limits, "--burst-post", p.burst_post, "POST");
    add(limits, "--burst-put", p.burst_put, "PUT");
    add(limits, "--burst-delete", p.burst_delete, "DELETE");
    add(limits, "--burst-scale", p.burst_scale, "Multiplies the burst figures; the result is rounded, at least 1");
    add(limits, "--burst-capacity", p.burst_capacity, "What a full bucket holds, in seconds of refill");
    add(limits, "--foreign-load", p.foreign_load, "What part of each bucket's refill other programs take, 0 to 1");
    cli.add_flag("--limit-issue-writes,!--no-limit-issue-writes", p.limit_issue_writes,
                 "20 writes in 2 s and 100 in 30 s for each issue (on by default)")
        ->group(limits);
    add(limits, "--quota-points", p.quota_points, "Points per site and hour; 0: no quota");
    cli.add_flag("--quota-oauth-only", p.quota_oauth_only, "API tokens spend no points")->group(limits);

    add(limits, "--max-body", p.max_body_bytes, "The longest body of a request, bytes");
    add(limits, "--max-concurrent-streams", p.http2.max_concurrent_streams, "Streams of an HTTP/2 connection");
    add(limits, "--initial-window", p.http2.initial_window, "Bytes of an HTTP/2 request's body under way");
    cli.add_flag("--index-headers,!--no-index-headers", p.http2.index_headers,
                 "Index the header fields of HTTP/2 answers that repeat (on by default)")
        ->group(limits);

    char const* const wrong = "What goes wrong";
    add(wrong, "--latency-ms", o.latency_ms, "Before each API answer");
    add(wrong, "--latency-jitter-ms", o.latency_jitter_ms, "Up to this much more");
    add(wrong, "--error-rate", f.error_rate, "Fraction of API calls answered 503");
    add(wrong, "--token-latency-ms", o.token_latency_ms, "Before each answer of the token endpoint");
    add(wrong, "--token-error-rate", f.token_error_rate, "Fraction of token exchanges answered 503");
    add(wrong, "--close-rate", f.close_rate, "Fraction of answers after which the connection is just closed");
    add(wrong, "--idle-timeout-s", o.idle_timeout_s, "Idle connections are closed after so many seconds");

    char const* const files = "Files";
    add(files, "--ca", p.ca_file,
        "Keep the certificate authority, its key too, in this file: made (mode 0600) if it is not there");
    add(files, "--write-ca", o.ca_file, "Write what clients trust, the authority's certificate (PEM), to this file");
    add(files, "--write-connections", o.connections_file,
        "Write the connections, secrets and all, to this file (mode 0600)");
    add(files, "--ready-file", o.ready_file, "Write {\"port\":..,\"admin_port\":..} to this file when listening");
}

void take_over(options& o) {
    using std::chrono::milliseconds;
    params& p = o.server;
    // Bounded before the conversion: what overflows must not come out as something valid.
    if (!(o.idle_timeout_s > 0 && o.idle_timeout_s <= 86'400)) {
        throw std::invalid_argument("--idle-timeout-s must be above 0, at most a day");
    }
    if (o.token_lifetime_s < 1 || o.token_lifetime_s > 365LL * 86'400) {
        throw std::invalid_argument("--token-lifetime must be 1 s to a year");
    }
    p.http = o.http == "2" ? http_versions::http2 : o.http == "1.1" ? http_versions::http1_1 : http_versions::either;
    p.token_lifetime = std::chrono::seconds{o.token_lifetime_s};
    p.idle_timeout = std::max(milliseconds{1}, milliseconds{static_cast<long long>(o.idle_timeout_s * 1000)});
    p.faulty.latency = milliseconds{o.latency_ms};
    p.faulty.latency_jitter = milliseconds{o.latency_jitter_ms};
    p.faulty.token_latency = milliseconds{o.token_latency_ms};
}

int run(options& o) {
    take_over(o);
    // Before any thread exists, so that all of them leave the signals to sigwait.
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGINT);
    ::sigaddset(&signals, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    std::string const address = o.server.address;
    std::size_t const connections = o.server.personal + o.server.service + o.server.oauth;
    std::size_t const sites = o.server.sites;
    server s(std::move(o.server));
    if (!o.ca_file.empty()) write_file(o.ca_file, s.ca_pem(), 0644);
    if (!o.connections_file.empty()) write_file(o.connections_file, s.world().connections_json(), 0600);
    s.start();
    if (!o.ready_file.empty()) {
        write_file(o.ready_file, fmt::format("{{\"port\":{},\"admin_port\":{}}}\n", s.port(), s.admin_port()), 0644);
    }
    // Who cannot read this does not know where to go.
    if (!jirapool::tools::print("jirapool-mock",
                                fmt::format("jirapool-mock: https on {}:{}, http://127.0.0.1:{}/stats, {} sites, {} "
                                            "connections\n",
                                            address.find(':') == std::string::npos ? address : '[' + address + ']',
                                            s.port(), s.admin_port(), sites, connections)))
        return 2;

    int signal = 0;
    ::sigwait(&signals, &signal);
    s.stop();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    jirapool::tools::guard_streams();
    CLI::App cli{
        "A Jira Cloud to test against: sites, API gateway and token endpoint behind one TLS port of this\n"
        "machine. Connect to that port whatever the host, name the real host (SNI and Host), trust the\n"
        "authority that --write-ca writes.",
        "jirapool-mock"};
    cli.set_version_flag("--version", "jirapool-mock " JIRAPOOL_VERSION);
    cli.footer(
        "SIGINT and SIGTERM end it. Exit status: 0 after a signal, 2 if it cannot start\n"
        "or say where it listens.\n"
        "Example: jirapool-mock --port 8443 --write-ca ca.pem --write-connections connections.json\n"
        "  curl --cacert ca.pem --connect-to ::127.0.0.1:8443 https://site-0001.atlassian.net/_edge/tenant_info");
    options o;
    add_options(cli, o);
    try {
        cli.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        std::ostringstream out;
        std::ostringstream problem;
        bool const fine = cli.exit(e, out, problem) == 0;
        jirapool::tools::tell(problem.str());
        return jirapool::tools::print("jirapool-mock", out.str()) && fine ? 0 : 2;
    }
    try {
        return run(o);
    } catch (std::exception const& e) {
        jirapool::tools::tell(fmt::format("jirapool-mock: {}\n", e.what()));
        return 2;
    }
}
