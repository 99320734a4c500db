#include "server_process.hpp"

#include "wire/certificates.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace jirapool::bench {

namespace {

void write_key(wire_test::identity const& who, std::string const& path) {
    std::FILE* const f = std::fopen(path.c_str(), "w");
    PEM_write_PrivateKey(f, who.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(f);
}

}  // namespace

void pin_to(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

server_process::server_process(int core) {
    char folder[] = "/tmp/wire_bench_XXXXXX";  // lint: allow
    if (::mkdtemp(folder) == nullptr) throw std::runtime_error("no scratch folder");
    folder_ = folder;
    auto const ca = wire_test::make_certificate({.name = "bench CA", .authority = true});
    auto const leaf = wire_test::make_certificate({.name = "leaf", .alt_names = std::string("DNS:") + host}, &ca);
    std::ofstream(file("ca.pem")) << ca.pem();
    std::ofstream(file("leaf.pem")) << leaf.pem();
    write_key(leaf, file("key.pem"));

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
        serve(listener, file("leaf.pem"), file("key.pem"));
    }
    ::close(listener);
}

server_process::~server_process() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    for (auto const* const name : {"ca.pem", "leaf.pem", "key.pem"}) ::unlink(file(name).c_str());
    ::rmdir(folder_.c_str());
}

void server_process::kill_connections() const noexcept { ::kill(process_, SIGUSR1); }

}  // namespace jirapool::bench
