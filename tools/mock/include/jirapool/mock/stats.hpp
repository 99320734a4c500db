#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace jirapool::mock {

/// One site's burst bucket for one route.
struct bucket_stats {
    /// Index into world::sites().
    std::size_t site = 0;
    /// "GET /rest/api/{version}/issue/{issueIdOrKey}".
    std::string route;
    /// Requests per second: what X-RateLimit-Limit says.
    std::uint32_t rate = 0;
    std::uint64_t admitted = 0;
    std::uint64_t refused = 0;
    /// From the first to the last request that touched it, admitted or not.
    std::chrono::nanoseconds span{0};
    /// rate x span: what a client could have had in this time, whatever the bucket holds.
    double permitted = 0;
};

/// What one connection's credential did.
struct connection_stats {
    /// Requests that it authenticated, limited ones among them.
    std::uint64_t requests = 0;
    /// Requests of these that a limit refused.
    std::uint64_t limited = 0;
    /// OAuth only: access tokens issued.
    std::uint64_t refreshes = 0;
    /// OAuth only: token exchanges that arrived, whatever their answer.
    std::uint64_t exchanges = 0;
    /// OAuth only: exchanges that arrived and whose answer is not under way yet.
    std::uint32_t in_flight = 0;
    std::uint32_t max_in_flight = 0;
};

/// Totals since the start or the last reset.
struct stats {
    /// Requests read whole, however they were answered.
    std::uint64_t requests = 0;
    std::uint64_t site_requests = 0;
    std::uint64_t gateway_requests = 0;
    std::uint64_t auth_requests = 0;
    std::uint64_t unknown_host_requests = 0;
    /// Answered by params::intercept.
    std::uint64_t intercepted = 0;
    std::map<int, std::uint64_t> by_status;
    /// Keys like bucket_stats::route; "(edge)" is what no route got to see.
    std::map<std::string, std::uint64_t> by_route;

    /// Answers of status 401.
    std::uint64_t unauthorized = 0;
    /// 200s to a credential that was refused (x-seraph-loginreason).
    std::uint64_t anonymous_answers = 0;
    /// 429s by RateLimit-Reason, "(none)" without one.
    std::map<std::string, std::uint64_t> limited;
    std::uint64_t limited_total = 0;
    /// A known credential came to another origin, or to another cloud id's path, than its own.
    std::uint64_t isolation_violations = 0;
    /// The Host header named another host than the TLS handshake.
    std::uint64_t sni_mismatches = 0;
    /// 503s of faults::error_rate and faults::token_error_rate.
    std::uint64_t injected_errors = 0;
    /// Connections closed by faults::close_rate.
    std::uint64_t injected_closes = 0;
    /// Answered by a scene.
    std::uint64_t scenes = 0;
    /// What was not HTTP, or above a limit of size.
    std::uint64_t bad_requests = 0;

    std::uint64_t connections_accepted = 0;
    std::uint64_t connections_open = 0;
    std::uint64_t connections_max_open = 0;
    std::uint64_t handshakes = 0;
    std::uint64_t handshakes_resumed = 0;
    std::uint64_t handshakes_failed = 0;
    /// Handshakes by what ALPN chose.
    std::uint64_t connections_http1 = 0;
    std::uint64_t connections_http2 = 0;

    /// Requests that came by HTTP/2, whatever became of them.
    std::uint64_t streams = 0;
    /// The most that one connection ever had open.
    std::uint64_t streams_max_open = 0;
    /// Of these, told to be untouched: refused, or above the last stream of a GOAWAY.
    std::uint64_t streams_untouched = 0;
    std::uint64_t goaways = 0;
    std::uint64_t resets_sent = 0;
    std::uint64_t resets_received = 0;
    /// Requests that a fault met, by its name.
    std::map<std::string, std::uint64_t> http2_faults;

    /// Different values of `x-mock-request-id` that requests had which were acted on: answered by the mock or an intercept, whether or
    /// not the answer arrived. At most 1,000,000 are known apart.
    std::uint64_t ids_acted_on = 0;
    /// How often one was acted on that had been already.
    std::uint64_t ids_acted_on_again = 0;

    /// Over all OAuth credentials of the world, those that never asked among them.
    std::uint64_t refreshes = 0;
    std::uint64_t token_exchanges = 0;
    std::uint64_t min_refreshes_per_credential = 0;
    std::uint64_t max_refreshes_per_credential = 0;
    /// The most exchanges that any one credential ever had in flight: a client that refreshes singly has 1.
    std::uint32_t max_in_flight_per_credential = 0;

    std::uint64_t webhook_requests_personal = 0;
    std::uint64_t webhook_requests_service = 0;
    std::uint64_t webhook_requests_oauth = 0;
    std::uint64_t webhook_requests_unknown = 0;
    /// On the gateway, where admin webhooks do not exist.
    std::uint64_t webhook_requests_refused = 0;

    std::uint64_t buckets_touched = 0;
    std::uint64_t bucket_admitted = 0;
    std::uint64_t bucket_refused = 0;
    double bucket_permitted = 0;
    /// Buckets touched for at least a second, by at least half of what they permit.
    std::uint64_t busy_buckets = 0;
    std::uint64_t busy_admitted = 0;
    std::uint64_t busy_refused = 0;
    double busy_permitted = 0;
    /// busy_admitted / busy_permitted; 0 without busy buckets. Above 1 is what full buckets held at the start.
    double busy_used = 0;

    /// In the order of world::connections().
    std::vector<connection_stats> connections;
};

/// Without the list of connections, which a fleet makes long.
std::string to_json(stats const& s);

}  // namespace jirapool::mock
