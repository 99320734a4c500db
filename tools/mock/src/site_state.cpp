#include "site_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace jirapool::mock {

admission site_state::admit(limit_table const& common, route r, std::uint32_t written,
                            std::optional<std::uint64_t> cost, instant now) {
    std::size_t const index = static_cast<std::size_t>(r);
    admission result;
    std::lock_guard const lock(mutex_);
    limit_table const& limits = limits_ ? limits_->table : common;
    result.quota_applies = cost && limits.quota != 0;
    result.quota = limits.quota;
    if (!buckets_) buckets_ = std::make_unique<bucket_array>();

    touched_issue* issue = nullptr;
    if (written != 0 && limits.issue_writes && exists(written)) {
        issue = &touched_[written];
        issue_writes::verdict const writes = issue->writes.check(now.steady);
        if (!writes.admitted) {
            result.outcome = admission::verdict::issue_writes;
            result.limit = writes.limit;
            result.wait = writes.wait;
            result.quota_remaining = quota_.remaining(limits.quota);
            return result;
        }
    }
    // The quota before the bucket: were it after, an hour of refusals would empty the bucket too.
    if (result.quota_applies && !quota_.take(limits.quota, *cost, now.wall)) {
        result.outcome = admission::verdict::quota;
        result.limit = limits.quota;
        result.wait = hourly_quota::until_next_hour(now.wall);
        return result;
    }
    bucket& b = (*buckets_)[index];
    bool const is_new = b.rate() == 0;
    b.open(limits.rate[index], limits.capacity[index], now.steady);
    if (is_new) b.share(limits.foreign, now.steady);
    bucket::verdict const burst = b.take(now.steady);
    result.limit = b.rate();
    result.quota_remaining = quota_.remaining(limits.quota);
    if (!burst.admitted) {
        result.outcome = admission::verdict::burst;
        result.wait = burst.wait;
        return result;
    }
    result.remaining = burst.remaining;
    if (issue) issue->writes.record(now.steady);
    return result;
}

void site_state::set_limits(site_limits own, limit_table const& table, instant now) {
    bool const is_own = own.burst_scale || own.quota_points || own.foreign_load;
    auto next = is_own ? std::make_unique<own_limit_table const>(own_limit_table{own, table}) : nullptr;
    std::lock_guard const lock(mutex_);
    limits_ = std::move(next);
    if (!buckets_) return;
    for (std::size_t i = 0; i < limited_route_count; ++i) {
        (*buckets_)[i].change(table.rate[i], table.capacity[i], now.steady);
        (*buckets_)[i].share(table.foreign, now.steady);
    }
}

site_limits site_state::own_limits() const {
    std::lock_guard const lock(mutex_);
    return limits_ ? limits_->own : site_limits();
}

bool site_state::exists(std::uint32_t number) const noexcept {
    if (number == 0 || number > last_) return false;
    if (number > premade_ && number < first_created_) return false;
    auto const it = touched_.find(number);
    return it == touched_.end() || !it->second.deleted;
}

bool site_state::has_issue(std::uint32_t number) const {
    std::lock_guard const lock(mutex_);
    return exists(number);
}

std::optional<issue_state> site_state::issue(std::uint32_t number) const {
    issue_state result;
    result.number = number;
    {
        std::lock_guard const lock(mutex_);
        if (!exists(number)) return std::nullopt;
        auto const it = touched_.find(number);
        if (it != touched_.end()) {
            result.updated = it->second.updated;
            if (it->second.summary) {
                result.summary = *it->second.summary;
                return result;
            }
        }
    }
    result.summary = fmt::format("Invoice export fails for customer {}", number);
    return result;
}

bool site_state::edit_issue(std::uint32_t number, std::optional<std::string> summary, wall_time now) {
    std::lock_guard const lock(mutex_);
    if (!exists(number)) return false;
    touched_issue& issue = touched_[number];
    if (summary) issue.summary = std::move(summary);
    issue.updated = now;
    return true;
}

