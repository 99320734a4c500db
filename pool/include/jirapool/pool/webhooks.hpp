#pragma once

#include <jirapool/pool/client.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool {

// Managed webhooks of a site: `/rest/webhooks/1.0/webhook`, an API that Jira serves on the site host with Basic credentials
// only (core/doc/jira-cloud.md, 7.1). Connections of the other kinds get unsupported_for_kind before anything is sent. The account
// needs the permission "Administer Jira".

/** A webhook to create: `webhook_spec spec("n", "https://…", {"jira:issue_created"});  co_await create_webhook(acme, std::move(spec))`.
    It stands in a variable, as GCC 12.2 makes no list inside a co_await expression. */
class webhook_spec {
public:
    /// Takes what every webhook has. `callback_url` is https, absolute, without user info; Jira's variables (`${issue.key}`) may
    /// stand in its path and query. `events` are at least one, such as "jira:issue_created".
    webhook_spec(std::string name, std::string callback_url, std::vector<std::string> events)
        : name(std::move(name)), callback_url(std::move(callback_url)), events(std::move(events)) {}

    std::string name;                 ///< shown to the site's administrators, 1 to 255 bytes
    std::string callback_url;         ///< where Jira delivers to
    std::vector<std::string> events;  ///< what it delivers
    /// The secret by which deliveries are signed (X-Hub-Signature). Empty means unsigned. Jira never shows it again.
    secret signing_secret;
    /// The JQL that finds the issues whose events are delivered. Empty means all issues.
    std::string jql;
};

/// What Jira knows of a webhook.
class webhook_info {
public:
    std::string id;                   ///< a number, for delete_webhook
    std::string name;                 ///< as it was created
    std::string callback_url;         ///< likewise
    std::vector<std::string> events;  ///< likewise
    std::string jql;                  ///< likewise; empty: all issues
    bool has_body = true;             ///< whether its deliveries have one (excludeBody); those made here have
    bool enabled = false;             ///< whether it delivers
    bool is_signed = false;           ///< whether it has a secret
};

/// What about a webhook was not as its spec says.
enum class webhook_drift : std::uint8_t {
    missing,       ///< there was none
    disabled,      ///< it did not deliver
    name,          ///< it had another name, and the spec's URL
    callback_url,  ///< it had the spec's name, and delivered elsewhere
    events,        ///< it delivered others
    filter,        ///< it had another JQL
    body,          ///< it delivered without bodies, of which nothing can be read
    not_signed,    ///< it had no secret, and the spec has one
};
inline constexpr std::size_t webhook_drift_count = 8;
/// "missing", "callback_url": as the enumerators.
char const* to_string(webhook_drift d) noexcept;

/// What `ensure_webhook` left behind.
class ensured_webhook {
public:
    webhook_info webhook;               ///< as it is now
    std::vector<webhook_drift> healed;  ///< what had to be changed for that; empty: nothing
    bool created() const noexcept { return !healed.empty() && healed.front() == webhook_drift::missing; }
};

/** Creates a webhook and completes with Jira's record of it.

    @par Errors   unsupported_for_kind: the connection is none with a personal API token. invalid_argument: a field of the spec
                  breaks its rule; failure::field names it. webhook_refused: Jira answered with an error status, which is
                  failure::status, its text in failure::rule unless that quotes the signing secret. protocol_error: the answer
                  makes no sense. Those of connection::call.
    @par Cancellation, Threads, Lifetime   As for connection::call, for all functions here. */
asio::awaitable<result<webhook_info>> create_webhook(connection c, webhook_spec spec);

/// Completes with all webhooks of the site, whoever made them. Its errors are those of create_webhook.
asio::awaitable<result<std::vector<webhook_info>>> list_webhooks(connection c);

/// Completes with the webhook of that id, or with nothing when there is none (any more). Its errors are those of create_webhook;
/// invalid_argument says that the id is no number.
asio::awaitable<result<std::optional<webhook_info>>> get_webhook(connection c, std::string id);

/** Makes a webhook what the spec says, and leaves it enabled or disabled as it is. Completes with Jira's record of it.

    A spec without a secret leaves the one that the webhook has. It makes two calls, each with the connection's timeout.

    @par Errors   As of create_webhook; invalid_argument also when the id is no number; failure::status is 404 when there is none of
                  that id. */
asio::awaitable<result<webhook_info>> update_webhook(connection c, std::string id, webhook_spec spec);

/// Has a webhook deliver, or not, and leaves all else of it as it is. Its errors are those of update_webhook.
asio::awaitable<result<webhook_info>> enable_webhook(connection c, std::string id, bool enabled);

/** Sees to it that the site has an enabled webhook as the spec says: creates it, or heals one that drifted. To do it again changes
    nothing, so a service may do it whenever it starts.

    The webhook is the one with the spec's name and URL; else the first with its name; else the first with its URL. So a name is to be
    the service's own. All others are left alone. Jira never shows a secret, so one that was replaced by another is not seen:
    `update_webhook` sets it anew. It makes up to three calls, each with the connection's timeout.

    @par Errors   As of create_webhook; webhook_refused also when Jira answered the change with a record that is not as the spec says:
                  failure::rule names what. With failure::maybe_processed the next ensure_webhook finds what was made. */
asio::awaitable<result<ensured_webhook>> ensure_webhook(connection c, webhook_spec spec);

/// Whether the connection's account may manage webhooks: Jira's global permission ADMINISTER. Its errors are those of
/// list_webhooks.
asio::awaitable<result<bool>> may_manage_webhooks(connection c);

/** The callback URL of a connection under `base`, for a spec or to be copied: `{base}/{connection id}`, the id percent-encoded. A
    delivery names no site (core/doc/jira-cloud.md, 7.2), so each connection needs a path of its own.

    @return invalid_argument, field "base": it is no callback URL, or has a query or fragment; field "connection_id": it is empty,
            "." or "..". */
result<std::string> webhook_callback_url(std::string_view base, std::string_view connection_id);

/// Deletes a webhook. It completes with true, or with false when there was none of that id (any more); where an earlier exchange of
/// the call may have deleted it, with true. Its errors are those of create_webhook; invalid_argument says that the id is no number.
asio::awaitable<result<bool>> delete_webhook(connection c, std::string id);

}  // namespace jirapool
