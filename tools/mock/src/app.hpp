#pragma once

#include "clock.hpp"
#include "limits.hpp"
#include "reply.hpp"
#include "route.hpp"
#include "site_state.hpp"
#include "tokens.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/scripted.hpp>
#include <jirapool/mock/stats.hpp>
#include <jirapool/mock/world.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jirapool::mock {

/** The whole of the mock but its sockets: a request and a time in, an answer out.

    @par Threads   Any. */
class app {
public:
    /// Precondition: why_invalid(p) == nullptr.
    explicit app(mock::params p);

    /// Never throws: what an intercept throws becomes an answer of status 500 that says so.
    reply handle(request_view const& r, instant now);
    /// The answer to what could not be read as a request.
    reply refuse_unreadable(int status);

    void connection_opened();
    void connection_closed();
    void handshake_done(bool resumed);
    void handshake_failed();
    void injected_close();
    void exchange_ended(std::size_t connection) noexcept;

    mock::params const& params() const noexcept { return params_; }
    mock::world const& world() const noexcept { return world_; }
    stats snapshot() const;
    std::vector<bucket_stats> buckets() const;
    void reset_stats();
    faults get_faults() const;
    void set_faults(faults f);
    void set_intercept(intercept_function f);
    void revoke_tokens(std::size_t connection, instant now);
    void replace_secret(std::size_t connection, std::string secret);
    site_state const& site(std::size_t index) const { return sites_.at(index); }
    /// Of "PROJ-7" or an id; 0 if it can be no issue.
    static std::uint32_t issue_number(std::string_view id_or_key) noexcept;

private:
    enum class host_kind : std::uint8_t { site, gateway, auth, unknown };

    /// Where a request arrived.
    struct place {
        host_kind kind = host_kind::unknown;
        /// The host's site, or that of the cloud id in the path.
        std::optional<std::size_t> site;
        /// The path below the site's root; empty if it is below none.
        std::string_view path;
        std::string_view query;
    };

    enum class scheme : std::uint8_t { none, basic, bearer, other };

    /// What an Authorization header showed.
    struct credential {
        scheme how = scheme::none;
        /// Whose it is; nullopt if nobody's.
        std::optional<std::size_t> connection;
        bool is_access_token = false;
        /// It is the current secret with the right e-mail, or an access token that is neither expired nor revoked.
        bool is_good = false;
    };

    struct known_secret {
        std::size_t connection;
        bool is_current;
    };

    /// One request on its way through.
    struct visit {
        request_view const& r;
        instant now;
        std::uint64_t number;
        place where;
        route_match match;
        credential shown;
        faults faulty;
        /// Who it is, once that is sure.
        std::optional<std::size_t> caller;
        bool is_anonymous = false;
        bool is_violation = false;
        bool is_injected = false;
        bool is_webhook = false;
        bool is_webhook_refused = false;
        std::string_view limited_by;
    };

    struct string_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
    };

    /// Everything that is counted, as plain numbers; stats is made of it.
    struct tally {
        stats totals;
        std::array<std::uint64_t, 600> by_status{};
        std::array<std::uint64_t, route_count> by_route{};
        std::vector<connection_stats> connections;
    };

    place locate(request_view const& r) const;
    credential identify(std::string_view authorization, instant now) const;
    std::optional<std::size_t> owner_of_secret(std::string_view secret, bool& is_current) const;
    bool belongs(credential const& c, place const& where) const noexcept;
    bool roll(std::uint64_t number, std::uint64_t what, double rate) const noexcept;

    reply answer(visit& v);
    reply answer_site(visit& v);
    reply answer_gateway(visit& v);
    reply answer_auth(visit& v);
    reply exchange_token(visit& v);
    /// Behind authentication: limits, then Jira itself.
    reply answer_jira(visit& v);
    reply refuse_limited(visit& v, admission const& a) const;

    reply get_myself(visit& v) const;
    reply get_server_info(visit& v) const;
    reply get_issue(visit& v) const;
    reply create_issue(visit& v);
    reply edit_issue(visit& v);
    struct search_request;
    std::optional<search_request> read_search(visit const& v, std::string& problem) const;
    reply webhooks(visit& v);

    std::string base_url(visit const& v) const;
    void append_issue(std::string& out, std::string_view base, std::size_t site, issue_state const& issue) const;
    std::string page_token(std::string_view jql, std::uint32_t last) const;
    std::optional<std::uint32_t> read_page_token(std::string_view jql, std::string_view token) const;
    void add_common_headers(visit const& v, reply& out) const;
    void add_limit_headers(visit const& v, admission const& a, reply& out) const;

    void count(visit const& v, int status, bool was_intercepted);

    mock::params const params_;
    mock::world const world_;
    limit_table const limits_;
    token_mint const mint_;
    std::string const filler_;
    std::unordered_map<std::string_view, std::size_t> by_client_id_;
    std::vector<site_state> sites_;
    std::atomic<std::uint64_t> requests_{0};
    std::atomic<std::uint64_t> tokens_{0};

    mutable std::shared_mutex settings_mutex_;
    faults faults_;
    std::shared_ptr<intercept_function const> intercept_;
    std::unordered_map<std::string, known_secret, string_hash, std::equal_to<>> secrets_;
    /// Access tokens issued at or before this are refused.
    std::vector<std::optional<steady_time>> revoked_;

    mutable std::mutex tally_mutex_;
    tally tally_;
};

}  // namespace jirapool::mock
