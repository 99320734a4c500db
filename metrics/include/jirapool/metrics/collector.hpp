#pragma once

#include <jirapool/core/stats.hpp>
#include <jirapool/metrics/family.hpp>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <functional>
#include <memory>
#include <vector>

namespace jirapool::metrics {

/** The counters of a client's or runtime's shards as Prometheus' metric families (names.hpp), summed over the shards.

    Register it with a `prometheus::Exposer` or gateway of yours beside your own metrics, or give it to a `listener`:
    @code
    auto const numbers = std::make_shared<jirapool::metrics::collector>(jira.stats());
    exposer.RegisterCollectable(numbers);
    @endcode

    @par Threads   All functions may be called from any thread. A scrape only reads the shards' counters; no shard notices.
    @par Lifetime  A collector owns its share of the counters: it may outlive the client, whose numbers then stay what they were. */
class collector final : public prometheus::Collectable {
public:
    using shards = std::vector<std::shared_ptr<shard_stats const>>;

    /// Collects from `connections::stats()`, of several clients one behind the other. Null pointers are passed over.
    explicit collector(shards s);

    /** Collects from shards that come later: the function is asked at each scrape, on the scraping thread. A shard must not go away again, or
        counters would fall. Throws std::invalid_argument when the function is empty. */
    explicit collector(std::function<shards()> source);

    /** Gives each of `all_series` once, with each of its label values, also while they are 0.
        It never throws. It is empty when memory ran out or the source threw: an absent number says more than a wrong 0. */
    std::vector<prometheus::MetricFamily> Collect() const override;

    /** The same numbers with what prometheus-cpp has no place for, native buckets and exemplars, for `expose`:
        @code
        std::string const body = expose(numbers->families(), negotiate(accept));
        @endcode
        Throws what the source throws, and bad_alloc. */
    std::vector<family> families() const;

private:
    std::function<shards()> source_;
};

}  // namespace jirapool::metrics
