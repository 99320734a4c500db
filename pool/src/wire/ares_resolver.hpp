#pragma once

#include "wait/timers.hpp"
#include "wire/name_resolver.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <sys/types.h>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <unordered_map>

struct ares_addrinfo;
struct ares_channeldata;
struct ares_socket_functions;

namespace jirapool::detail {

/** Asks the name servers of resolv.conf by c-ares, on the shard's own thread: a name whose servers are silent costs a datagram
    now and then, and holds up nobody. /etc/hosts comes first, or as nsswitch.conf says. pool/doc/0001-name-resolution.md says why.

    Who asks for a name that is being asked for shares the answer; nothing is kept beyond that. Descriptors are opened with the first
    name, and closed when the shard stops.

    @par Threads   Its shard's. */
class ares_resolver final : public name_resolver, private timed {
public:
    struct settings {
        /// When servers that stay silent are given up: a little earlier, so that a family that was answered is used even then.
        std::chrono::milliseconds timeout{5'000};
        std::string resolv_conf = "/etc/resolv.conf";
        /// Where its servers listen. Another is for tests.
        std::uint16_t port = 53;
        /// Where those listen whose names it resolves.
        std::uint16_t origin_port = 443;
        /// Names at the same time. Each takes two of the 65,536 numbers by which answers are known.
        std::size_t max_lookups = 8'192;
    };

    ares_resolver(asio::any_io_executor ex, timers& t, settings s);
    ~ares_resolver() override;
    asio::awaitable<resolved> resolve(std::string host, steady_time deadline) override;
    /// Names that are being asked for.
    std::size_t lookup_count() const noexcept { return lookups_.size(); }

private:
    class lookup;
    class readiness;
    struct callbacks;
    static ares_socket_functions const socket_functions;

    /// What says that resolv.conf is another than before.
    struct file_stamp {
        ino_t inode = 0;
        off_t size = 0;
        std::timespec changed{};
        bool operator==(file_stamp const& other) const noexcept {
            return inode == other.inode && size == other.size && changed.tv_sec == other.changed.tv_sec &&
                   changed.tv_nsec == other.changed.tv_nsec;
        }
    };

    std::shared_ptr<lookup> start(std::string const& host);
    bool open();
    void close() noexcept;
    void reload();
    ares_channeldata* make_channel() noexcept;
    void ask(lookup& l) noexcept;
    void on_ready();
    void tell_ended() noexcept;
    void on_time() override;
    void on_stop() override { close(); }
    void on_abandoned() noexcept override { close(); }

    asio::any_io_executor executor_;
    timers& timers_;
    settings const settings_;
    timer_room room_;
    std::shared_ptr<readiness> ready_;  // null: no name was asked for yet, or the shard has stopped
    ares_channeldata* channel_ = nullptr;
    std::unordered_map<std::string, std::shared_ptr<lookup>> lookups_;
    lookup* ended_ = nullptr;  // those whose waiters were not told yet
    unsigned packets_ = 0;     // that may still be read in this turn
    file_stamp stamp_;
    steady_time look_at_file_ = steady_time::min();
};

}  // namespace jirapool::detail
