#pragma once

#include "engine/shard.hpp"

#include <jirapool/core/overview.hpp>
#include <jirapool/pool/client.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace jirapool::detail {

/** The registry of connections over a set of shards: what client and runtime share.

    The lock guards the registry only; no call takes it. */
class engine {
public:
    /// Throws std::invalid_argument: see client.
    engine(std::vector<asio::any_io_executor> executors, client_params p);
    /// For tests and the simulator: shards that stand on something else. `p` is taken as checked.
    engine(std::vector<shard_environment> environments, client_params p);

    result<connection> add(connection_config c);
    /// `only`: unless the id is another connection's by now, which is invalid_argument as well.
    result<connection> replace(connection_config c, connection const* only = nullptr);
    bool remove(std::string_view id, connection const* only = nullptr);
    bool reset_limits(std::string_view id);
    std::optional<connection> find(std::string_view id) const;
    std::size_t size() const;
    std::vector<connection> list() const;
    std::vector<std::shared_ptr<shard_stats const>> stats() const;
    /// In the order of their ids.
    std::vector<std::shared_ptr<connection_entry const>> entries() const;
    std::vector<overview::bound> bounds() const;
    std::shared_ptr<shared_budgets> const& budgets() const noexcept { return budgets_; }
    /// No connection is added any more.
    void close();
    void stop() noexcept;

    std::shared_ptr<shard_set> const& shards() const noexcept { return shards_; }
    static connection handle(std::shared_ptr<connection_entry> e) noexcept { return connection(std::move(e)); }
    /// See detail::report.
    static void report(connection const& c, event e) noexcept;
    /// A drain came to its end with no call cut off.
    std::atomic<bool> drained{false};

private:
    struct by_id {
        using is_transparent = void;
        static std::string_view id(std::string_view text) noexcept { return text; }
        static std::string_view id(std::shared_ptr<connection_entry> const& e) noexcept { return e->id; }
        template <class A, class B>
        bool operator()(A const& a, B const& b) const noexcept {
            return id(a) < id(b);
        }
    };

    void make_shards(std::vector<shard_environment> environments);

    std::shared_ptr<client_params const> params_;
    std::shared_ptr<shard_set> shards_;
    std::shared_ptr<shared_budgets> const budgets_ = std::make_shared<shared_budgets>();
    mutable std::mutex mutex_;
    std::set<std::shared_ptr<connection_entry>, by_id> registry_;
    bool closing_ = false;  // by a drain or a stop: no connection is added
};

std::shared_ptr<overview const> make_overview(std::shared_ptr<engine> const& e);

}  // namespace jirapool::detail
