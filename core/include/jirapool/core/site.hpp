#pragma once

#include <jirapool/core/result.hpp>

#include <string>
#include <string_view>

namespace jirapool {

/// A tenant's id, the lower-case text of a UUID. Only `parse` makes one, so whoever holds one may put it into a path.
class cloud_id {
public:
    /// Reads a UUID. Its errors are empty_field and invalid_field (field `cloud_id`).
    static result<cloud_id> parse(std::string_view text);

    std::string const& str() const& noexcept { return text_; }
    std::string const& str() && = delete;
    friend bool operator==(cloud_id const&, cloud_id const&) = default;

private:
    explicit cloud_id(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

/** The host of a Jira Cloud site, lower-case: `NAME.atlassian.net`. */
class site_host {
public:
    /** Reads a site URL: exactly `https://NAME.atlassian.net`, at most with a `/` behind it; NAME is one DNS label.
        Another scheme, port, path, query, fragment, user info or domain is refused: Jira Cloud only.

        @par Errors   empty_field, invalid_field (field `site_url`), with the rule that was broken. */
    static result<site_host> parse_url(std::string_view url);

    std::string const& str() const& noexcept { return text_; }
    std::string const& str() && = delete;
    friend bool operator==(site_host const&, site_host const&) = default;

private:
    explicit site_host(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

/// The host that all gateway connections share. https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#ex-jira
inline constexpr std::string_view gateway_host = "api.atlassian.com";
/// The host where client credentials are exchanged for access tokens.
inline constexpr std::string_view auth_host = "auth.atlassian.com";

}  // namespace jirapool
