// CPU of one call of 1 KB over TLS 1.3: the engine over HTTP/1.1 with 64 channels, and over HTTP/2 with 256 calls at once on one
// channel, against nginx, which does not index the fields of its answers, and against nghttpd, which does; beside h2load, which does
// nothing but HTTP/2, and beside a bare loop over HTTP/1.1 (against nginx). The server has one core, the client the other.
//   http2_bench [ROUNDS [CALLS [http1|http2|indexed]]]     one alone is for a profiler
// Needs nginx, nghttpd and h2load. Figures are medians; of ratios those of each round.
#include "counted.hpp"
#include "server_process.hpp"

#include "support/figure.hpp"
#include "support/foreign_server.hpp"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

using namespace jirapool::bench;
using jirapool::support::foreign_server;
using jirapool::support::free_port;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t body_size = 1024;
constexpr int server_core = 0;
constexpr int client_core = 1;

/// What both servers serve: for each site the answer to who one is.
fs::path documents(fs::path const& folder) {
    auto const root = folder / "htdocs";
    std::string text;
    while (text.size() < body_size) text += R"({"id":"10001","key":"PROJ-1","fields":{"summary":"words"}},)";
    text.resize(body_size);
    for (int n = 0; n < channels; ++n) {
        auto const place = root / "ex/jira" / cloud_id(n) / "rest/api/3";
        fs::create_directories(place);
        std::ofstream(place / "myself") << text;
    }
    return root;
}

std::vector<std::string> nginx(scratch_identity const& id, fs::path const& root, std::uint16_t port) {
    auto const& folder = id.folder();
    auto const configuration = folder + "/nginx.conf";
    std::ofstream(configuration)
        << "daemon off; master_process off; worker_processes 1; pid " << folder << "/nginx.pid; error_log " << folder
        << "/error.log;\nevents { worker_connections 1024; }\nhttp {\n  access_log off; default_type "
           "application/json; server_tokens off; keepalive_requests 1000000000; keepalive_timeout 600s;\n"
           "  open_file_cache max=200; http2_max_concurrent_streams 256;\n"
        << "  client_body_temp_path " << folder << "/a; proxy_temp_path " << folder << "/b; fastcgi_temp_path "
        << folder << "/c; uwsgi_temp_path " << folder << "/d; scgi_temp_path " << folder << "/e;\n"
        << "  server { listen 127.0.0.1:" << port << " ssl http2; ssl_certificate " << id.certificate_file()
        << "; ssl_certificate_key " << id.key_file() << "; ssl_protocols TLSv1.3; root " << root.string() << ";\n"
        << "    add_header Atl-Traceid 0123456789abcdef0123456789abcdef; add_header X-RateLimit-Limit 5000; "
           "add_header X-RateLimit-Remaining 4999;\n"
           "    add_header X-Arequestid 2f4f1f1e2c7ad8c5a3a5b0a3b1c0a9d8; add_header X-Content-Type-Options nosniff;\n"
           "    add_header Strict-Transport-Security \"max-age=63072000; includeSubDomains; preload\"; } }\n";
    return {"nginx", "-p", folder, "-e", folder + "/error.log", "-c", configuration};
}

std::vector<std::string> nghttpd(scratch_identity const& id, fs::path const& root, std::uint16_t port) {
    return {"nghttpd", "-a",  "127.0.0.1",          "-d",          root.string(),
            "-m",      "256", std::to_string(port), id.key_file(), id.certificate_file()};
}

/// What the measured calls asked for, as the process of its own in which they are made saw it.
counts* measured = nullptr;

void at_edge() {
    // Twice: the second less the first.
    auto const now = counted();
    measured->system_calls = now.system_calls - measured->system_calls;
    measured->allocations = now.allocations - measured->allocations;
}

/// What a call took.
struct cost {
    std::vector<double> us, system_calls, allocations;

    void add(task const& t) {
        *measured = {};
        us.push_back(measure(run_ours, t));
        if (us.back() < 0) throw std::runtime_error("a call failed");
        auto const calls = static_cast<double>(t.calls);
        system_calls.push_back(static_cast<double>(measured->system_calls) / calls);
        allocations.push_back(static_cast<double>(measured->allocations) / calls);
    }
};

