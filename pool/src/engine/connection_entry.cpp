#include "engine/connection_entry.hpp"

#include <jirapool/core/overview.hpp>

#include "engine/base64.hpp"

namespace jirapool::detail {

namespace {

secret basic_authorization(std::string_view user, secret const& password) {
    std::string pair;
    pair.reserve(user.size() + 1 + password.size());
    pair.append(user).append(":").append(password.reveal());
    std::string encoded;
    append_base64(encoded, pair);
    wipe(pair);
    auto value = authorization_value("Basic", encoded);
    wipe(encoded);
    return value;
}

}  // namespace

connection_state::connection_state(connection_config const& c)
    : timeout_ms(static_cast<std::uint32_t>(c.options().timeout.count())),
      weight(static_cast<std::uint8_t>(c.options().weight)) {
    switch (c.kind()) {
    case connection_kind::personal_api_token: authorization = basic_authorization(c.principal(), c.key()); break;
    case connection_kind::service_api_token: authorization = authorization_value("Bearer", c.key().reveal()); break;
    case connection_kind::service_oauth:
        client_id = c.principal();
        client_secret = c.key().clone();
        break;
    }
}

std::shared_ptr<connection_state> connection_state::without_site() const {
    auto s = std::make_shared<connection_state>();
    s->client_id = client_id;
    s->client_secret = client_secret.clone();
    s->authorization = authorization.clone();
    s->timeout_ms = timeout_ms;
    s->weight = weight;
    s->secret_number = secret_number;
    return s;
}

connection_snapshot connection_entry::snapshot(steady_time now, wall_time wall) const {
    connection_snapshot s;
    s.id = id;
    s.kind = kind;
    s.site = site_key();
    s.host = host();
    s.status = status(now, wall);
    if (auto const at = expires.load(std::memory_order_relaxed)) s.expires = wall_time(std::chrono::seconds{at});
    return s;
}

}  // namespace jirapool::detail
