#pragma once

#include "engine/connection_entry.hpp"
#include "engine/connection_list.hpp"
#include "engine/origin_directory.hpp"
#include "engine/shard_context.hpp"
#include "engine/site_state.hpp"

#include <jirapool/core/limiter.hpp>
#include <jirapool/core/quota.hpp>
#include <jirapool/core/time.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace jirapool::detail {

/// What was learned of a site, on its way to the shard that has it.
struct site_lessons {
    site_limiter limiter;
    std::unique_ptr<points_quota> quota;
};

/// What a site_directory asks of the shard that it is in.
class site_homes {
public:
    /// Where the site with this key is at home, if that is another shard.
    virtual std::optional<std::size_t> elsewhere(std::string_view key) const noexcept = 0;
    /// The connection, which has left its site here, is that shard's from now on. May throw bad_alloc; it is not, then.
    virtual void hand_over(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s,
                           std::size_t home, std::string const& cloud, std::shared_ptr<site_lessons const> lessons) = 0;

protected:
    ~site_homes() = default;
};

/** The sites of a shard, and which of them a host is: one site is one object, under the host that personal tokens name and
    under the cloud ID that all others do. A host is asked for its cloud ID once a connection of it begins
    (`/_edge/tenant_info`); until it says it, its site stands under the host's name.

    @par Threads   Its shard's. */
class site_directory {
public:
    /// Keeps references: to what the owner has, of which nothing is used once its executor's context is gone.
    site_directory(std::shared_ptr<shard_context> c, connection_list& l, origin_directory& o, site_homes& h) noexcept
        : context_(std::move(c)), connections_(l), origins_(o), homes_(h) {}
    site_directory(site_directory const&) = delete;
    site_directory& operator=(site_directory const&) = delete;

    /// What runs here holds the owner, which has this in it.
    void set_owner(std::weak_ptr<void> owner) noexcept { owner_ = std::move(owner); }

    /// By its key: the cloud ID, or the host while that is not known. May throw bad_alloc.
    std::shared_ptr<site_state> at(std::string const& key);
    /// Null: the host has not said it, or too long ago.
    std::string const* cloud_of(std::string const& host) const noexcept;
    /// A connection begins whose host has not said its cloud ID: it is asked, and the connection then goes where it belongs. May
    /// throw bad_alloc.
    void ask_for_cloud_id(std::shared_ptr<connection_entry> const& e);

    /// Another shard handed a connection of this host over.
    void remember(std::string_view host, std::string const& cloud) noexcept;
    /// What that shard learned of its site.
    void take_over(connection_entry& e, site_lessons const& lessons) noexcept;

    /// So many names are kept that it is time to look for those that nobody uses.
    bool crowded() const noexcept { return sites_.size() >= forget_at_; }
    std::size_t size() const noexcept { return sites_.size(); }
    void forget_unused_sites() noexcept;
    /// `used`: the hosts of all connections.
    void forget_unused_hosts(std::unordered_set<std::string_view> const& used) noexcept;

    /// The executor's context is gone: nothing more is asked of this.
    void abandon() noexcept { context_.reset(); }

private:
    std::shared_ptr<site_directory> shared() { return {std::shared_ptr<void>(owner_), this}; }
    static asio::awaitable<void> run(std::shared_ptr<site_directory> self, std::string host);
    static asio::awaitable<bool> learn_cloud_id(std::shared_ptr<site_directory> self, std::string host, failure* why);
    bool anybody_asks_for(std::string const& host);
    void adopt(std::string const& host, std::string const& cloud);
    void part_from_old_site(std::string const& host);
    void join(connection_entry& e, std::string const& cloud);
    void pause_account(connection_entry& e, site_limiter const& l, points_quota const* q);

    struct known_cloud {
        std::string id;
        steady_time asked;
    };
    std::shared_ptr<shard_context> context_;
    connection_list& connections_;
    origin_directory& origins_;
    site_homes& homes_;
    std::weak_ptr<void> owner_;
    std::unordered_map<std::string, std::weak_ptr<site_state>> sites_;  // by key
    // By host: whose cloud ID is asked for.
    std::unordered_map<std::string, std::vector<std::weak_ptr<connection_entry>>> asking_;
    std::unordered_map<std::string, known_cloud> cloud_of_host_;
    std::size_t forget_at_ = 64;
};

}  // namespace jirapool::detail
