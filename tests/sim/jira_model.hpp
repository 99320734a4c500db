#pragma once

#include "channel.hpp"

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/token_fsm.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace jirapool::sim {

/// What can be wrong with the world, as fractions of what could be hit.
struct model_faults {
    double refused_dials = 0;
    double lost_before = 0;  ///< the channel ends before Jira sees the request
    double lost_after = 0;   ///< Jira acts, and its answer is lost
    double transient = 0;    ///< 503
    double token_down = 0;   ///< the token endpoint answers 503
    double early_401 = 0;    ///< a token is revoked before its time
};

struct model_params {
    std::size_t sites = 10;
    double get_rate = 100;  ///< hidden burst limit of each route, per second and site
    double post_rate = 100;
    std::chrono::seconds token_lifetime{3600};
    steady_duration latency = std::chrono::milliseconds(20);
    model_faults faults;
};

/** Jira, its gateway and its token endpoint, with limits that the client must not know. One OAuth connection per site.

    It also keeps the books: each broken invariant (anchors: simulator invariants) is a line in `violations`. */
class jira_model {
public:
    jira_model(model_params p, std::uint64_t seed);

    model_params& params() noexcept { return params_; }
    connection_config config(std::size_t site) const;
    random_engine& random() noexcept { return random_; }

    struct reply {
        response answer;
        bool lost = false;
        bool acted = false;
    };
    /// A request arrives at `now`; it left the client at `sent`.
    reply handle(std::string_view host, detail::exchange_input const& in, steady_time sent, steady_time now);
    /// The client has read an answer: from now on it knows.
    void delivered(std::string_view base_path, method m, std::string_view target, response const& answer,
                   steady_time now);

    void note(std::string violation);

    /// This route of the site answers 429 until then, with the whole wait in Retry-After.
    void pause(std::size_t site, std::string_view target, steady_time until);
    /// This site answers 503 to everything.
    std::size_t sick_site = static_cast<std::size_t>(-1);
    std::uint64_t requests_of_sick = 0;

    std::vector<std::string> violations;
    std::uint64_t requests = 0;
    std::uint64_t accepted = 0;
    std::uint64_t limited = 0;
    std::uint64_t token_requests = 0;
    std::uint64_t refreshes = 0;
    std::uint64_t duplicates = 0;
    std::vector<steady_time> refresh_times;
    std::uint64_t trace = 1469598103934665603ull;  ///< a hash of everything that happened, in its order

private:
    struct bucket {
        double tokens = -1;
        steady_time last{};
        steady_time known_pause = steady_time::min();  // the client was told not to come before this
        steady_time told_at = steady_time::max();
        steady_time closed_until = steady_time::min();
    };
    struct site {
        std::string cloud_id;
        std::string secret;
        std::unordered_map<route_id, bucket> buckets;
        token_generation issued = 0;
        steady_time expires = steady_time::min();
        int refreshing = 0;
        std::map<std::string, int> posts;  // by the id in the target
    };

    void hash(std::uint64_t v) noexcept { trace = (trace ^ v) * 1099511628211ull; }
    bool happens(double fraction) { return fraction > 0 && uniform(random_) < fraction; }
    reply exchange_token(detail::exchange_input const& in, steady_time now);
    reply answer_call(detail::exchange_input const& in, steady_time sent, steady_time now);

    model_params params_;
    random_engine random_;
    std::vector<site> sites_;
    std::unordered_map<std::string, std::size_t> by_base_path_;
    friend class sim_channel;
};

}  // namespace jirapool::sim
