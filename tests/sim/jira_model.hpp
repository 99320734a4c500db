#pragma once

#include "exchange/channel.hpp"

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/token_fsm.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace jirapool::support {
class span_book;
}

namespace jirapool::sim {

/// What can be wrong with the world, as fractions of what could be hit.
struct model_faults {
    double refused_dials = 0;
    double slow_dials = 0;     ///< up to 4 s
    double unsent = 0;         ///< the channel ends before anything of the request was written
    double lost_before = 0;    ///< … before Jira sees the request
    double lost_after = 0;     ///< Jira acts, and its answer is lost
    double cut = 0;            ///< Jira acts, and half of its answer comes
    double stalled = 0;        ///< Jira acts, and nothing ever comes
    double slow = 0;           ///< the answer takes up to 10 s
    double goes_away = 0;      ///< the server takes no more on this channel; of what it has not seen yet it says so
    double limit_changes = 0;  ///< a channel carries fewer exchanges for a second, perhaps none
    double idle_death = 0;     ///< a channel dies when it has been idle for some time, half of them unnoticed
    double transient = 0;      ///< 503
    double odd_429 = 0;        ///< of the 429s: without reason, without or with a strange Retry-After, as HTML
    double token_down = 0;     ///< the token endpoint answers 503
    double token_odd = 0;      ///< 200, but empty, HTML, or with an expires_in that makes no sense
    double token_stalled = 0;
    double token_certificate = 0;  ///< the certificate that the token endpoint shows is refused
    double early_401 = 0;          ///< a token is revoked before its time
    double name_down = 0;          ///< the question which site a host is gets 503, or what is no cloud ID
    double name_slow = 0;          ///< … its answer after up to 10 s
};

struct model_params {
    std::size_t sites = 10;
    /// A quarter of the sites is reached by API tokens through the gateway, a quarter by personal ones at the site's host.
    bool all_kinds = false;
    /// Of them a personal one and the API token through the gateway before it belong to one site, under its two names.
    bool pairs = false;
    /// So many sites in a row belong to one OAuth client.
    std::size_t sites_per_app = 1;
    double get_rate = 100;  ///< hidden burst limit of each route, per second and site
    double post_rate = 100;
    double bucket = 0;           ///< what a route's bucket holds; 0: a second of its rate
    bool whole_seconds = false;  ///< it is refilled once in each second
    double others = 0;           ///< calls a second of others that take from each route's bucket, by chance
    unsigned account_calls = 0;  ///< an account's calls in flight at a time; 0: any number
    bool limit_issues = true;    ///< 20 writes to an issue in 2 s, 100 in 30 s
    double tenant_quota = 0;     ///< points per hour of an app at a site; 0: not enforced
    double global_quota = 0;     ///< … over its sites
    std::chrono::seconds token_lifetime{3600};
    steady_duration latency = std::chrono::milliseconds(20);
    std::size_t streams = 1;  ///< exchanges at once on a channel
    model_faults faults;
};

/** Jira, its gateway and its token endpoint, with limits that the client must not know. One connection per site.

    It also keeps the books: each broken invariant is a line in `violations`. */
class jira_model {
public:
    jira_model(model_params p, std::uint64_t seed);

    model_params& params() noexcept { return params_; }
    connection_config config(std::size_t site) const;
    std::size_t app_of(std::size_t site) const noexcept { return site / params_.sites_per_app; }
    random_engine& random() noexcept { return random_; }
    bool happens(double fraction) { return fraction > 0 && uniform(random_) < fraction; }

    /// The site gets another secret. Calls on their way may still use the old one.
    void rotate(std::size_t site) { ++sites_.at(site).secrets; }
    /// A removed connection is added again, as another one: what its first life left in flight is not counted with it.
    void begin_anew(std::size_t site);

    /// From now on the site's host says that it is the site of another connection; of itself: the truth.
    void claim(std::size_t site, std::size_t other) { sites_.at(site).claims = other; }

    /// The site's token is revoked: whatever was issued up to now is answered 401.
    void revoke(std::size_t site) { sites_.at(site).revoked = sites_.at(site).issued; }

    // What a channel reports, in this order: begun, handle, delivered, ended.

    void begun(std::string_view host, detail::exchange_input const& in, steady_time now);
    void ended(std::string_view host, detail::exchange_input const& in);
    struct reply {
        response answer;
        bool lost = false;
    };
    /// A request arrives at `now`; it left the client at `sent`.
    reply handle(std::string_view host, detail::exchange_input const& in, steady_time sent, steady_time now,
                 wall_time wall);
    /// The client has read an answer: from now on it knows.
    void delivered(std::string_view host, detail::exchange_input const& in, response const& answer, steady_time now);

    void note(std::string violation);
    void hash(std::uint64_t v) noexcept { trace = (trace ^ v) * 1099511628211ull; }

    /// A test's own answer in Jira's or the token endpoint's place; false: the model answers.
    std::function<bool(std::string_view host, detail::exchange_input const&, reply&)> script;
    /// Dials to this host are refused.
    std::string unreachable;
    /// So many token requests from now on are never answered.
    int stall_tokens = 0;
    /// The same of requests to Jira.
    int stall_requests = 0;
    std::size_t most_refreshing = 0;  ///< of one credential at a time
    /// token_params::overtake_after: before, no second exchange begins beside one in flight.
    steady_duration overtake_after = std::chrono::seconds(1);
    std::vector<steady_time> token_request_times;
    std::vector<steady_time> dial_times;  ///< when they began

