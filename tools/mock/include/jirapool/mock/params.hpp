#pragma once

#include <jirapool/mock/http2.hpp>
#include <jirapool/mock/scripted.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace jirapool::mock {

/// What goes wrong, and how slow it is. May be changed while the server runs.
struct faults {
    /// Before each API answer (not the token endpoint's). 0 to 10 min.
    std::chrono::milliseconds latency{0};
    /// Added to `latency`: uniform between 0 and this. 0 to 10 min.
    std::chrono::milliseconds latency_jitter{0};
    /// Fraction of the API calls answered 503 with a JSON body. 0 to 1.
    double error_rate = 0;
    /// Before each answer of the token endpoint. 0 to 10 min.
    std::chrono::milliseconds token_latency{0};
    /// Fraction of the token exchanges answered 503. 0 to 1.
    double token_error_rate = 0;
    /// Fraction of the answers after which the connection is closed without `Connection: close`. 0 to 1.
    double close_rate = 0;
};

/// What one site's limits are instead of what params say of all sites'. May be changed while the server runs.
struct site_limits {
    /// In place of params::burst_scale. nullopt: as params say. Above 0, at most 1000.
    std::optional<double> burst_scale;
    /// In place of params::quota_points, 0 being no quota. nullopt: as params say.
    std::optional<std::uint64_t> quota_points;
    /// In place of params::foreign_load. nullopt: as params say. 0 to 1.
    std::optional<double> foreign_load;
};

struct params {
    /// A loopback address: the mock holds credentials that look real and answers to public host names.
    std::string address = "127.0.0.1";
    /// 0: any free port, see server::port().
    unsigned short port = 0;
    /// Plain HTTP on 127.0.0.1. 0: any free port, see server::admin_port().
    unsigned short admin_port = 0;
    /// Each runs its own io_context. 1 to 64.
    unsigned threads = 1;
    /** The certificate authority, key and all, is kept in this file, so that a later server is trusted by the same clients. It is made
        with mode 0600 if it is not there. Empty: the authority is new with each server. */
    std::string ca_file;
    http_versions http = http_versions::either;
    http2_settings http2;
    /// Longer bodies of requests get 413. 1 to 1 GiB.
    std::size_t max_body_bytes = std::size_t{10} << 20;

    /// 1 to 1,000,000.
    std::size_t sites = 4;
    /// Personal API tokens; the i-th (from 0) belongs to site i mod sites.
    std::size_t personal = 2;
    /// Service-account API tokens; the i-th belongs to site (sites/3 + i) mod sites.
    std::size_t service = 2;
    /// OAuth client credentials; the i-th belongs to site (2*sites/3 + i) mod sites.
    std::size_t oauth = 2;
    /// Cloud ids, credentials and faults follow from it.
    std::uint64_t seed = 1;

    /// PROJ-1 to PROJ-n of each site. 0 to 1,000,000.
    std::size_t issues_per_site = 50;
    /// About the size of one GET issue answer; never less than the fields need (some 700 bytes). At most 1 MB.
    std::size_t issue_bytes = 1000;

    /// The server refuses an access token exactly this long after it was issued. > 0.
    std::chrono::milliseconds token_lifetime{std::chrono::hours{1}};
    /// What `expires_in` says instead of token_lifetime: a server that revokes early or announces wrongly.
    std::optional<std::chrono::seconds> token_expires_in;
    /// Length of an access token. 64 to 8192 (Jira's is not documented).
    std::size_t token_bytes = 900;

    /// Requests per second and site for one route, where Jira's table has no figure of its own. 1 to 1,000,000.
    unsigned burst_get = 100;
    unsigned burst_post = 100;
    unsigned burst_put = 50;
    unsigned burst_delete = 50;
    /// GET issue/{issueIdOrKey} has its own figure in Jira's table.
    unsigned burst_get_issue = 150;
    /// Multiplies each of them; the result is rounded to a whole number, at least 1. > 0.
    double burst_scale = 1;
    /// How much a full bucket holds, in seconds of refill; at least one request. > 0.
    double burst_capacity = 1;
    /// What part of each bucket's refill other programs take, evenly, as if the site was theirs too. 0 to 1.
    double foreign_load = 0;
    /// Writes to one issue: 20 in 2 s and 100 in 30 s.
    bool limit_issue_writes = true;
    /// Points per hour and site; 0: no quota.
    std::uint64_t quota_points = 0;
    /// Only OAuth connections spend points, as Atlassian documents; else all do.
    bool quota_oauth_only = false;

    /// Answers of the API come with `Transfer-Encoding: chunked`, as Jira's do, and not with Content-Length.
    bool chunked = false;
    /// Answers of the API are compressed by what `Accept-Encoding` offers, as Jira's are: br, or else gzip.
    bool compress = false;
    /// A keep-alive connection is closed after so long without a request. > 0.
    std::chrono::milliseconds idle_timeout{std::chrono::seconds{60}};
    faults faulty;
    /// For tests: sees every request first, see intercept_function.
    intercept_function intercept;
};

/// "params::sites must be 1 to 1,000,000", or nullptr.
char const* why_invalid(params const& p) noexcept;
char const* why_invalid(faults const& f) noexcept;
char const* why_invalid(site_limits const& l) noexcept;

}  // namespace jirapool::mock
