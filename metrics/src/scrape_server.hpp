#pragma once

#include "listen_address.hpp"

#include <jirapool/core/result.hpp>

#include <prometheus/collectable.h>

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace jirapool::metrics {

/// A descriptor, closed with its owner.
class descriptor {
public:
    explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
    descriptor(descriptor&& other) noexcept;
    descriptor& operator=(descriptor&& other) noexcept;
    ~descriptor();
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

/** The HTTP server of a listener: one thread that waits for all clients at once, so none waits for another one, however slowly
    that one asks or reads. Serves GET and HEAD of /metrics, and closes behind each answer.

    @par Threads   Any. */
class scrape_server {
public:
    struct bounds {
        /// One more takes the place of the one that has been there the longest: a real scrape takes milliseconds.
        std::size_t clients = 64;
        /// From a client's connecting to the end of its answer. Prometheus itself gives up after 10 s by default.
        std::chrono::milliseconds time{10'000};
    };

    /// Errors: what the operating system says against listening there, or a thread, as a rule without a field.
    static result<std::unique_ptr<scrape_server>> open(listen_address const& a,
                                                       std::shared_ptr<prometheus::Collectable> what, bounds b);
    static result<std::unique_ptr<scrape_server>> open(listen_address const& a,
                                                       std::shared_ptr<prometheus::Collectable> what) {
        return open(a, std::move(what), bounds{});
    }
    /// Ends all clients; waits for a scrape that is being collected.
    ~scrape_server();
    scrape_server(scrape_server const&) = delete;
    scrape_server& operator=(scrape_server const&) = delete;

    std::uint16_t port() const noexcept { return port_; }

private:
    class client;
    using clock = std::chrono::steady_clock;

    scrape_server(descriptor listening, descriptor wake, std::shared_ptr<prometheus::Collectable> what, bounds b);
    void run() noexcept;
    void serve();
    bool take_new();

    descriptor listening_;
    descriptor wake_;
    std::shared_ptr<prometheus::Collectable> what_;
    bounds bounds_;
    std::uint16_t port_ = 0;
    // The thread's own. Made before it, so that a lack of memory costs clients and never the loop over them.
    std::vector<client> clients_;
    std::vector<pollfd> polled_;
    std::thread thread_;
};

}  // namespace jirapool::metrics
