#include "combined_overview.hpp"

#include <jirapool/core/urgency.hpp>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace jirapool::metrics {

combined_overview::combined_overview(std::vector<std::shared_ptr<overview const>> all) : all_(std::move(all)) {
    for (auto const& o : all_)
        if (!o) throw std::invalid_argument("collector: an overview must not be null");
}

template <class Get>
auto combined_overview::joined(Get const& get) const {
    decltype(get(*all_.front())) sum;
    for (auto const& o : all_) {
        auto part = get(*o);
        sum.insert(sum.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
    }
    return sum;
}

std::vector<std::shared_ptr<shard_stats const>> combined_overview::stats() const {
    return joined([](overview const& o) { return jirapool::detail::stats_access::of(o); });
}

std::vector<std::shared_ptr<survey const>> combined_overview::look(std::chrono::milliseconds patience) const {
    return joined([&](overview const& o) { return o.look(patience); });
}

std::vector<site_snapshot> combined_overview::sites(std::chrono::milliseconds patience) const {
    auto all = joined([&](overview const& o) { return o.sites(patience); });
    std::sort(all.begin(), all.end(), more_urgent);
    return all;
}

std::vector<connection_snapshot> combined_overview::connections() const {
    auto all = joined([](overview const& o) { return o.connections(); });
    std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.id < b.id; });
    return all;
}

std::vector<overview::shard_pace> combined_overview::paces() const {
    return joined([](overview const& o) { return o.paces(); });
}

std::optional<budget_left> combined_overview::app_quota() const {
    std::optional<budget_left> least;
    for (auto const& o : all_) {
        auto const q = o->app_quota();
        if (q && (!least || q->left < least->left)) least = q;
    }
    return least;
}

std::vector<overview::bound> combined_overview::bounds() const {
    std::vector<bound> sum;
    for (auto const& o : all_) {
        for (auto const& b : o->bounds()) {
            auto const known = std::find_if(sum.begin(), sum.end(),
                                            [&](bound const& k) { return std::strcmp(k.name, b.name) == 0; });
            if (known == sum.end()) sum.push_back(b);
            else known->value += b.value;
        }
    }
    return sum;
}

}  // namespace jirapool::metrics
