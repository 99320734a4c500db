#pragma once

#include "engine/origin_pool.hpp"
#include "engine/site_state.hpp"
#include "engine/token_source.hpp"
#include "exchange/channel.hpp"

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/quota.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/secret.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::detail {

class shard_set;

/** What may change in a connection's life: its secret with its options, and its site. A call takes it once at its start, so that
    no replaced secret and no cloud ID that became known changes a call in flight. */
class connection_state {
public:
    connection_state() = default;
    explicit connection_state(connection_config const& c);
    connection_state(connection_state const&) = delete;
    connection_state& operator=(connection_state const&) = delete;

    std::string client_id;  ///< OAuth only
    secret client_secret;   ///< OAuth only
    secret authorization;   ///< API tokens only: the header's value
    connection_options options;
    // The shard's: null until it has this.
    std::shared_ptr<site_state> site;
    std::shared_ptr<origin_pool> origin;

    /// The same secret, for another site or shard.
    std::shared_ptr<connection_state> without_site() const;

    /// Its site's place in the origin's queue.
    fair_flow& flow() const {
        auto& f = site->flow_at(origin);
        f.set_weight(static_cast<std::uint16_t>(options.weight));  // at most 100
        return f;
    }
};

/// A connection as handles know it: what never changes about it, and its place in its home shard.
struct connection_entry {
    connection_entry(connection_config const& c, std::weak_ptr<shard_set> s)
        : id(c.id()), destination(c.host() + c.base_path()), shards(std::move(s)), kind(c.kind()) {}

    /// The host that requests and the credential go to, and no other.
    std::string_view host() const noexcept { return std::string_view(destination).substr(0, destination.find('/')); }
    /// Never 0.
    std::uint32_t host_hash() const noexcept {
        return (static_cast<std::uint32_t>(std::hash<std::string_view>{}(host())) & site_state::host_bits) | 1;
    }
    /// What precedes every request's path: empty, or "/ex/jira/<cloudId>".
    std::string_view base_path() const noexcept { return std::string_view(destination).substr(host().size()); }
    /// The cloud ID, or the host of a personal token's site: that must be asked for its ID.
    std::string_view site_key() const noexcept {
        return kind == connection_kind::personal_api_token ? host() : base_path().substr(base_path().rfind('/') + 1);
    }

    /// What its calls wait for when they wait for a channel.
    held_for channel_to() const noexcept {
        return kind == connection_kind::personal_api_token ? held_for::host : held_for::gateway;
    }

    std::string const id;
    std::string const destination;  ///< host and base path, in one text as there may be a million
    std::weak_ptr<shard_set> const shards;
    connection_kind const kind;
    std::atomic<bool> removed{false};
    std::atomic<bool> refusal_told{false};  ///< Jira's, of the credential: one event for it, not one for each call
    /// The shard of its site. Changes once at most: when a personal token's site turns out to be one that another shard has.
    std::atomic<std::uint32_t> home{0};
    // The home shard's alone: look at `home` first.
    std::uint32_t slot = 0;  ///< in the shard's list of those that have a site
    std::shared_ptr<connection_state> state;
    std::unique_ptr<token_source> token;          ///< OAuth only; outlives the state, as calls in flight may look at it
    std::unique_ptr<points_quota> account_limit;  ///< of a credential that has met one
};

/// Says of which connection it is, unless there is no memory to say so.
inline failure about(connection_entry const& e, failure f) noexcept {
    try {
        return std::move(f).with_connection(e.id);
    } catch (std::bad_alloc const&) {
        return f;  // nothing was taken of it
    }
}

inline failure lack_of_memory() noexcept { return make_error_code(boost::system::errc::not_enough_memory); }

/// What is sent of a request, all but what it streams. `token`: of an OAuth connection. All of it outlives the exchange.
inline exchange_input input_of(request const& r, connection_entry const& e, connection_state const& s,
                               bearer const* token, steady_time deadline) {
    exchange_input in;
    in.method = r.method();
    in.base_path = e.base_path();
    in.target = r.target();
    s.origin->address(in);
    in.authorization = token != nullptr ? token->authorization.reveal() : s.authorization.reveal();
    in.headers = &r.headers();
    in.content_type = r.content_type();
    in.body = r.body();
    in.deadline = deadline;
    return in;
}

}  // namespace jirapool::detail
