#pragma once

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>

#include <type_traits>

namespace jirapool {

using boost::system::error_category;
using boost::system::error_code;
using boost::system::error_condition;

/** Why something of jirapool did not work. Values are never reused or renumbered.

    To decide what to do, compare with an `advice` instead of listing codes: `if (ec == advice::retryable)`. Of a write look at
    failure::maybe_processed first: it may have been done. cancelled, stopped, connection_removed, sink_failed, source_failed,
    certificate_refused, protocol_error, response_too_large and webhook_refused have no advice, nor have the system's own codes. */
enum class errc {
    // A connections file or a connection that cannot be used (failure::field and ::rule say what and why).
    unreadable_file = 1,   ///< The file, or a secret's file, environment variable or provider, could not be read.
    empty_file = 2,        ///< The file has no bytes.
    file_too_large = 3,    ///< The file is larger than we read.
    not_utf8 = 4,          ///< The text is not valid UTF-8.
    not_json = 5,          ///< The text is not one JSON document of the documented shape.
    missing_field = 6,     ///< A field that the kind needs is absent.
    empty_field = 7,       ///< A field is there with nothing in it.
    unknown_field = 8,     ///< A field that no kind has.
    mixed_kinds = 9,       ///< Fields of two kinds in one connection.
    invalid_field = 10,    ///< A field's value breaks its rule.
    duplicate_field = 11,  ///< A field stands twice in one connection.
    duplicate_id = 12,     ///< Another connection already has this id.

    // A request that is refused before anything is sent.
    invalid_target = 20,        ///< The target leaves the connection's base path, or is not a path.
    invalid_header = 21,        ///< A header's name or value is malformed, or the library sets it itself.
    body_not_allowed = 22,      ///< A GET or HEAD with a body: Jira's edge refuses those.
    unsupported_for_kind = 23,  ///< This kind of connection cannot do that at Jira.
    invalid_argument = 24,      ///< An argument breaks its rule (failure::field and ::rule).

    // A call that ended without an answer. failure::stage says where, failure::maybe_processed whether Jira may have acted.
    timeout = 40,                ///< The call's deadline passed, or the limit of a stage (failure::rule says which).
    cancelled = 41,              ///< The caller cancelled it.
    stopped = 42,                ///< The client is stopping.
    connection_removed = 43,     ///< The connection was removed, before the call or while it waited.
    limited_past_deadline = 44,  ///< A limit stays closed for longer than the call may last; nothing was sent.
    queue_full = 45,             ///< The bounded queue before the limiter or the pool has no room.
    credential_refused = 46,     ///< The token endpoint or Jira refused the credential, which rests for a while.
    token_unavailable = 47,      ///< No valid token, and the token endpoint did not give one in time.
    anonymous_answer = 48,       ///< Jira ignored the credential and answered as to anybody (x-seraph-loginreason).

    sink_failed = 49,    ///< The call's body_sink threw. What it returned is the call's error as it is.
    source_failed = 50,  ///< The call's body_source threw, ended before its size, or gave more than it was asked for.

    // The wire.
    resolve_failed = 60,       ///< The origin's name has no address.
    connect_failed = 61,       ///< No address accepted a TCP connection.
    tls_failed = 62,           ///< The TLS handshake failed.
    certificate_refused = 63,  ///< The server's certificate is not valid for the origin.
    channel_lost = 64,         ///< The transport ended before the answer was whole.
    protocol_error = 65,       ///< The answer is not valid HTTP.
    response_too_large = 66,   ///< The answer's head or body is over the configured limit.

    // Managed webhooks.
    webhook_refused = 80,  ///< Jira answered a webhook request with an error status.
};

/** What a caller can do about an error: compare an error_code with it. */
enum class advice {
    fix_configuration = 1,  ///< A person must change the connection or the file.
    fix_request = 2,        ///< The same request can never work.
    reauthorize = 3,        ///< The credential is bad: a new secret is needed.
    retryable = 4,          ///< The same call may work later.
};

/// The enumerator's name, "invalid_field", for logs; "unknown" for a number that is none.
char const* to_string(errc e) noexcept;

/// The category of errc.
error_category const& jirapool_category() noexcept;
/// The category of advice.
error_category const& advice_category() noexcept;

inline error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), jirapool_category()}; }
inline error_condition make_error_condition(advice a) noexcept { return {static_cast<int>(a), advice_category()}; }

}  // namespace jirapool

template <>
struct boost::system::is_error_code_enum<jirapool::errc> : std::true_type {};
template <>
struct boost::system::is_error_condition_enum<jirapool::advice> : std::true_type {};
