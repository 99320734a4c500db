#pragma once

#include <jirapool/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace jirapool {

/// Whether a connection works, and if not, whose move it is.
enum class connection_condition : std::uint8_t {
    unknown,              ///< nothing was asked of Jira yet, or nothing since a repair
    healthy,              ///< Jira took the credential last time
    limited,              ///< Jira lets none of its calls through for a minute or longer: nobody's move, time cures it
    credential_rejected,  ///< Jira or the token endpoint refuses the credential: its owner must renew it
    scope_missing,        ///< the credential is good, but not for all that was asked: its owner must grant a scope
    misconfigured,        ///< the credential belongs elsewhere: see the cause. The operator must change the connection
    site_gone,            ///< the site is unknown to Atlassian: renamed, suspended or deleted
};
inline constexpr std::size_t connection_condition_count = 7;
/// The enumerator's name, as a metric's label has it.
char const* to_string(connection_condition c) noexcept;

/// What a connection's condition is concluded from.
enum class condition_cause : std::uint8_t {
    none,
    token_endpoint,   ///< the token endpoint refused the client id or secret for good
    unauthorized,     ///< Jira answers 401, to `myself` as well
    anonymous,        ///< Jira ignored the credential and answered as to anybody (core/doc/jira-cloud.md, 2.5)
    wrong_host,       ///< the API token has scopes: it works through the gateway alone, not on the site's own host
    lacks_scope,      ///< 401 that names a missing scope, or 401 of one route alone
    not_installed,    ///< 403: the credential is not granted for this cloud ID
    unknown_site,     ///< 404 of the edge, not of Jira
    nothing_allowed,  ///< 401 for a missing scope, whatever is asked: perhaps the gateway's word for an unknown cloud ID
    limit,            ///< 429
};
inline constexpr std::size_t condition_cause_count = 10;
/// The enumerator's name.
char const* to_string(condition_cause c) noexcept;

/// What is wrong and whose move it is, as a sentence's text: "Jira ignores the credential …: its owner must renew it".
char const* describe(connection_condition c, condition_cause why) noexcept;

/** A connection's state at one moment, as its handle tells it. It holds no secret.

    @par Threads   A value. */
struct connection_status {
    connection_condition condition = connection_condition::unknown;  ///< whether it works
    condition_cause cause = condition_cause::none;                   ///< why it does not
    wall_time since{};                                               ///< when the condition began
    /** When it may end: of `limited` the end of the pause, of a credential that is refused when it is tried next, with the first
        call or check from then on. */
    std::optional<wall_time> until;
    std::optional<wall_time> last_success;   ///< when Jira last gave what was asked, to the second
    std::optional<wall_time> token_expires;  ///< of the last access token, whether it is used or not; OAuth only
    /// 30, 7 or 1: by connection_options::expires_at the credential ends within so many days; 0: it is past its end.
    std::optional<int> ends_within_days;

    /// See jirapool::describe.
    std::string describe() const;
};

}  // namespace jirapool
