#pragma once

#include "forwarder.hpp"
#include "live_check.hpp"

#include <jirapool/core/request.hpp>
#include <jirapool/core/secret.hpp>
#include <jirapool/pool/params.hpp>
#include <jirapool/tools/endpoint.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace jirapool::cli {

struct check_options {
    std::string file;
    bool json = false;
    bool quiet = false;
    bool live = false;  ///< Jira is asked, too
    live_check_options how;
};

/// For what sends: where the connection is described, and how its hosts are reached.
struct connect_options {
    std::string connections_file;
    std::string id;
    std::vector<address_override> connect_to;
    std::string ca_file;
};

struct call_options {
    connect_options at;
    method how = method::get;
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers;
    std::optional<std::string> body;
    /// Empty: none was asked for.
    std::string content_type;
    std::optional<std::chrono::milliseconds> timeout;
    bool show_head = false;
    bool explain = false;
};

struct token_options {
    connect_options at;
    std::chrono::milliseconds timeout{30'000};
    bool json = false;
};

struct make_webhook_options {
    connect_options at;
    std::string name;
    std::string url;
    /// In place of the URL: of connections, each of which has a path under it.
    std::string base;
    std::vector<std::string> events;
    std::string jql;
    secret signing_secret;
    /// Only when it is not there as it should be.
    bool ensure = false;
    bool json = false;
};

struct list_webhooks_options {
    connect_options at;
    bool json = false;
};

/// One that is there.
struct one_webhook_options {
    enum class action { show, enable, disable, remove };
    connect_options at;
    std::string webhook_id;
    action what = action::show;
    bool json = false;
};

struct listen_options {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0: any
    secret signing_secret;
    std::size_t count = 0;  ///< of requests to end behind; 0: none
    std::optional<forward_target> forward;
    bool bodies = false;
    bool json = false;
};

struct top_options {
    tools::endpoint at;
    std::chrono::milliseconds every{2'000};
    std::size_t rows = 20;   ///< of each table
    std::string token_file;  ///< with the word that the endpoint asks for; empty: it asks for none
    bool once = false;
};

struct completion_options {
    std::string script;
};

using command = std::variant<check_options, call_options, token_options, make_webhook_options, list_webhooks_options,
                             one_webhook_options, listen_options, top_options, completion_options>;

/// What to do, or the exit status when there is nothing to do: help was shown, or what is wrong.
std::variant<command, int> parse_options(int argc, char const* const* argv);

}  // namespace jirapool::cli
