#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jirapool::mock {

struct params;

enum class connection_kind : std::uint8_t { personal, service, oauth };
inline constexpr std::size_t connection_kind_count = 3;

/// "personal", "service", "oauth".
char const* to_string(connection_kind k) noexcept;

struct site_info {
    /// "site-0001.atlassian.net".
    std::string host;
    /// A UUID.
    std::string cloud_id;
};

/// One Jira connection as its owner would configure it.
struct connection_info {
    /// "personal-0001", "service-0001", "oauth-0001".
    std::string id;
    connection_kind kind = connection_kind::personal;
    /// Index into world::sites().
    std::size_t site = 0;
    /// The account that X-AAccountId names.
    std::string account_id;
    /// Kind personal only.
    std::string email;
    /// Kind oauth only.
    std::string client_id;
    /// API key or client secret, as it was when the server was made.
    std::string secret;
};

/** The sites and connections that a seed makes: the same for the same figures.

    @par Threads   Immutable. */
class world {
public:
    explicit world(params const& p);

    std::vector<site_info> const& sites() const noexcept { return sites_; }
    /// All personal ones, then service, then oauth.
    std::vector<connection_info> const& connections() const noexcept { return connections_; }
    site_info const& site_of(connection_info const& c) const noexcept { return sites_[c.site]; }
    /// E.g. find("oauth-0001"); nullptr if there is none.
    connection_info const* find(std::string_view id) const noexcept;

    std::optional<std::size_t> site_by_host(std::string_view host) const noexcept;
    std::optional<std::size_t> site_by_cloud_id(std::string_view cloud_id) const noexcept;

    /// The connections file that jirapool reads, secrets and all.
    std::string connections_json() const;

private:
    std::vector<site_info> sites_;
    std::vector<connection_info> connections_;
    // The keys are views of sites_, which never changes.
    std::unordered_map<std::string_view, std::size_t> by_cloud_id_;
};

}  // namespace jirapool::mock
