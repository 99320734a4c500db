#pragma once

#include <jirapool/core/error.hpp>
#include <jirapool/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace jirapool {

/** Something rare that happened, for a log: one event for each cause, and one when it is over, not one for each call or try that meets
    it. What comes and goes by turns is told twice a minute at first, and then twice in ten minutes. It never holds a secret. */
struct event {
    /// What happened.
    enum class kind : std::uint8_t {
        /// A credential's token could not be renewed three times in a row or more, and nothing refuses it: tried again by itself. Where
        /// others' could not be renewed either it is token_endpoint_down in its place.
        token_refresh_failed,
        credential_refused,    ///< by the token endpoint for good, or by Jira with 401: a person must act
        credential_anonymous,  ///< Jira ignores the connection's credential
        /// A limit of Jira's pauses what `scope` says: the site's host or cloud ID, and unless all of the site is paused the limit_scope
        /// with a route's name ("acme.atlassian.net route GET /rest/api/{version}/field"); "app_quota" alone is of no site. That the pause goes on, as
        /// Jira refuses the call that tries whether it is over, is no event.
        limit_pause,
        origin_down,      ///< a dial to the host in `scope` failed, the first one in a row: calls go on to try
        site_unresolved,  ///< a site's cloud ID could not be learned; its limits are kept by host name
        handler_threw,    ///< an exception of a handler of the caller's, on a thread of a runtime, which goes on
        // A connection's state (connection_status): one event when it falls, one when it is well again.
        scope_missing,        ///< its credential lacks a scope
        misconfigured,        ///< its credential belongs to another site or host
        site_gone,            ///< its site is unknown to Atlassian
        limited_for_long,     ///< Jira lets none of its calls through for a minute or longer
        credential_expiring,  ///< its credential ends within 30, 7 or 1 days (connection_options::expires_at)
        credential_expired,   ///< its credential is past its end
        healed,               ///< it works again, behind any of these, credential_refused or credential_anonymous
        origin_up,  ///< a dial to the host in `scope` succeeded behind origin_down; none once no connection uses it any more
        token_refresh_recovered,  ///< a token came behind token_refresh_failed
        token_endpoint_down,  ///< the host in `scope` is reached, and gives several credentials no token: tried again by itself
        token_endpoint_up,  ///< it answers again
        /// ensure_webhook found that the webhook whose name is in `scope` is missing, or not as its spec says, and sets out to heal it.
        /// The first time that it is asked for one it is missing as well.
        webhook_drifted,
        /// The host in `scope` offers HTTP/2 and broke its rules three times in a row, or asks for HTTP/1.1, which it is spoken to in
        /// for ten minutes now (wire_params::http).
        http1_instead,
    };
    static constexpr std::size_t kind_count = 20;
    /// How soon somebody should look.
    enum class severity : std::uint8_t {
        info,      ///< nobody needs to do anything
        warning,   ///< it passes by itself, or has time
        critical,  ///< the connection does not work, and a person must do something
    };
    kind what;               ///< what happened
    std::string connection;  ///< the id of the connection that it concerns; empty when it concerns none
    std::string detail;      ///< more of it, in words
    wall_time at{};          ///< when
    /// What went wrong, an errc: of a connection's state what its calls end with meanwhile. credential_refused, also of misconfigured
    /// where Jira refuses the credential at that host; anonymous_answer of credential_anonymous; limited_past_deadline of
    /// limited_for_long. Empty where none says it: its calls are answered still (scope_missing, site_gone, another misconfigured,
    /// credential_expiring and credential_expired), something is well again, or the kind says all (limit_pause, webhook_drifted,
    /// http1_instead).
    error_code code{};
    /// What it concerns when that is no connection, or more than one: an origin's host, what a pause is of, a webhook's name. Else empty.
    std::string scope{};

    /// The code's name: "credential_refused", or the words of a code that is not ours; empty without one.
    std::string code_name() const;
    /** One line for a log: "critical credential_refused acme: invalid_client [credential_refused]". It is the severity, the kind's
        name, the connection, the scope, behind a colon the detail, and in brackets the code. Control characters, as a server may have said
        them, are spaces in it. */
    std::string describe() const;
};
/// The kind's name, "credential_refused", which stays while there is the kind; "unknown" for a number that is none.
char const* to_string(event::kind k) noexcept;
/// How soon somebody should look at an event of that kind.
event::severity severity_of(event::kind k) noexcept;
/// The severity's name.
char const* to_string(event::severity s) noexcept;

}  // namespace jirapool
