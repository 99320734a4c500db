#pragma once

#include "descriptor.hpp"
#include "listen_address.hpp"
#include "page_table.hpp"

#include <jirapool/core/result.hpp>

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace jirapool::metrics {

/** The HTTP server of a listener: one thread that waits for all clients at once, so none waits for another one, however slowly
    that one asks or reads. Closes behind each answer.

    @par Threads   Any. */
class scrape_server {
public:
    struct bounds {
        /// One more takes the place of the one that has been there the longest: a real scrape takes milliseconds.
        std::size_t clients = 64;
        /// From a client's connecting to the end of its answer. Prometheus itself gives up after 10 s by default.
        std::chrono::milliseconds time{10'000};
        /// Bytes of answers that wait for their clients to read, in all. Beyond that those who have waited the longest are let go.
        std::size_t answers = 32'000'000;
    };

    /// Errors: what the operating system says against listening there, or a thread, as a rule without a field.
    static result<std::unique_ptr<scrape_server>> open(listen_address const& a, page_table pages, bounds b);
    static result<std::unique_ptr<scrape_server>> open(listen_address const& a, page_table pages) {
        return open(a, std::move(pages), bounds{});
    }
    /// Ends all clients; waits for a scrape that is being collected.
    ~scrape_server();
    scrape_server(scrape_server const&) = delete;
    scrape_server& operator=(scrape_server const&) = delete;

    std::uint16_t port() const noexcept { return port_; }

private:
    class client;
    using clock = std::chrono::steady_clock;

    scrape_server(descriptor listening, descriptor wake, page_table pages, bounds b);
    void run() noexcept;
    void serve();
    bool take_new();
    void keep_within_bounds();
    void forget_those_let_go();

    descriptor listening_;
    descriptor wake_;
    page_table pages_;
    bounds bounds_;
    std::uint16_t port_ = 0;
    // The thread's own. Made before it, so that a lack of memory costs clients and never the loop over them.
    std::vector<client> clients_;
    std::vector<pollfd> polled_;
    std::thread thread_;
};

}  // namespace jirapool::metrics
