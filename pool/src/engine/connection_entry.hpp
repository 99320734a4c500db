#pragma once

#include "engine/origin_pool.hpp"
#include "engine/site_state.hpp"
#include "engine/token_source.hpp"
#include "exchange/channel.hpp"

#include <jirapool/core/account_scope.hpp>
#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connection_fsm.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/secret.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool {
struct connection_snapshot;
}

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
    // Of connection_options, in the sizes of what they may be.
    std::uint32_t timeout_ms = 0;
    std::uint8_t weight = 1;
    std::uint8_t secret_number = 0;  ///< counts replacements, over and over: which secret this is
    // The shard's: null until it has this.
    std::shared_ptr<site_state> site;
    std::shared_ptr<origin_pool> origin;

    /// The same secret, for another site or shard.
    std::shared_ptr<connection_state> without_site() const;

    /// Its site's place in the origin's queue.
    fair_flow& flow() const {
        auto& f = site->flow_at(origin);
        f.set_weight(weight);
        return f;
    }
};

/// A connection's state machine, which its home shard moves and its handles read meanwhile.
class shared_fsm {
public:
    shared_fsm() noexcept { store({}); }
    /// From any thread. While it moves the two halves may be of different moments.
    connection_fsm load() const noexcept {
        return std::bit_cast<connection_fsm>(std::array{halves_[0].load(std::memory_order_relaxed),
                                                        halves_[1].load(std::memory_order_relaxed)});
    }
    void store(connection_fsm const& f) noexcept {
        auto const halves = std::bit_cast<std::array<std::uint64_t, 2>>(f);
        halves_[0].store(halves[0], std::memory_order_relaxed);
        halves_[1].store(halves[1], std::memory_order_relaxed);
    }

private:
    std::array<std::atomic<std::uint64_t>, 2> halves_;
};

/// A connection as handles know it: what never changes about it, and its place in its home shard.
struct connection_entry {
    connection_entry(connection_config const& c, std::weak_ptr<shard_set> s)
        : id(c.id()), destination(c.host() + c.base_path()), shards(std::move(s)), kind(c.kind()) {
        set_end(c.options());
    }

    void set_end(connection_options const& o) noexcept {
        auto const at = o.expires_at ? o.expires_at->time_since_epoch().count() : 0;
        expires.store(static_cast<std::uint32_t>(at), std::memory_order_relaxed);
    }

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

    connection_status status(steady_time now, wall_time wall) const noexcept {
        auto s = status_of(health.load(), now, wall);
        if (auto const until = token_expires.load(std::memory_order_relaxed); until != 0)
            s.token_expires = wall_time(std::chrono::seconds(until));
        return s;
    }
    /// May throw bad_alloc.
    connection_snapshot snapshot(steady_time now, wall_time wall) const;

    std::string const id;
    std::string const destination;  ///< host and base path, in one text as there may be a million
    std::weak_ptr<shard_set> const shards;
    connection_kind const kind;
    std::atomic<bool> removed{false};
    /// The shard of its site. Changes once at most: when a personal token's site turns out to be one that another shard has.
    std::atomic<std::uint16_t> home{0};
    // The home shard's alone, but for reading: look at `home` first.
    std::atomic<std::uint32_t> expires{0};  ///< connection_options::expires_at, in seconds of the wall clock; 0: none
    std::atomic<std::uint32_t> token_expires{0};  ///< of the token that is held, in seconds of the wall clock; 0: none
    shared_fsm health;
    std::atomic<std::uint32_t> in_flight{
        0};  ///< its permits in use, also those of calls on a shard that was its home before
    // The home shard's alone: look at `home` first.
    std::uint32_t slot = 0;  ///< in the shard's list of those that have a site
    std::shared_ptr<connection_state> state;
    std::unique_ptr<token_source> token;  ///< OAuth only; outlives the state, as calls in flight may look at it
    std::unique_ptr<account_scope> account_limit;  ///< of a credential that has met one

    /// Made when it is asked for. May throw bad_alloc.
    account_scope& limit_of_account() {
        if (!account_limit) account_limit = std::make_unique<account_scope>(in_flight);
        return *account_limit;
    }
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
