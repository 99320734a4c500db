#pragma once

#include "reply.hpp"
#include "tokens.hpp"
#include "visit.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/world.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jirapool::mock {

/** Who is calling: knows all secrets and access tokens, lets in or refuses, and is the token endpoint. It also tells whether a
    credential came where it has no business (an isolation violation).

    It doesn't know what is asked for: who is let in may do everything.

    @par Threads   Any. */
class auth {
public:
    auth(params const& p, world const& w);

    /// Writes down shown, client and is_violation, whatever will become of the request. After edge::locate.
    void identify(visit& v) const;
    /// On a site or the gateway. nullopt: let in, and v tells as whom (caller or is_anonymous).
    std::optional<reply> refuse(visit& v) const;
    /// On the token endpoint's host.
    reply answer_token_endpoint(visit& v);

    /// See server.
    void revoke(std::size_t connection, instant now);
    void revoke_tokens(std::size_t connection, instant now);
    void add_secret(std::size_t connection, std::string secret);
    void replace_secret(std::size_t connection, std::string secret);
    /// Whether it is or was another connection's: requests that show it could not be told apart.
    bool is_of_another(std::size_t connection, std::string_view secret) const;

private:
    /// An API key or client secret. Old ones stay known.
    struct known_secret {
        std::size_t connection;
        bool is_current;
    };
    struct string_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
    };

    credential read_authorization(std::string_view header, instant now) const;
    credential read_basic(std::string_view user_and_secret) const;
    credential read_bearer(std::string_view token, instant now) const;
    bool is_accepted(token_mint::claims const& token, instant now) const;
    bool belongs(credential const& c, place const& where) const noexcept;
    void read_form(visit& v) const;
    std::optional<known_secret> find_secret(std::string_view secret) const;
    /// With the lock held. Old secrets stay known: one that strays to another site is a violation all the same.
    void retire_secrets(std::size_t connection);

    std::optional<reply> refuse_on_site(visit& v) const;
    std::optional<reply> refuse_on_gateway(visit& v) const;
    reply exchange_token(visit& v);

    params const& params_;
    world const& world_;
    token_mint const mint_;
    // The keys are views of world_, which never changes.
    std::unordered_map<std::string_view, std::size_t> by_client_id_;
    std::atomic<std::uint64_t> tokens_{0};

    mutable std::shared_mutex mutex_;
    std::unordered_map<std::string, known_secret, string_hash, std::equal_to<>> secrets_;
    /// By connection: access tokens issued at or before this are refused.
    std::vector<std::optional<steady_time>> revoked_;
};

}  // namespace jirapool::mock
