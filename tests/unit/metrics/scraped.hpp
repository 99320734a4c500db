#pragma once

#include <jirapool/metrics/collector.hpp>

#include <prometheus/metric_family.h>

#include <map>
#include <string>
#include <vector>

/// A scrape by "name{label="value"}": what a query would find.
inline std::map<std::string, prometheus::ClientMetric> by_key(std::vector<prometheus::MetricFamily> const& families) {
    std::map<std::string, prometheus::ClientMetric> all;
    for (auto const& family : families) {
        for (auto const& metric : family.metric) {
            std::string key = family.name;
            char separator = '{';
            for (auto const& label : metric.label) {
                key += separator + label.name + "=\"" + label.value + "\"";
                separator = ',';
            }
            if (!metric.label.empty()) key += '}';
            all[key] = metric;
        }
    }
    return all;
}

inline std::map<std::string, prometheus::ClientMetric> by_key(jirapool::metrics::collector const& c) {
    return by_key(c.Collect());
}
