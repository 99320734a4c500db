#include <jirapool/core/connection_status.hpp>

namespace jirapool {

char const* to_string(connection_condition c) noexcept {
    switch (c) {
    case connection_condition::unknown: return "unknown";
    case connection_condition::healthy: return "healthy";
    case connection_condition::limited: return "limited";
    case connection_condition::credential_rejected: return "credential_rejected";
    case connection_condition::scope_missing: return "scope_missing";
    case connection_condition::misconfigured: return "misconfigured";
    case connection_condition::site_gone: return "site_gone";
    }
    return "unknown";
}

char const* to_string(condition_cause c) noexcept {
    switch (c) {
    case condition_cause::none: return "none";
    case condition_cause::token_endpoint: return "token_endpoint";
    case condition_cause::unauthorized: return "unauthorized";
    case condition_cause::anonymous: return "anonymous";
    case condition_cause::wrong_host: return "wrong_host";
    case condition_cause::lacks_scope: return "lacks_scope";
    case condition_cause::not_installed: return "not_installed";
    case condition_cause::unknown_site: return "unknown_site";
    case condition_cause::nothing_allowed: return "nothing_allowed";
    case condition_cause::limit: return "limit";
    }
    return "unknown";
}

char const* describe(connection_condition c, condition_cause why) noexcept {
    switch (why) {
    case condition_cause::token_endpoint:
        return "the token endpoint refuses the client id or secret: its owner must renew it";
    case condition_cause::unauthorized:
        return "Jira refuses the credential with 401, for the account itself as well: it expired, was revoked or is "
               "wrong, and its owner must renew it";
    case condition_cause::anonymous:
        return "Jira ignores the credential and answers as to anybody: it expired, was revoked or is wrong, and its "
               "owner must renew it";
    case condition_cause::wrong_host:
        return "the API token has scopes, so it does not work on the site's own host: configure the connection by "
               "cloud_id, or use a token without scopes";
    case condition_cause::lacks_scope:
        return "the credential is good but lacks a scope for what was asked: its owner must make one that has it";
    case condition_cause::not_installed:
        return "the credential is not granted for this cloud ID: the connection has another site's, or its owner must "
               "grant it";
    case condition_cause::unknown_site:
        return c == connection_condition::site_gone
                   ? "Atlassian knows no such site: it was renamed, suspended or deleted"
                   : "the gateway knows no such cloud ID: the connection has a wrong one, or the site is gone";
    case condition_cause::nothing_allowed:
        return "the gateway refuses whatever is asked for a missing scope: the cloud ID may be another site's, or the "
               "credential was made without scopes";
    case condition_cause::limit: return "Jira lets no call of it through for a while: time cures it";
    case condition_cause::none: break;
    }
    return c == connection_condition::healthy ? "it works" : "nothing was asked of Jira yet";
}

std::string connection_status::describe() const { return jirapool::describe(condition, cause); }

}  // namespace jirapool
