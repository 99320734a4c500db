#pragma once

#include <jirapool/core/overview.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/metrics/page.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::metrics {

/// Which part of a list of connections or sites is wanted.
struct list_query {
    std::size_t offset = 0;   ///< so many are left out first
    std::size_t limit = 100;  ///< the most that are given, 1 to 1,000
    /// Of connections a connection_condition's name, or "trouble": those that do not work, limited ones included. Of sites "paused", "waiting" or "trouble".
    /// Empty: all.
    std::string state;
    /// A part of the id, site or host. Empty: all.
    std::string search;
};

/** Reads the parameters of an URL's query, by name and decoded value: offset, limit, state, search. Others are ignored.
    @par Errors   invalid_argument, with the parameter as its field and the rule that it breaks. */
result<list_query> read_list_query(std::vector<std::pair<std::string, std::string>> const& parameters);

/** The connections of a client as JSON, those in most need of somebody first, without a secret:
    {"total": 3000, "matched": 60, "offset": 0, "connections": [{"id", "kind", "site", "host", "condition", "cause", "means", "since",
    "until", "last_success", "token_expires", "expires"}]}. Times are seconds since 1970, or null. It visits no shard. May throw bad_alloc.
    @par Errors   invalid_argument, field "state": it is no condition's name. */
result<std::string> connections_json(overview const& o, list_query const& q);

/** The sites of a client as JSON, those first that somebody should look at soonest, by failed calls, waiting ones, pauses, neighbours and
    points that run out:
    {"total": 3000, "matched": 12, "offset": 0, "sites": [{"site", "trouble", "waiting", "paused_until", "neighbour_share",
    "quota": {"left", "of"} or null, "calls": {"none": 17, …} or null}]}. It waits for the shards for some 100 ms at the most. May throw
    bad_alloc.
    @par Errors   invalid_argument, field "state": it is no state of a site. */
result<std::string> sites_json(overview const& o, list_query const& q);

/** The page `/connections`, which gives connections_json of the query's parameters; what is wrong with these is a status 400 and says why.
    @param o  not null */
page connections_page(std::shared_ptr<overview const> o);
/// The page `/sites`, which gives sites_json likewise.
page sites_page(std::shared_ptr<overview const> o);

}  // namespace jirapool::metrics