    /// A scope answers 429 until then, with the whole wait in Retry-After.
    enum class scope {
        route,
        issue,
        site_unknown,
        site_no_reason,
        tenant,
        app,
        account_cost,
        account_calls,
        other_product
    };
    void close(scope what, std::size_t site, std::string_view target, steady_time until);
    /// This site answers 503 to everything.
    std::size_t sick_site = static_cast<std::size_t>(-1);
    std::uint64_t requests_of_sick = 0;
    /// Told of each request to Jira that a call sends, if it is there.
    support::span_book* spans = nullptr;
    /// The client obeys no limits: shadow mode, or limiting::off.
    bool unlimited_client = false;

    std::vector<std::string> violations;
    std::uint64_t requests = 0;
    std::uint64_t accepted = 0;
    std::uint64_t limited = 0;
    std::uint64_t unauthorized = 0;
    std::uint64_t token_requests = 0;
    std::uint64_t refreshes = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t others_accepted = 0;
    std::uint64_t others_refused = 0;
    std::vector<steady_time> refresh_times;
    std::uint64_t trace = 1469598103934665603ull;  ///< a hash of everything that happened, in its order
    std::uint64_t requests_of(std::size_t site) const { return sites_.at(site).requests; }
    /// Of them answered 401 or 429.
    std::uint64_t refused_of(std::size_t site) const { return sites_.at(site).refused; }

private:
    /// A pause that the client was told of.
    struct told {
        steady_time at = steady_time::max();
        steady_time until = steady_time::min();
        void tell(steady_time now, steady_time end) noexcept {
            if (now >= until) at = now;
            until = std::max(until, end);
        }
        // In the very instant in which the client is told, either may be first.
        bool forbids(steady_time sent) const noexcept { return sent > at && sent < until; }
    };
    struct closure {
        steady_time until = steady_time::min();
        char const* reason = nullptr;
        told by_gateway;
        told by_host;
        /// What a connection was told it knows, whatever its site was called then and is called now.
        told& client(connection_kind k) noexcept {
            return k == connection_kind::personal_api_token ? by_host : by_gateway;
        }
    };
    struct bucket : closure {
        double tokens = -1;
        steady_time last{};
        steady_time next_other{};
        void fill(model_params const& p, double rate, double size, steady_time now) noexcept;
    };
    /// An exchange at the token endpoint.
    struct refresh {
        detail::exchange_input const* in;
        steady_time begun;
        std::uint64_t tokens_read;  // when it began
    };
    struct issue : closure {
        std::deque<steady_time> writes;  // of the last 30 s
    };
    struct quota : closure {
        double used = 0;
        std::int64_t hour = -1;
    };
    struct site {
        std::string cloud_id;
        std::string host;  // of a personal token's; else empty
        std::size_t claims = 0;
        int secrets = 1;       // so many has it had
        int first_secret = 1;  // of the connection's present life
        closure all;
        closure account;  // one connection, one account
        quota tenant;
        std::unordered_map<route_id, bucket> buckets;
        std::unordered_map<std::string, issue> issues;
        std::map<std::string, int> posts;  // by the target: each is another one
        token_generation issued = 0;
        token_generation revoked = 0;
        token_generation delivered = 0;
        steady_time delivered_at{};
        steady_time expires = steady_time::min();
        steady_time no_refresh_before = steady_time::min();
        int secrets_at_failure = 0;
        std::vector<refresh> refreshing;  // in flight
        std::uint64_t tokens_read = 0;
        std::uint64_t requests = 0;
        std::uint64_t refused = 0;
        unsigned in_flight = 0;
    };

    std::string secret_of(std::size_t site, int version) const;
    connection_kind kind_of(std::size_t site) const noexcept;
    /// Whose limits they are.
    site& house_of(std::size_t n) noexcept {
        return sites_[params_.pairs && kind_of(n) == connection_kind::personal_api_token ? n - 1 : n];
    }
    reply tell_name(std::size_t n);
    std::size_t site_of(std::string_view host, detail::exchange_input const& in) const;
    std::size_t site_of_token_request(detail::exchange_input const& in);
    int secret_version(std::size_t site, detail::exchange_input const& token_request) const;
    bool of_present_life(std::size_t site, detail::exchange_input const& token_request) const;
    reply exchange_token(std::size_t n, steady_time now);
    reply answer_call(std::size_t n, detail::exchange_input const& in, steady_time sent, steady_time now,
                      wall_time wall);
    int version_sent(std::size_t site, detail::exchange_input const& in) const;
    bool credential_is_good(std::size_t n, detail::exchange_input const& in, steady_time sent);
    bool spend_points(quota& q, double limit, char const* name, double cost, wall_time wall, response& answer);
    void refuse(response& answer, char const* reason, std::chrono::seconds retry_after, wall_time wall);

    model_params params_;
    random_engine random_;
    std::vector<site> sites_;
    std::vector<quota> apps_;
    std::unordered_map<std::string, std::size_t> by_place_;  // base path, or host
};

}  // namespace jirapool::sim
