#pragma once

#include <jirapool/core/result.hpp>

#include <prometheus/collectable.h>

#include <memory>
#include <string>
#include <string_view>

namespace jirapool::metrics {

/** A small HTTP server with a thread of its own that Prometheus scrapes at `/metrics`. No TLS and no login: listen on
    an address that only the Prometheus server reaches. Programs that have an HTTP server already need only a `collector`.

    No client waits for another one, however slow that is. Each has 10 s from its connecting to the end of its answer; at
    most 64 are served at once, and one more takes the place of the one that came first.

    @par Threads   All functions may be called from any thread.
    @par Lifetime  It listens until destroyed, and keeps what it shows alive. The destructor waits for scrapes that run. */
class listener {
public:
    /** Begins to listen.

        @param address  "127.0.0.1:9464", "[::1]:9464", "localhost:9464" (127.0.0.1), or ":9464": every IPv4 address of
                        the machine. Port 0: any free one.
        @param what     not null; asked at each scrape, on the listener's thread. What it throws is a status 500.

        @par Errors     invalid_argument, field "address": it has another form, or the operating system refuses it; the
                        rule says why ("cannot be listened on: Address already in use").
                        invalid_argument, field "what": it is null. */
    static result<std::unique_ptr<listener>> open(std::string_view address,
                                                  std::shared_ptr<prometheus::Collectable> what);
    ~listener();
    listener(listener const&) = delete;
    listener& operator=(listener const&) = delete;

    /// The port that it listens on.
    unsigned short port() const noexcept;
    /// Where this machine reaches it: "http://127.0.0.1:9464/metrics".
    std::string url() const;

private:
    struct server;
    explicit listener(std::unique_ptr<server> s) noexcept;

    std::unique_ptr<server> server_;
};

}  // namespace jirapool::metrics
