#pragma once

#include "engine/connection_health.hpp"
#include "engine/connection_list.hpp"
#include "engine/origin_directory.hpp"
#include "engine/shard_context.hpp"
#include "engine/token_source.hpp"

#include <jirapool/core/token_fsm.hpp>

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>

namespace jirapool::detail {

struct token_exchange;

/** The access tokens of a shard's OAuth connections, each from its first exchange to its last renewal: when one is due (token_fsm
    says), the exchange with the token endpoint, who is told and who is woken. */
class token_refresher {
public:
    /// Keeps references: to what the owner has, of which nothing is used once its executor's context is gone.
    token_refresher(shard_context& c, connection_list& l, origin_directory& o, connection_health& h)
        : context_(c), connections_(l), origins_(o), health_(h), endpoint_(c.params->tokens, c.shards) {}
    token_refresher(token_refresher const&) = delete;
    token_refresher& operator=(token_refresher const&) = delete;

    /// What runs here holds the owner, which has this in it.
    void set_owner(std::weak_ptr<void> owner) noexcept { owner_ = std::move(owner); }

    /// Renews now, or when it is due.
    void start(std::shared_ptr<connection_entry> e, std::shared_ptr<connection_state> s);
    /// Once the token machine said that one is to begin.
    void spawn(std::shared_ptr<connection_entry> e, std::shared_ptr<connection_state> s);
    void start_for(connection_entry const& e) { start(connections_.holder_of(e), e.state); }
    void spawn_for(connection_entry const& e) { spawn(connections_.holder_of(e), e.state); }

    token_endpoint& endpoint() noexcept { return endpoint_; }
    shard_context& context() const noexcept { return context_; }

private:
    std::shared_ptr<token_refresher> shared() { return {std::shared_ptr<void>(owner_), this}; }
    static asio::awaitable<void> run(std::shared_ptr<token_refresher> self, std::shared_ptr<connection_entry> e,
                                     std::shared_ptr<connection_state> s);
    static asio::awaitable<void> exchange(std::shared_ptr<token_refresher> self, std::shared_ptr<connection_state> s,
                                          token_exchange* out);
    void tell(connection_entry& e, refresh_result outcome, token_exchange const& done) noexcept;
    void tell_trouble(connection_entry const& e, token_exchange const& done);
    void tell_answered();
    /// The token endpoint answers behind an outage.
    void wake_all() noexcept;

    shard_context& context_;
    connection_list& connections_;
    origin_directory& origins_;
    connection_health& health_;
    std::weak_ptr<void> owner_;
    token_endpoint endpoint_;
};

}  // namespace jirapool::detail