/// Microseconds of CPU a request: of two numbers of requests the difference, without what it takes to begin.
double h2load(std::uint16_t port, std::size_t requests) {
    auto const cpu = [&](std::size_t n) {
        auto const url = "https://127.0.0.1:" + std::to_string(port) + "/ex/jira/" + cloud_id(0) + "/rest/api/3/myself";
        pid_t const child = jirapool::support::start_program(
            {"h2load", "-n", std::to_string(n), "-c", "1", "-m", "256", "-t", "1", url}, client_core);
        rusage used{};
        int status = 0;
        if (::wait4(child, &status, 0, &used) != child || status != 0) throw std::runtime_error("h2load failed");
        auto const seconds = [](timeval const& t) {
            return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
        };
        return seconds(used.ru_utime) + seconds(used.ru_stime);
    };
    auto const few = requests / 10;
    return (cpu(requests) - cpu(few)) / static_cast<double>(requests - few) * 1e6;
}

}  // namespace

int main(int argc, char** argv) try {
    std::size_t const rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 9;
    std::size_t const calls = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 50'000;

    auto* const shared = ::mmap(nullptr, sizeof(counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::bad_alloc();
    measured = static_cast<counts*>(shared);
    // As in any process that once gave back something large: glibc no longer returns a burst's memory to the system each time.
    ::mallopt(M_TRIM_THRESHOLD, 32 << 20);
    ::mallopt(M_TOP_PAD, 4 << 20);

    scratch_identity const identity;
    auto const root = documents(identity.folder());
    auto const first = free_port();
    foreign_server const plain(nginx(identity, root, first), first, server_core);
    auto const second = free_port();
    foreign_server const indexing(nghttpd(identity, root, second), second, server_core);

    task one;
    one.port = plain.port();
    one.ca_file = identity.ca_file();
    one.body = body_size;
    one.calls = calls;
    one.warm_up = 5'000;
    one.limits = false;  // nghttpd cannot be told to send Jira's headers
    one.at_edge = at_edge;
    task two = one;
    two.http = jirapool::http_versions::http2;
    two.at_once = 256;
    two.max_channels = 1;
    task indexed = two;
    indexed.port = indexing.port();

    if (argc > 3) {
        std::string const only = argv[3];
        auto const& t = only == "http1" ? one : only == "http2" ? two : indexed;
        for (std::size_t round = 0; round < rounds; ++round)
            std::printf("%s_us %.2f\n", only.c_str(), measure(run_ours, t));
        return 0;
    }

    cost http1, http2, http2_indexed;
    std::vector<double> bare, of_bare1, of_bare2, load, load_indexed, of_http1, of_http1_indexed, of_load,
        of_load_indexed;
    for (std::size_t round = 0; round < rounds; ++round) {
        bare.push_back(measure(run_bare, one));
        http1.add(one);
        http2.add(two);
        of_bare1.push_back(http1.us.back() / bare.back());
        of_bare2.push_back(http2.us.back() / bare.back());
        load.push_back(h2load(plain.port(), 4 * calls));
        http2_indexed.add(indexed);
        load_indexed.push_back(h2load(indexing.port(), 4 * calls));
        of_http1.push_back(http2.us.back() / http1.us.back());
        of_http1_indexed.push_back(http2_indexed.us.back() / http1.us.back());
        of_load.push_back(http2.us.back() / load.back());
        of_load_indexed.push_back(http2_indexed.us.back() / load_indexed.back());
    }
    auto const show = [](std::string const& name, std::vector<double> const& all) {
        std::printf("%s %.2f\n", name.c_str(), median(all));
        jirapool::support::figure(name, median(all));
    };
    auto const show_cost = [&show](std::string const& name, cost const& c) {
        show(name + "_us", c.us);
        show(name + "_system_calls", c.system_calls);
        show(name + "_allocations", c.allocations);
    };
    show_cost("http1", http1);
    show_cost("http2", http2);
    show_cost("http2_indexed", http2_indexed);
    show("bare_us", bare);
    show("http1_of_bare", of_bare1);
    show("http2_of_bare", of_bare2);
    show("h2load_us", load);
    show("h2load_indexed_us", load_indexed);
    show("http2_of_http1", of_http1);
    show("http2_indexed_of_http1", of_http1_indexed);
    show("http2_of_h2load", of_load);
    show("http2_indexed_of_h2load", of_load_indexed);
    return 0;
} catch (std::exception const& e) {
    std::fprintf(stderr, "http2_bench: %s\n", e.what());
    return 1;
}
