#include "engine/origin_directory.hpp"

#include <jirapool/core/site.hpp>

namespace jirapool::detail {

std::shared_ptr<origin_pool> origin_directory::at(std::string const& host) {
    auto& pool = origins_[host];
    if (!pool) pool = std::make_shared<origin_pool>(host, context_);
    return pool;
}

void origin_directory::forget_unused() noexcept {
    for (auto o = origins_.begin(); o != origins_.end();) {
        bool const used = o->second.use_count() > 1 || o->first == gateway_host || o->first == auth_host;
        if (used) {
            ++o;
            continue;
        }
        auto unused = origins_.extract(o++);
        unused.mapped().reset();  // first: its idle channels go with it
        context_->dial->forget(unused.key());
    }
}

void origin_directory::stop() noexcept {
    for (auto const& [host, pool] : origins_) pool->stop();
}

}  // namespace jirapool::detail
