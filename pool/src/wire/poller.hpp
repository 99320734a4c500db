#pragma once

#include "wait/handler_memory.hpp"

#include <jirapool/core/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <sys/epoll.h>
#include <array>
#include <cstddef>
#include <memory>

namespace jirapool::detail {

namespace asio = boost::asio;

/** Tells the sockets of one shard that they are ready: one epoll for all of them, for which Asio waits as for one descriptor.

    Asio registers a descriptor anew for each wait, which is a system call for each answer, and calls one handler for each. Here a socket
    is registered once, and a turn tells all that are ready.

    @par Threads   Its shard's. */
class poller final : public std::enable_shared_from_this<poller> {
public:
    /// What a socket is ready for. `over`: the peer ends, or has ended, what it sends: no more will be told to read.
    struct readiness {
        bool to_read;
        bool to_write;
        bool over;
    };
    /// Who is told. Edge-triggered: once for each time that something comes, so what is told must be remembered.
    class watched {
    protected:
        ~watched() = default;

    private:
        friend class poller;
        virtual void on_ready(readiness r) = 0;
        int descriptor_ = -1;
    };

    /// Throws boost::system::system_error when no descriptor is left.
    explicit poller(asio::any_io_executor ex);

    /// Until `remove`. May throw bad_alloc: then it is not watched.
    error_code add(int descriptor, watched& w);
    /// Before the descriptor is closed.
    void remove(watched& w) noexcept;

private:
    class turn;
    // A turn's at the most: some 10 us each.
    static constexpr std::size_t most = 32;

    void arm();
    void run();
    void tell();
    void tell_again() noexcept;

    asio::posix::stream_descriptor epoll_;
    handler_memory memory_;
    std::array<epoll_event, most> ready_{};
    std::size_t next_ = 0;  // of those that are ready
    std::size_t count_ = 0;
    std::size_t watched_ = 0;
    bool armed_ = false;
};

}  // namespace jirapool::detail
