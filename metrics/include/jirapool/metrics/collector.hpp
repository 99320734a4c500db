#pragma once

#include <jirapool/core/delivery_counts.hpp>
#include <jirapool/core/overview.hpp>
#include <jirapool/metrics/family.hpp>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <memory>
#include <vector>

namespace jirapool::metrics {

/** What a client or runtime counts and sees as Prometheus' metric families (names.hpp), summed over its shards.

    Register it with a `prometheus::Exposer` or gateway of yours beside your own metrics, or give it to a `listener`:
    @code
    auto const numbers = std::make_shared<jirapool::metrics::collector>(jira.overview());
    exposer.RegisterCollectable(numbers);
    @endcode

    @par Threads   All functions but add_deliveries may be called from any thread. A scrape reads the shards' counters, and has each shard
                   look at its connections and sites in pieces of 100 us (overview::look), for which it waits for 15 ms at the most: do not
                   scrape on a thread that has other work.
    @par Lifetime  A collector owns its share of the counters: it may outlive the client, whose numbers then stay what they were. */
class collector final : public prometheus::Collectable {
public:
    /// Collects from `connections::overview()`. Throws std::invalid_argument when it is null.
    explicit collector(std::shared_ptr<overview const> o);
    /// Collects from several clients as if they were one. Throws std::invalid_argument when one of them is null.
    explicit collector(std::vector<std::shared_ptr<overview const>> all);

    /// Also collects from `webhook_receiver::counts()`. Before the first scrape. Throws std::invalid_argument when they are null.
    void add_deliveries(std::shared_ptr<delivery_counts const> counts);

    /** Gives each of `all_series` once, with each of its label values, also while they are 0, and then each of `all_named_series`.
        It never throws. It is empty when memory ran out: an absent number says more than a wrong 0. */
    std::vector<prometheus::MetricFamily> Collect() const override;

    /** The same numbers with what prometheus-cpp has no place for, native buckets and exemplars, for `expose`:
        @code
        std::string const body = expose(numbers->families(), negotiate(accept));
        @endcode
        Throws bad_alloc. */
    std::vector<family> families() const;

    /// What it collects from, for `connections_json` and `sites_json`. Several clients are one here as well.
    std::shared_ptr<overview const> const& source() const noexcept { return overview_; }

private:
    std::shared_ptr<overview const> overview_;
    std::vector<std::shared_ptr<delivery_counts const>> deliveries_;
};

}  // namespace jirapool::metrics
