#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/metrics/page.hpp>

#include <prometheus/collectable.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool::metrics {

/// How a listener serves.
struct listener_params {
    /** The path of a file with a word that clients must send as `Authorization: Bearer WORD`; empty: whoever reaches the address is
        served. Prometheus has `authorization: {credentials_file: PATH}` for it. The file is read again whenever it has changed. Whoever
        sends another word, or none, gets 401. While the file is gone or empty everybody gets 503. */
    std::string bearer_token_file;
};

/** A small HTTP server with a thread of its own that Prometheus scrapes at `/metrics`, and that serves pages of yours beside. It has no
    TLS: listen on an address that only those reach who may read it, or ask for a bearer token behind something that has TLS. Programs
    that have an HTTP server already need only a `collector` and `expose`.

    It answers GET and HEAD, compressed where the client can read gzip, and closes behind each answer.

    No client waits for another one, however slow that is. Each has 10 s from its connecting to the end of its answer; at
    most 64 are served at once, and one more takes the place of the one that came first. A request's head may have 8 KiB; at most
    32 MB of answers wait to be read.

    @par Threads   All functions may be called from any thread.
    @par Lifetime  It listens until destroyed, and keeps what it shows alive. The destructor waits for scrapes that run. */
class listener {
public:
    /** Begins to listen.

        @param address  "127.0.0.1:9464", "[::1]:9464", "localhost:9464" (127.0.0.1), or ":9464": every IPv4 address of
                        the machine. Port 0: any free one.
        @param pages    what it serves: `{metrics_page(numbers), …}`

        @par Errors     invalid_argument, field "address": it has another form, or the operating system refuses it; the
                        rule says why ("cannot be listened on: Address already in use").
                        invalid_argument, field "pages": a path does not begin with a slash or is there twice, or a page has no function.
                        invalid_argument, field "bearer_token_file": the file cannot be read, or has not one word of printable ASCII. */
    static result<std::unique_ptr<listener>> open(std::string_view address, std::vector<page> pages,
                                                  listener_params params = {});
    /** As above, of `metrics_page(what)` alone.
        @par Errors     as above; invalid_argument, field "what": it is null. */
    static result<std::unique_ptr<listener>> open(std::string_view address,
                                                  std::shared_ptr<prometheus::Collectable> what,
                                                  listener_params params = {});
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
