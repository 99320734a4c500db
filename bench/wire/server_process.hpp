#pragma once

#include "bench.hpp"

#include <sys/types.h>
#include <cstdint>
#include <string>

namespace jirapool::bench {

void pin_to(int core);

/// The server in a process of its own, with a certificate for `host` from an authority of its own. Ends with this.
class server_process {
public:
    /// `core`: -1 for any. Throws std::runtime_error.
    explicit server_process(int core);
    ~server_process();
    server_process(server_process const&) = delete;
    server_process& operator=(server_process const&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    std::string ca_file() const { return file("ca.pem"); }
    /// Resets every connection.
    void kill_connections() const noexcept;

private:
    std::string file(char const* name) const { return folder_ + "/" + name; }

    std::string folder_;
    std::uint16_t port_ = 0;
    pid_t process_ = -1;
};

}  // namespace jirapool::bench
