#pragma once

#include "bench.hpp"

#include <sys/types.h>
#include <cstdint>
#include <string>
#include <vector>

namespace jirapool::bench {

void pin_to(int core);
/// Microseconds of CPU a call; -1: it failed. In a process of its own, so that no heap is warm for the next one.
double measure(double (*run)(task const&), task const& t);
double median(std::vector<double> v);

/// A folder with a certificate for `host`, its key, and the authority that it is from. It goes with this.
class scratch_identity {
public:
    /// Throws std::runtime_error.
    scratch_identity();
    ~scratch_identity();
    scratch_identity(scratch_identity const&) = delete;
    scratch_identity& operator=(scratch_identity const&) = delete;

    std::string const& folder() const noexcept { return folder_; }
    std::string ca_file() const { return folder_ + "/ca.pem"; }
    std::string certificate_file() const { return folder_ + "/leaf.pem"; }
    std::string key_file() const { return folder_ + "/key.pem"; }

private:
    std::string folder_;
};

/// The server in a process of its own. Ends with this.
class server_process {
public:
    /// `core`: -1 for any. Throws std::runtime_error.
    explicit server_process(int core);
    ~server_process();
    server_process(server_process const&) = delete;
    server_process& operator=(server_process const&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    std::string ca_file() const { return identity_.ca_file(); }
    /// Resets every connection.
    void kill_connections() const noexcept;

private:
    scratch_identity const identity_;
    std::uint16_t port_ = 0;
    pid_t process_ = -1;
};

}  // namespace jirapool::bench
