#include "server_process.hpp"

#include "wire/certificates.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace jirapool::bench {

namespace {

void write_key(wire_test::identity const& who, std::string const& path) {
    std::FILE* const f = std::fopen(path.c_str(), "w");
    PEM_write_PrivateKey(f, who.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(f);
}

}  // namespace

double measure(double (*run)(task const&), task const& t) {
    int pipe_ends[2];
    if (::pipe(pipe_ends) != 0) return -1;
    pid_t const child = ::fork();
    if (child == 0) {
        pin_to(1);
        double seconds = -1;
        try {
            seconds = run(t);
        } catch (std::exception const& e) {
            std::fprintf(stderr, "%s\n", e.what());
        }
        std::_Exit(::write(pipe_ends[1], &seconds, sizeof seconds) == sizeof seconds && seconds >= 0 ? 0 : 1);
    }
    double seconds = -1;
    ::close(pipe_ends[1]);
    if (::read(pipe_ends[0], &seconds, sizeof seconds) != sizeof seconds) seconds = -1;
    ::close(pipe_ends[0]);
    ::waitpid(child, nullptr, 0);
    return seconds < 0 ? -1 : seconds / static_cast<double>(t.calls) * 1e6;
}

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

void pin_to(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

scratch_identity::scratch_identity() {
    char folder[] = "/tmp/wire_bench_XXXXXX";  // lint: allow
    if (::mkdtemp(folder) == nullptr) throw std::runtime_error("no scratch folder");
    folder_ = folder;
    auto const ca = wire_test::make_certificate({.name = "bench CA", .authority = true});
    auto const leaf = wire_test::make_certificate({.name = "leaf", .alt_names = std::string("DNS:") + host}, &ca);
    std::ofstream(ca_file()) << ca.pem();
    std::ofstream(certificate_file()) << leaf.pem();
    write_key(leaf, key_file());
}

scratch_identity::~scratch_identity() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

server_process::server_process(int core) {
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof here;
    int const listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&here), size) != 0 || ::listen(listener, 4096) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &size) != 0)
        throw std::runtime_error("the bench's server cannot listen");
    port_ = ntohs(here.sin_port);
    process_ = ::fork();
    if (process_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // also when the bench is killed
        if (core >= 0) pin_to(core);
        serve(listener, identity_.certificate_file(), identity_.key_file());
    }
    ::close(listener);
}

server_process::~server_process() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
}

void server_process::kill_connections() const noexcept { ::kill(process_, SIGUSR1); }

}  // namespace jirapool::bench
