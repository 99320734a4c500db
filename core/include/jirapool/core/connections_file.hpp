#pragma once

#include <jirapool/core/connection_config.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool {

/// The most bytes that are read: far above a hundred thousand connections.
inline constexpr std::size_t max_connections_file_size = 64u << 20;

/// How many bad connections a report describes; more are only counted.
inline constexpr std::size_t max_reported_problems = 100'000;

/// How `{"env":"NAME"}`, `{"file":"PATH"}` and `{"provider":"NAME"}` become secrets. Its errors are unreadable_file, empty_field and
/// file_too_large; one of the program's own may have others, which are told as they are, and must quote no secret.
class secret_source {
public:
    virtual ~secret_source() = default;
    /// The secret in an environment variable.
    virtual result<secret> from_env(std::string const& name) const = 0;
    /// The secret in a file, without one newline (LF or CR LF) at its end.
    virtual result<secret> from_file(std::string const& path) const = 0;
    /// The secret that somebody else keeps under a name, as a vault does. Without a provider that is an error: unreadable_file.
    virtual result<secret> from_provider(std::string const& name) const;
};

/// The process's environment and files.
secret_source const& system_secrets() noexcept;

/// Everything a connections file said: a bad connection does not stop the good ones.
class connections_report {
public:
    /// The good connections, in the file's order.
    std::vector<connection_config> connections;
    /// One failure for each bad connection, up to max_reported_problems. It names the connection (its id, or "#3" when the third
    /// one has no usable id), the field and the rule.
    std::vector<failure> problems;
    /// The number of connections in the file, good and bad.
    std::size_t total = 0;
};

/// A file of several, or a connection in it, that cannot be used.
struct registry_problem {
    std::string file;
    failure why;
};

/** Parses a connections file.

    The shape is `{"connections":[{…},{…}]}`, or the array alone. Each connection has an `id`, the fields of exactly one kind
    (`site_url`,`email`,`apiKey` / `cloud_id`,`apiKey` / `cloud_id`,`client_id`,`clientSecret`) and at most an
    `options` object (`timeout_ms`, `weight`, `expires_at`). A secret is a string, `{"env":"NAME"}`, `{"file":"PATH"}` or
    `{"provider":"NAME"}`, which asks whom watch_params::provider names.

    The first connection of an id has it, good or bad: a later one with the same id is refused.

    Parsing wipes the copies that it makes of the text; `json` is the caller's.

    @par Errors   Of the whole file: empty_file, file_too_large, not_utf8, not_json. What is wrong with one connection is in the
                  report. No error ever quotes a value; text that is no JSON is named by line and column. */
result<connections_report> parse_connections(std::string_view json, secret_source const& secrets);

/** Reads and parses a file; a pipe or a device as well (`<(decrypt connections)`), waiting for its end.

    @par Errors   unreadable_file, and those of parse_connections. */
result<connections_report> load_connections(std::string const& path, secret_source const& secrets = system_secrets());

}  // namespace jirapool
