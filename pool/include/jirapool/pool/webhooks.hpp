#pragma once

#include <jirapool/pool/client.hpp>

#include <string>
#include <vector>

namespace jirapool {

// Managed webhooks of a site: `/rest/webhooks/1.0/webhook`, an API that Jira serves on the site host with Basic credentials
// only (core/doc/jira-cloud.md, 7.1). Connections of the other kinds get unsupported_for_kind before anything is sent. The account
// needs the permission "Administer Jira".

/** What to create: `webhook_spec spec("n", "https://…", {"jira:issue_created"});  co_await create_webhook(acme, std::move(spec))`.
    In a variable, as GCC 12.2 makes no list inside a co_await expression. */
class webhook_spec {
public:
    /// `callback_url`: https, absolute, without user info; Jira's variables (`${issue.key}`) may stand in its path and query.
    /// `events`: at least one, e.g. "jira:issue_created".
    webhook_spec(std::string name, std::string callback_url, std::vector<std::string> events)
        : name(std::move(name)), callback_url(std::move(callback_url)), events(std::move(events)) {}

    std::string name;
    std::string callback_url;
    std::vector<std::string> events;
    /// Signs deliveries (X-Hub-Signature). Empty: unsigned. Jira never shows it again.
    secret signing_secret;
    /// Only issues this JQL finds. Empty: all.
    std::string jql;
};

/// What Jira knows of one.
class webhook_info {
public:
    std::string id;
    std::string name;
    std::string callback_url;
    std::vector<std::string> events;
    bool enabled = false;
    bool is_signed = false;
};

/** Creates a webhook and completes with Jira's record of it.
    Errors: unsupported_for_kind; invalid_argument (field name, callback_url or events); those of connection::call;
            webhook_refused when Jira answers with another status: failure::status, its text in failure::rule;
            protocol_error when the answer makes no sense. */
asio::awaitable<result<webhook_info>> create_webhook(connection c, webhook_spec spec);

/// All webhooks of the site, whoever made them. Errors: as above.
asio::awaitable<result<std::vector<webhook_info>>> list_webhooks(connection c);

/// Deletes one; true, or false when there was none of that id (any more). Errors: as above.
asio::awaitable<result<bool>> delete_webhook(connection c, std::string id);

}  // namespace jirapool
