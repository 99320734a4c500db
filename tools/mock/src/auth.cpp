#include "auth.hpp"

#include "answers.hpp"
#include "injection.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

namespace jirapool::mock {

using std::chrono::seconds;

auth::auth(params const& p, world const& w) : params_(p), world_(w), mint_(mix(p.seed ^ 0x746f6b656eu), p.token_bytes) {
    std::vector<connection_info> const& all = world_.connections();
    secrets_.reserve(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        secrets_.emplace(all[i].secret, known_secret{i, true});
        if (all[i].kind == connection_kind::oauth) by_client_id_.emplace(all[i].client_id, i);
    }
    revoked_.resize(all.size());
}

// ---- who it is

void auth::identify(visit& v) const {
    v.shown = read_authorization(v.r.header("authorization"), v.now);
    v.is_violation = !belongs(v.shown, v.where);
    if (starts_with_name(v.r.header("content-type"), "application/x-www-form-urlencoded")) read_form(v);
}

credential auth::read_authorization(std::string_view header, instant now) const {
    if (header.empty()) return {};
    if (starts_with_name(header, "basic ")) return read_basic(header.substr(6));
    if (starts_with_name(header, "bearer ")) return read_bearer(header.substr(7), now);
    credential c;
    c.how = scheme::other;
    return c;
}

credential auth::read_basic(std::string_view user_and_secret) const {
    credential c;
    c.how = scheme::basic;
    auto const decoded = from_base64(user_and_secret);
    if (!decoded) return c;
    std::size_t const colon = decoded->find(':');
    if (colon == std::string::npos) return c;
    auto const secret = find_secret(std::string_view(*decoded).substr(colon + 1));
    if (!secret) return c;
    c.connection = secret->connection;
    connection_info const& info = world_.connections()[secret->connection];
    c.is_good = secret->is_current && info.kind == connection_kind::personal &&
                info.email == std::string_view(*decoded).substr(0, colon);
    return c;
}

credential auth::read_bearer(std::string_view token, instant now) const {
    credential c;
    c.how = scheme::bearer;
    if (auto const claims = mint_.read(token)) {
        if (claims->connection >= world_.connections().size()) return c;
        c.connection = claims->connection;
        c.is_access_token = true;
        c.is_good = is_accepted(*claims, now);
    } else if (auto const secret = find_secret(token)) {
        c.connection = secret->connection;
        c.is_good = secret->is_current && world_.connections()[secret->connection].kind == connection_kind::service;
    }
    return c;
}

// An access token that expired or was revoked is still its connection's, but no longer good: refuse_on_gateway says 401.
bool auth::is_accepted(token_mint::claims const& token, instant now) const {
    if (now.steady >= token.issued + params_.token_lifetime) return false;
    std::shared_lock const lock(mutex_);
    auto const& revoked = revoked_[token.connection];
    return !revoked || token.issued > *revoked;
}

bool auth::belongs(credential const& c, place const& where) const noexcept {
    if (!c.connection) return true;
    connection_info const& info = world_.connections()[*c.connection];
    if (c.is_access_token) return where.kind == host_kind::gateway && where.site == info.site;
    switch (info.kind) {
    case connection_kind::personal: return where.kind == host_kind::site && where.site == info.site;
    case connection_kind::service: return where.kind == host_kind::gateway && where.site == info.site;
    case connection_kind::oauth: return where.kind == host_kind::auth;
    }
    return false;
}

void auth::read_form(visit& v) const {
    auto const id = form_field(v.r.body, "client_id");
    auto const client = id ? by_client_id_.find(*id) : by_client_id_.end();
    bool const is_known = client != by_client_id_.end();
    bool const is_exchange = v.match.id == route::token_exchange;
    if (is_exchange && is_known) v.client = client->second;

    auto const text = form_field(v.r.body, "client_secret");
    auto const secret = text ? find_secret(*text) : std::nullopt;
    if (!secret) return;
    // A client secret's own place is the token endpoint, and not under another credential's id; an unknown id is a mistake of
    // its own. Any other secret has no place in a form.
    bool const is_others = is_known && client->second != secret->connection;
    bool const is_client_secret = world_.connections()[secret->connection].kind == connection_kind::oauth;
    if (!is_exchange || is_others || !is_client_secret) v.is_violation = true;
}

std::optional<auth::known_secret> auth::find_secret(std::string_view secret) const {
    std::shared_lock const lock(mutex_);
    auto const it = secrets_.find(secret);
    return it == secrets_.end() ? std::nullopt : std::optional(it->second);
}

// ---- who is let in

std::optional<reply> auth::refuse(visit& v) const {
    return v.where.kind == host_kind::site ? refuse_on_site(v) : refuse_on_gateway(v);
}

std::optional<reply> auth::refuse_on_site(visit& v) const {
    if (v.shown.how == scheme::bearer) {
        return json(403, wording::no_connect_token);
    }
    if (v.shown.is_good && v.shown.connection && world_.connections()[*v.shown.connection].site == v.where.site) {
        v.caller = v.shown.connection;
        return std::nullopt;
    }
    if (allows_anonymous(v.match.id)) {
        v.is_anonymous = true;
        return std::nullopt;
    }
    reply out = json(401, wording::must_authenticate);
    add_common_headers(v, world_, out);
    out.headers += "WWW-Authenticate: OAuth realm=\"https%3A%2F%2F";
    out.headers += v.r.host;
    out.headers += "\"\r\n";
    if (v.shown.how != scheme::none) out.headers += "x-seraph-loginreason: AUTHENTICATED_FAILED\r\n";
    if (v.shown.connection && world_.connections()[*v.shown.connection].kind != connection_kind::personal) {
        // A token with scopes: it works on the gateway only.
        out.headers += "x-failure-category: FAILURE_CLIENT_AUTH_MISMATCH\r\n";
    }
    return out;
}

std::optional<reply> auth::refuse_on_gateway(visit& v) const {
    // Unknown, expired and revoked tokens get the same answer.
    if (v.shown.how != scheme::bearer || !v.shown.is_good) return gateway_error(v, world_, 401, "Unauthorized");
    if (world_.connections()[*v.shown.connection].site != v.where.site) {
        return gateway_error(v, world_, 403, "The app is not installed on this instance");
    }
    // Behind authentication, so that nobody learns from it what there is.
    if (v.match.id == route::edge) return gateway_error(v, world_, 404, "Not Found");
    v.caller = v.shown.connection;
    return std::nullopt;
}

// ---- the token endpoint

reply auth::answer_token_endpoint(visit& v) {
    if (v.match.id != route::token_exchange) return oauth_error(404, "not_found", "Not Found");
    if (auto error = injected_token_error(v)) return *std::move(error);
    return exchange_token(v);
}

reply auth::exchange_token(visit& v) {
    if (!starts_with_name(v.r.header("content-type"), "application/x-www-form-urlencoded")) {
        return oauth_error(400, "invalid_request", "The content type must be application/x-www-form-urlencoded");
    }
    auto const id = form_field(v.r.body, "client_id");
    auto const secret = form_field(v.r.body, "client_secret");
    auto const grant = form_field(v.r.body, "grant_type");
    if (!id || id->empty() || !secret || secret->empty()) {
        return oauth_error(400, "invalid_request", "client_id and client_secret are required");
    }
    if (grant != "client_credentials") return oauth_error(400, "unsupported_grant_type", "Unsupported grant type");
    if (form_field(v.r.body, "scope")) {
        return oauth_error(400, "invalid_scope", "Scopes are fixed when the credential is created");
    }
    if (!v.client) return oauth_error(400, "invalid_client", "Unknown client");
    auto const known = find_secret(*secret);
    if (!known || !known->is_current || known->connection != *v.client) {
        return oauth_error(401, "access_denied", "Unauthorized");
    }
    v.caller = v.client;
    auto const announced = params_.token_expires_in.value_or(
        std::max(seconds{1}, std::chrono::floor<seconds>(params_.token_lifetime)));
    std::string const token = mint_.make(static_cast<std::uint32_t>(*v.client),
                                         tokens_.fetch_add(1, std::memory_order_relaxed), v.now.steady);
    reply out = simple(200, json_type,
                       fmt::format(R"({{"access_token":"{}","expires_in":{},"token_type":"Bearer",)"
                                   R"("scope":"read:jira-work write:jira-work"}})",
                                   token, announced.count()));
    out.headers = "Cache-Control: no-store\r\nPragma: no-cache\r\n";
    return out;
}

// ---- what tests change

void auth::revoke(std::size_t connection, instant now) {
    std::lock_guard const lock(mutex_);
    revoked_.at(connection) = now.steady;
    retire_secrets(connection);
}

void auth::revoke_tokens(std::size_t connection, instant now) {
    std::lock_guard const lock(mutex_);
    revoked_.at(connection) = now.steady;
}

void auth::add_secret(std::size_t connection, std::string secret) {
    std::lock_guard const lock(mutex_);
    secrets_.insert_or_assign(std::move(secret), known_secret{connection, true});
}

void auth::replace_secret(std::size_t connection, std::string secret) {
    std::lock_guard const lock(mutex_);
    retire_secrets(connection);
    secrets_.insert_or_assign(std::move(secret), known_secret{connection, true});
}

bool auth::is_of_another(std::size_t connection, std::string_view secret) const {
    auto const known = find_secret(secret);
    return known && known->connection != connection;
}

void auth::retire_secrets(std::size_t connection) {
    for (auto& [text, known] : secrets_) {
        if (known.connection == connection) known.is_current = false;
    }
}

}  // namespace jirapool::mock