bool site_state::delete_issue(std::uint32_t number) {
    std::lock_guard const lock(mutex_);
    if (!exists(number)) return false;
    touched_issue gone;
    gone.deleted = true;
    touched_[number] = std::move(gone);
    ++deleted_;
    return true;
}

std::uint32_t site_state::create_issue(std::string summary, instant now) {
    std::lock_guard const lock(mutex_);
    if (first_created_ == 0) first_created_ = premade_ + 1;
    std::uint32_t const number = ++last_;
    touched_issue& issue = touched_[number];
    issue.summary = std::move(summary);
    issue.updated = now.wall;
    // Making it is the first of the writes that its limit counts.
    issue.writes.record(now.steady);
    while (last_ - first_created_ + 1 > max_created_issues) {
        auto const oldest = touched_.find(first_created_++);
        if (oldest == touched_.end()) continue;
        if (oldest->second.deleted) --deleted_;
        touched_.erase(oldest);
    }
    return number;
}

std::vector<std::uint32_t> site_state::search(std::uint32_t after, std::size_t max, bool& more) const {
    std::vector<std::uint32_t> numbers;
    more = false;
    std::lock_guard const lock(mutex_);
    for (std::uint64_t n = std::uint64_t{after} + 1; n <= last_; ++n) {
        auto const number = static_cast<std::uint32_t>(n);
        if (number > premade_ && number < first_created_) {
            n = first_created_ - 1;
            continue;
        }
        if (!exists(number)) continue;
        if (numbers.size() == max) {
            more = true;
            break;
        }
        numbers.push_back(number);
    }
    return numbers;
}

std::size_t site_state::issue_count() const {
    std::lock_guard const lock(mutex_);
    std::size_t const created = first_created_ == 0 ? 0 : last_ - first_created_ + 1;
    return premade_ + created - deleted_;
}

std::optional<std::uint32_t> site_state::add_webhook(webhook_state w) {
    std::lock_guard const lock(mutex_);
    if (webhooks_.size() >= max_webhooks) return std::nullopt;
    w.id = ++last_webhook_;
    std::uint32_t const id = w.id;
    webhooks_.emplace(id, std::move(w));
    return id;
}

std::optional<webhook_state> site_state::webhook(std::uint32_t id) const {
    std::lock_guard const lock(mutex_);
    auto const it = webhooks_.find(id);
    if (it == webhooks_.end()) return std::nullopt;
    return it->second;
}

std::vector<webhook_state> site_state::webhooks() const {
    std::lock_guard const lock(mutex_);
    std::vector<webhook_state> all;
    all.reserve(webhooks_.size());
    for (auto const& [id, w] : webhooks_) all.push_back(w);
    return all;
}

bool site_state::replace_webhook(webhook_state w) {
    std::lock_guard const lock(mutex_);
    auto const it = webhooks_.find(w.id);
    if (it == webhooks_.end()) return false;
    it->second = std::move(w);
    return true;
}

bool site_state::delete_webhook(std::uint32_t id) {
    std::lock_guard const lock(mutex_);
    return webhooks_.erase(id) != 0;
}

std::size_t site_state::webhook_count() const {
    std::lock_guard const lock(mutex_);
    return webhooks_.size();
}

void site_state::append_buckets(std::size_t site, std::vector<bucket_stats>& out) const {
    std::lock_guard const lock(mutex_);
    if (!buckets_) return;
    for (std::size_t i = 0; i < limited_route_count; ++i) {
        bucket const& b = (*buckets_)[i];
        if (!b.is_touched()) continue;
        bucket_stats s;
        s.site = site;
        s.route = route_name(static_cast<route>(i));
        s.rate = b.rate();
        s.admitted = b.admitted();
        s.refused = b.refused();
        s.span = b.span();
        s.permitted = b.permitted();
        out.push_back(std::move(s));
    }
}

void site_state::reset_counts() {
    std::lock_guard const lock(mutex_);
    if (!buckets_) return;
    for (bucket& b : *buckets_) b.reset_counts();
}

}  // namespace jirapool::mock
