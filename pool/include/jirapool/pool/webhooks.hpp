#pragma once

#include <jirapool/pool/client.hpp>

#include <string>
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
    bool enabled = false;             ///< whether it delivers
    bool is_signed = false;           ///< whether it has a secret
};

/** Creates a webhook and completes with Jira's record of it.

    @par Errors   unsupported_for_kind: the connection is none with a personal API token. invalid_argument: a field of the spec
                  breaks its rule; failure::field names it. webhook_refused: Jira answered with an error status, which is
                  failure::status, its text in failure::rule. protocol_error: the answer makes no sense. Those of
                  connection::call.
    @par Cancellation, Threads, Lifetime   As for connection::call, for all functions here. */
asio::awaitable<result<webhook_info>> create_webhook(connection c, webhook_spec spec);

/// Completes with all webhooks of the site, whoever made them. Its errors are those of create_webhook.
asio::awaitable<result<std::vector<webhook_info>>> list_webhooks(connection c);

/// Deletes a webhook. It completes with true, or with false when there was none of that id (any more). Its errors are those of
/// create_webhook; invalid_argument says that the id is no number.
asio::awaitable<result<bool>> delete_webhook(connection c, std::string id);

}  // namespace jirapool
