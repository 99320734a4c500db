#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::support {

/// Starts a program, by its words, without what it prints. It is told to end when this process does. `core`: -1 for any.
inline pid_t start_program(std::vector<std::string> words, int core = -1) {
    std::vector<char*> arguments;
    for (auto& w : words) arguments.push_back(w.data());
    arguments.push_back(nullptr);
    pid_t const child = ::fork();
    if (child != 0) return child;
    // Not SIGKILL: a server's main process takes its workers with it.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<std::size_t>(core), &set);
        ::sched_setaffinity(0, sizeof set, &set);
    }
    // Not by stdio, which would say what this process has yet to say.
    int const nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execvp(arguments.front(), arguments.data());
    std::_Exit(127);
}

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port);
    return a;
}

inline std::uint16_t free_port() {
    auto here = loopback(0);
    socklen_t size = sizeof here;
    int const s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool const found = ::bind(s, reinterpret_cast<sockaddr*>(&here), size) == 0 &&
                       ::getsockname(s, reinterpret_cast<sockaddr*>(&here), &size) == 0;
    ::close(s);
    if (!found) throw std::runtime_error("no port is free");
    return ntohs(here.sin_port);
}

/// A server of somebody else's in a process of its own, until this ends.
class foreign_server {
public:
    /// By its words, of which one names the port. Throws std::runtime_error when it does not come to listen there.
    foreign_server(std::vector<std::string> words, std::uint16_t port, int core = -1)
        : name_(words.front()), port_(port), process_(start_program(std::move(words), core)) {
        for (int i = 0; i < 500 && !listens() && !ended_; ++i) {
            ::usleep(10'000);
            ended_ = ::waitpid(process_, nullptr, WNOHANG) == process_;
        }
        if (listens()) return;
        end();
        throw std::runtime_error(name_ + " does not listen: is it installed?");
    }
    ~foreign_server() { end(); }
    foreign_server(foreign_server const&) = delete;
    foreign_server& operator=(foreign_server const&) = delete;

    std::uint16_t port() const noexcept { return port_; }

private:
    bool listens() const noexcept {
        auto const there = loopback(port_);
        int const s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool const listens = ::connect(s, reinterpret_cast<sockaddr const*>(&there), sizeof there) == 0;
        ::close(s);
        return listens;
    }
    void end() noexcept {
        if (std::exchange(ended_, true)) return;
        ::kill(process_, SIGTERM);
        ::waitpid(process_, nullptr, 0);
    }

    std::string name_;
    std::uint16_t port_;
    pid_t process_;
    bool ended_ = false;
};

}  // namespace jirapool::support
