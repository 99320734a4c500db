#pragma once

#include "limits.hpp"

#include <jirapool/mock/stats.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jirapool::mock {

/// Why a request was let in or not, and what its answer's headers say of it.
struct admission {
    enum class verdict : std::uint8_t { admitted, burst, issue_writes, quota };
    verdict outcome = verdict::admitted;
    /// Of the limit that refused, or of the burst bucket.
    std::uint64_t limit = 0;
    std::uint32_t remaining = 0;
    std::chrono::nanoseconds wait{0};
    bool quota_applies = false;
    /// Points an hour, and how many are left of them.
    std::uint64_t quota = 0;
    std::uint64_t quota_remaining = 0;
};

/// An issue as it is now; everything else about it follows from its number.
struct issue_state {
    std::uint32_t number = 0;
    std::string summary;
    /// Epoch of issues never written.
    wall_time updated{};
};

struct webhook_state {
    std::uint32_t id = 0;
    std::string name;
    std::string description;
    std::string url;
    /// JSON: an array of strings, and an object.
    std::string events = "[]";
    std::string filters = "{}";
    bool exclude_body = false;
    bool enabled = true;
    /// Signs deliveries; nothing ever shows it. Empty: they are not signed.
    std::string secret;
    std::string updated_by;
    wall_time updated{};
};

/** What one site remembers. A site that nobody asked costs some 250 bytes.

    @par Threads   Any; each call takes the site's lock for well under a microsecond. */
class site_state {
public:
    /// Newly made issues beyond this are forgotten, oldest first: a long run must not eat the memory.
    static constexpr std::size_t max_created_issues = 5000;
    static constexpr std::size_t max_webhooks = 1000;

    /// PROJ-1 to PROJ-`count` exist. Call once, before anything else.
    void open(std::uint32_t count) noexcept { premade_ = last_ = count; }

    /** Asks all limits at once: what one refuses costs nothing of the others.

        `common`: holds unless the site has limits of its own. `written`: the number of the issue that is written; 0 if none.
        `cost`: points, if the caller spends any. */
    admission admit(limit_table const& common, route r, std::uint32_t written, std::optional<std::uint64_t> cost,
                    instant now);

    /// From now on the site's limits are its own: `table`, which is what `own` makes of the common ones.
    void set_limits(site_limits own, limit_table const& table, instant now);
    site_limits own_limits() const;

    std::optional<issue_state> issue(std::uint32_t number) const;
    bool has_issue(std::uint32_t number) const;
    /// False if it is absent. Without a summary only the date changes.
    bool edit_issue(std::uint32_t number, std::optional<std::string> summary, wall_time now);
    bool delete_issue(std::uint32_t number);
    std::uint32_t create_issue(std::string summary, instant now);
    /// Numbers above `after`, in order, at most `max`. `more` says whether others follow.
    std::vector<std::uint32_t> search(std::uint32_t after, std::size_t max, bool& more) const;
    std::size_t issue_count() const;

    /// The id; nullopt when there are max_webhooks.
    std::optional<std::uint32_t> add_webhook(webhook_state w);
    std::optional<webhook_state> webhook(std::uint32_t id) const;
    std::vector<webhook_state> webhooks() const;
    bool replace_webhook(webhook_state w);
    bool delete_webhook(std::uint32_t id);
    std::size_t webhook_count() const;

    /// Appends the buckets touched since the last reset.
    void append_buckets(std::size_t site, std::vector<bucket_stats>& out) const;
    void reset_counts();

private:
    struct touched_issue {
        bool deleted = false;
        std::optional<std::string> summary;
        wall_time updated{};
        issue_writes writes;
    };
    using bucket_array = std::array<bucket, limited_route_count>;
    struct own_limit_table {
        site_limits own;
        limit_table table;
    };

    bool exists(std::uint32_t number) const noexcept;

    mutable std::mutex mutex_;
    std::uint32_t premade_ = 0;
    std::uint32_t last_ = 0;
    // Below this, issues that were not made beforehand are forgotten.
    std::uint32_t first_created_ = 0;
    std::uint32_t deleted_ = 0;
    std::unordered_map<std::uint32_t, touched_issue> touched_;
    std::map<std::uint32_t, webhook_state> webhooks_;
    std::uint32_t last_webhook_ = 0;
    hourly_quota quota_;
    std::unique_ptr<bucket_array> buckets_;
    // nullptr: the common ones hold.
    std::unique_ptr<own_limit_table const> limits_;
};

}  // namespace jirapool::mock
