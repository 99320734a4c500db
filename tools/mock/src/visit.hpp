#pragma once

#include "clock.hpp"
#include "route.hpp"
#include "text.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/scripted.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace jirapool::mock {

enum class host_kind : std::uint8_t { site, gateway, auth, unknown };

/// Where a request arrived.
struct place {
    host_kind kind = host_kind::unknown;
    /// The host's site, or that of the cloud id in the path.
    std::optional<std::size_t> site;
    /// The path below the site's root; empty if it is below none.
    std::string_view path;
    std::string_view query;
};

enum class scheme : std::uint8_t { none, basic, bearer, other };

/// What an Authorization header showed.
struct credential {
    scheme how = scheme::none;
    /// Whose it is, as an index into world::connections(); nullopt if nobody's.
    std::optional<std::size_t> connection;
    bool is_access_token = false;
    /// It is the current secret with the right e-mail, or an access token that is neither expired nor revoked.
    bool is_good = false;
};

/** One request on its way, and what the parts have found out about it so far: each part writes down what the next ones need.

    It holds facts only. What is decided is decided by the parts. */
struct visit {
    visit(request_view const& request, instant at, std::uint64_t seed_, std::uint64_t number_) noexcept
        : r(request), now(at), seed(seed_), number(number_) {}

    /// Whatever of it is left to chance: the same seed and number, the same bits.
    std::uint64_t random(std::uint64_t what) const noexcept { return mix(mix(seed ^ what) ^ number); }

    request_view const& r;
    instant now;
    std::uint64_t seed;
    /// Counts the mock's requests from 0.
    std::uint64_t number;
    faults faulty;

    // By edge::locate.
    place where;
    route_match match;

    // By auth::identify.
    credential shown;
    /// Whose client_id the form of a token exchange names.
    std::optional<std::size_t> client;
    bool is_violation = false;

    // By auth, when it lets somebody in.
    /// Who it is, once that is sure.
    std::optional<std::size_t> caller;
    bool is_anonymous = false;

    // By whoever answers, for the tally.
    bool is_injected = false;
    bool is_webhook_refused = false;
    /// RateLimit-Reason of a 429, "(none)" if it has none.
    std::string_view limited_by;

    // By app.
    bool is_played = false;
};

}  // namespace jirapool::mock
