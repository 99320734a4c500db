#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/core/secret.hpp>
#include <jirapool/core/site.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace jirapool {

/// The three kinds of connection, by what their credential is.
enum class connection_kind : std::uint8_t { personal_api_token, service_api_token, service_oauth };
inline constexpr std::size_t connection_kind_count = 3;

/// The kind's name, "personal_api_token", "service_api_token" or "service_oauth", which is also a metric's label.
char const* to_string(connection_kind k) noexcept;

// The three kinds, as a user writes them. Nothing is checked before make_connection_config.
// Classes with constructors, not aggregates: GCC 12.2 double-frees aggregates made inside a co_await expression.

/// A person's API token. Its requests go to the site itself, with Basic credentials.
class personal_api_token {
public:
    personal_api_token(std::string site_url, std::string email, secret api_key)
        : site_url(std::move(site_url)), email(std::move(email)), api_key(std::move(api_key)) {}
    std::string site_url;
    std::string email;
    secret api_key;
};

/// A service account's API token. Its requests go through the gateway, with the token as Bearer.
class service_api_token {
public:
    service_api_token(std::string cloud_id, secret api_key)
        : cloud_id(std::move(cloud_id)), api_key(std::move(api_key)) {}
    std::string cloud_id;
    secret api_key;
};

/// A service account's OAuth 2.0 client credentials. They are exchanged for access tokens of about an hour, used as Bearer.
class service_oauth {
public:
    service_oauth(std::string cloud_id, std::string client_id, secret client_secret)
        : cloud_id(std::move(cloud_id)), client_id(std::move(client_id)), client_secret(std::move(client_secret)) {}
    std::string cloud_id;
    std::string client_id;
    secret client_secret;
};

/// Any of the three.
using credential = std::variant<personal_api_token, service_api_token, service_oauth>;

/// What can be set per connection.
struct connection_options {
    /// The deadline of a call that names none. A search of a large site was seen to take 30 s; > 0, at most 10 min.
    std::chrono::milliseconds timeout{30'000};
    /// The number of turns that this connection's site gets when sites queue for an origin's channels. 1 to 100.
    unsigned weight = 1;
    /// When the credential ends, if its owner knows: Atlassian's API tokens live for a year at most, and nothing that they can call
    /// tells their end (core/doc/jira-cloud.md, 2.1). An event comes 30, 7 and 1 days before and at the end. After 1970, before 2106.
    /// In a file: `"expires_at": "2027-03-01"` or `"2027-03-01T12:00:00Z"`.
    std::optional<std::chrono::sys_seconds> expires_at = std::nullopt;

    bool operator==(connection_options const&) const = default;
};

/** A checked connection: what `make_connection_config` let through.

    @par Threads   Immutable. */
class connection_config {
public:
    connection_config(connection_config&&) noexcept = default;
    connection_config& operator=(connection_config&&) noexcept = default;

    /// The connection's name, unique within a client.
    std::string const& id() const noexcept { return id_; }
    /// What its credential is.
    connection_kind kind() const noexcept { return kind_; }
    /// The host that requests and the credential go to, and no other.
    std::string const& host() const noexcept { return host_; }
    /// What precedes every request's path: empty, or "/ex/jira/<cloudId>".
    std::string const& base_path() const noexcept { return base_path_; }
    /// The cloud ID, for the two kinds that name it. A personal token's site has one too, but must be asked.
    std::optional<cloud_id> const& cloud() const noexcept { return cloud_; }
    /// The account of a personal API token, or the client id of OAuth. It is empty otherwise.
    std::string const& principal() const noexcept { return principal_; }
    /// The API key or client secret.
    secret const& key() const noexcept { return key_; }
    /// What was set beside.
    connection_options const& options() const noexcept { return options_; }

    /// Another one that says the same, secret included. Copying is explicit, as it is for a secret. May throw std::bad_alloc.
    connection_config clone() const;
    /// Whether both say the same in everything. Secrets are compared as secret::operator== does.
    friend bool operator==(connection_config const& a, connection_config const& b) noexcept;
    /// Whether one can take the other's place by connections::replace: id, kind and site are the same.
    bool same_place(connection_config const& other) const noexcept;

private:
    friend result<connection_config> make_connection_config(std::string id, credential c, connection_options o);
    connection_config() = default;

    std::string id_;
    connection_kind kind_{};
    std::string host_;
    std::string base_path_;
    std::optional<cloud_id> cloud_;
    std::string principal_;
    secret key_;
    connection_options options_;
};

/// Checks an id. @return nullptr, or the rule that is broken: an id has 1 to 128 characters of [A-Za-z0-9._:-].
char const* why_invalid_connection_id(std::string_view id) noexcept;

/** Makes a connection of what a user wrote, once every field is checked.

    The rules: id see why_invalid_connection_id; site_url see site_host; email one `@` with something on both sides, at most
    320 bytes of UTF-8, no white space, control character or `:` (it is the user of a Basic credential, RFC 7617);
    cloud_id see cloud_id; client_id and secrets printable ASCII without white space, at most 8 KiB; options see
    connection_options.

    @par Errors   empty_field, invalid_field, with failure::field and failure::rule, never with a secret's text. The field has the
                  name that a connections file has for it (`apiKey`, `clientSecret`, `options.timeout_ms`). */
result<connection_config> make_connection_config(std::string id, credential c, connection_options o = {});

}  // namespace jirapool
