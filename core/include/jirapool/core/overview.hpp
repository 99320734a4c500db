#pragma once

#include <jirapool/core/budget_left.hpp>
#include <jirapool/core/client_totals.hpp>
#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connection_status.hpp>
#include <jirapool/core/outcome.hpp>
#include <jirapool/core/time.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace jirapool {

struct shard_stats;
namespace detail {
struct stats_access;
}

/// A connection as it is at one moment. It holds no secret.
struct connection_snapshot {
    std::string id;
    connection_kind kind = connection_kind::personal_api_token;
    std::string site;  ///< as it was configured: a cloud ID, or the host of a personal API token's site
    std::string host;  ///< that requests go to
    connection_status status;
    std::optional<wall_time> expires;  ///< connection_options::expires_at
};

/// What is in most need of somebody, for a list: 0 works; the larger, the worse.
int badness(connection_condition c) noexcept;

/// How soon a credential ends (connection_options::expires_at).
enum class ending : std::uint8_t { within_30_days, within_7_days, within_a_day, over };
inline constexpr std::size_t ending_count = 4;
/// "30d", "7d", "1d" or "over", as a metric's label has it.
char const* to_string(ending e) noexcept;

/// A site as it is at one moment.
struct site_snapshot {
    /// A cloud ID, or a host: as one of its connections was configured.
    std::string site;
    /// How many of its calls failed of late through anything but their caller: half as many each five minutes.
    double trouble = 0;
    std::size_t waiting = 0;                ///< calls that wait for permits
    std::optional<wall_time> paused_until;  ///< the last of its pauses, of the site or one of its routes
    double others = 0;                      ///< what part of its busiest route's rate other programs take, 0 to 1
    /// Of the app at the site that has the least left, where Jira told.
    std::optional<budget_left> quota;
    /// Of a site that is followed, since it is: metrics show its calls under its name.
    std::optional<calls_by_fault> calls;
};

/// What a shard saw when it last looked at all its connections and sites.
struct survey {
    wall_time at{};
    std::vector<site_snapshot> sites;             ///< those that are followed, those in most trouble first
    std::vector<connection_snapshot> in_trouble;  ///< connections that do not work, the worst first, up to a bound
    std::vector<connection_snapshot> expiring;    ///< those that end within 30 days, the soonest first, up to a bound
    std::array<std::size_t, ending_count> endings{};  ///< of all of them; each is counted once
    calls_by_fault calls_of_others{};                 ///< of all sites that are not followed
    std::size_t paused_sites = 0;
    double retry_budget_left = 1;                        ///< of the site or origin that has the least left, 0 to 1
    std::size_t tokens = 0;                              ///< OAuth connections that hold a token
    std::size_t stale_tokens = 0;                        ///< of them past nine tenths of its life
    std::optional<std::chrono::seconds> soonest_expiry;  ///< of those tokens
    std::optional<std::chrono::seconds> oldest_token;    ///< the age of the one that was asked for first
    /// The longest that a piece of this survey waited for its turn: what the shard's loop takes for all else that is due.
    std::chrono::nanoseconds loop_time{};
    std::size_t untold = 0;  ///< sites and connections in trouble for which the bounds had no place
};

/** What a client tells of itself: for metrics, pages and programs. It holds no secret.

    @par Threads   All functions may be called from any thread.
    @par Lifetime  It may outlive the client, of which it then tells what was last known. */
class overview {
public:
    virtual ~overview() = default;

    /// What the client counted, and what there is. May throw bad_alloc.
    client_totals totals() const;

    /** Has each shard look at its connections and sites, in pieces of some 50 us between its other work, and gives what each saw last.
        `patience`: how long to wait for that, at most a day; a shard that takes longer, or whose thread this is, gives what it saw before,
        or null. May throw bad_alloc. */
    virtual std::vector<std::shared_ptr<survey const>> look(std::chrono::milliseconds patience) const = 0;
    /// All sites, those in most trouble first. A shard that takes longer gives none. May throw bad_alloc.
    virtual std::vector<site_snapshot> sites(std::chrono::milliseconds patience) const = 0;
    /// All connections, in the order of their ids. It visits no shard. May throw bad_alloc.
    virtual std::vector<connection_snapshot> connections() const = 0;

    /// How a shard comes to its surveys.
    struct shard_pace {
        /// How long it took to begin the last one, or if one is waited for, how long that is so: what its turns take.
        std::chrono::nanoseconds lag{};
        std::optional<std::chrono::nanoseconds> age;  ///< of the last one; nothing: there was none
    };
    /// Of each shard.
    virtual std::vector<shard_pace> paces() const = 0;

    /// The points of the app that has the least left over all its sites, where Jira told of one.
    virtual std::optional<budget_left> app_quota() const = 0;

    /// A bound that a client was given.
    struct bound {
        char const* name;
        double value;
    };
    /// The configuration's bounds: client_params as numbers.
    virtual std::vector<bound> bounds() const = 0;

private:
    friend struct detail::stats_access;
    /// The counters of each shard, alive and readable for as long as somebody holds them.
    virtual std::vector<std::shared_ptr<shard_stats const>> stats() const = 0;
};

}  // namespace jirapool
