#pragma once

#include <jirapool/mock/deliveries.hpp>
#include <jirapool/mock/http2.hpp>
#include <jirapool/mock/params.hpp>
#include <jirapool/mock/scenes.hpp>
#include <jirapool/mock/scripted.hpp>
#include <jirapool/mock/stats.hpp>
#include <jirapool/mock/world.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool::mock {

/** A Jira Cloud of our own: sites, the API gateway and the token endpoint behind one TLS port.

    A client connects to 127.0.0.1:port() whatever the host, names the real host in SNI and Host, and trusts ca_pem().

    @par Threads   start() and stop() from one thread at a time; everything else from any, also while it runs. */
class server {
public:
    /// Makes the world and the certificates; opens no port. Throws std::invalid_argument with why_invalid's text, and
    /// std::runtime_error that names params::ca_file if that cannot be used.
    explicit server(params p);
    /// As stop().
    ~server();
    server(server const&) = delete;
    server& operator=(server const&) = delete;

    /** Listens and returns. After a stop() it may be called again: the same ports, world, issues, tokens and counters,
        so that a client sees an outage end.

        Throws std::runtime_error that names the address, e.g. "cannot listen on 127.0.0.1:443: Permission denied". */
    void start();
    /// Closes every connection and joins the threads. Does nothing when not running.
    void stop();

    /// 0 before the first start().
    unsigned short port() const noexcept;
    unsigned short admin_port() const noexcept;
    /// The certificate authority, without its key: new with each server, unless params::ca_file keeps it.
    std::string ca_pem() const;
    mock::world const& world() const noexcept;

    stats snapshot() const;
    /// Every bucket touched since the last reset, by site and route.
    std::vector<bucket_stats> buckets() const;
    /// Counters become 0; what is in flight or open now stays counted. Levels of buckets stay.
    void reset_stats();

    faults get_faults() const;
    /// Throws std::invalid_argument with why_invalid's text.
    void set_faults(faults f);
    /// Replaces params::intercept; an empty function ends it.
    void set_intercept(intercept_function f);

    /** Answers with the scene in place of the mock's own answer, behind the intercept and before everything else. Of several that a
        request could get, it gets the one that was begun first. At most 1000 play at a time.

        Throws std::invalid_argument that names the member of scene_request which is wrong. */
    void play(scene_request const& r);
    void end_scenes();
    /// Those that were begun and not played to their end.
    std::size_t playing_count() const;

    /** Does it to HTTP/2 requests from now on. Of several that could meet a request, the one does that was begun first. What a
        request's scripted_reply says comes in its place. At most 1000 play at a time.

        Throws std::invalid_argument with why_invalid's text. */
    void play(http2_fault_request const& r);
    /// Does it to all open HTTP/2 connections, soon. Throws std::invalid_argument with why_invalid's text, or when the fault needs
    /// a request.
    void play_now(http2_step const& s);
    void end_http2_faults();
    http2_settings get_http2() const;
    /// Connections are told that are open. Throws std::invalid_argument with why_invalid's text.
    void set_http2(http2_settings s);
    /// How often a request was acted on that had this `x-mock-request-id`, by either version of HTTP.
    std::uint64_t times_acted_on(std::string_view request_id) const;

    /** Begins to deliver events to the site's enabled webhooks, and returns what will come of it: nothing pending when there is no such
        webhook. `deliveries` tells how far it is. What is not delivered when the server is stopped is given up.

        Throws std::invalid_argument that names the member of delivery_request which is wrong. */
    delivery_stats deliver(delivery_request const& r);
    /// What became of all of them.
    delivery_stats deliveries() const;

    /// One site's limits, which take the place of the ones it had; site_limits() puts back what params say. Levels of buckets stay, as
    /// far as their new capacity holds them. Throws std::invalid_argument with why_invalid's text.
    void set_limits(std::size_t site, site_limits l);

    /// As if its owner had revoked the credential: API key or client secret and the access tokens issued so far are refused from
    /// now on. replace_secret ends it.
    void revoke(std::size_t connection);
    /// Access tokens issued so far to this connection (index into world::connections()) answer 401 from now on.
    void revoke_tokens(std::size_t connection);
    /// As if its owner had made a second API key or client secret beside the first: both are good.
    void add_secret(std::size_t connection, std::string secret);
    /// From now on this is its API key or client secret, and the old one is refused. Issued access tokens live on.
    void replace_secret(std::size_t connection, std::string secret);
    /// As if the edge restarted: every open connection is closed, by TCP reset or in good order.
    void close_connections(bool reset);
    /// Refuses connections to the API's port and closes those there are, before it returns; the admin port goes on. Does nothing while
    /// it is down or not running.
    void down();
    /** The same port again, with the same world, tokens, counters and authority. Does nothing while it is up or not running.

        Throws std::runtime_error as start() does. */
    void up();

    /// What the issue's summary is now; nullopt if there is no such issue.
    std::optional<std::string> issue_summary(std::size_t site, std::string_view key) const;
    std::size_t issue_count(std::size_t site) const;
    std::size_t webhook_count(std::size_t site) const;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace jirapool::mock
