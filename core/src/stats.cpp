#include <jirapool/core/delivery_counts.hpp>
#include <jirapool/core/stats.hpp>

namespace jirapool {

char const* to_string(outcome o) noexcept {
    switch (o) {
    case outcome::success: return "success";
    case outcome::redirect: return "redirect";
    case outcome::client_error: return "client_error";
    case outcome::limited: return "limited";
    case outcome::server_error: return "server_error";
    case outcome::timeout: return "timeout";
    case outcome::cancelled: return "cancelled";
    case outcome::refused: return "refused";
    case outcome::credential: return "credential";
    case outcome::token_endpoint: return "token_endpoint";
    case outcome::wire: return "wire";
    case outcome::failed: return "failed";
    }
    return "unknown";
}

outcome outcome_of(int status) noexcept {
    if (status == 429) return outcome::limited;
    if (status >= 500) return outcome::server_error;
    if (status >= 400) return outcome::client_error;
    return status >= 300 ? outcome::redirect : outcome::success;
}

outcome outcome_of(error_code const& ec) noexcept {
    if (ec == errc::timeout) return outcome::timeout;
    if (ec == errc::cancelled) return outcome::cancelled;
    if (ec == errc::limited_past_deadline) return outcome::limited;
    if (ec == errc::credential_refused || ec == errc::anonymous_answer) return outcome::credential;
    if (ec == errc::token_unavailable) return outcome::token_endpoint;
    if (ec == errc::queue_full || ec == errc::stopped || ec == errc::connection_removed || ec == advice::fix_request)
        return outcome::refused;
    for (auto const e : {errc::resolve_failed, errc::connect_failed, errc::tls_failed, errc::certificate_refused,
                         errc::channel_lost, errc::protocol_error, errc::response_too_large})
        if (ec == e) return outcome::wire;
    return outcome::failed;
}

char const* to_string(route_class c) noexcept {
    switch (c) {
    case route_class::read: return "read";
    case route_class::search: return "search";
    case route_class::write: return "write";
    case route_class::bulk: return "bulk";
    }
    return "unknown";
}

char const* to_string(origin_kind o) noexcept {
    switch (o) {
    case origin_kind::site: return "site";
    case origin_kind::gateway: return "gateway";
    case origin_kind::token_endpoint: return "token_endpoint";
    }
    return "unknown";
}

char const* to_string(call_fault f) noexcept {
    switch (f) {
    case call_fault::none: return "none";
    case call_fault::caller: return "caller";
    case call_fault::limit: return "limit";
    case call_fault::credential: return "credential";
    case call_fault::network: return "network";
    case call_fault::jira: return "jira";
    case call_fault::token_endpoint: return "token_endpoint";
    case call_fault::pool: return "pool";
    }
    return "unknown";
}

namespace {

call_fault fault_of_timeout(stage at) noexcept {
    switch (at) {
    case stage::admit: return call_fault::limit;
    case stage::token: return call_fault::token_endpoint;
    case stage::lease: return call_fault::pool;
    case stage::check: return call_fault::caller;
    case stage::write:
    case stage::first_byte:
    case stage::body:
    case stage::backoff: break;
    }
    return call_fault::jira;
}

}  // namespace

call_fault fault_of(outcome o, stage at) noexcept {
    switch (o) {
    case outcome::success:
    case outcome::redirect:
    case outcome::client_error: return call_fault::none;
    case outcome::limited: return call_fault::limit;
    case outcome::server_error: return call_fault::jira;
    case outcome::timeout: return fault_of_timeout(at);
    case outcome::credential: return call_fault::credential;
    case outcome::token_endpoint: return call_fault::token_endpoint;
    case outcome::wire: return call_fault::network;
    case outcome::cancelled:
    case outcome::refused:
    case outcome::failed: break;
    }
    return call_fault::caller;
}

char const* to_string(close_reason r) noexcept {
    switch (r) {
    case close_reason::idle_timeout: return "idle_timeout";
    case close_reason::lifetime: return "lifetime";
    case close_reason::peer_closed: return "peer_closed";
    case close_reason::keep_alive: return "keep_alive";
    case close_reason::announced: return "announced";
    case close_reason::abandoned: return "abandoned";
    case close_reason::broken: return "broken";
    case close_reason::stopped: return "stopped";
    }
    return "unknown";
}

char const* to_string(dial_purpose p) noexcept {
    switch (p) {
    case dial_purpose::waiting: return "waiting";
    case dial_purpose::replace: return "replace";
    case dial_purpose::prewarm: return "prewarm";
    }
    return "unknown";
}

char const* to_string(dial_stage s) noexcept {
    switch (s) {
    case dial_stage::resolve: return "resolve";
    case dial_stage::connect: return "connect";
    case dial_stage::tls: return "tls";
    }
    return "unknown";
}

char const* to_string(connection_change c) noexcept {
    switch (c) {
    case connection_change::added: return "added";
    case connection_change::replaced: return "replaced";
    case connection_change::removed: return "removed";
    }
    return "unknown";
}

char const* to_string(refresh_result r) noexcept {
    switch (r) {
    case refresh_result::ok: return "ok";
    case refresh_result::transient: return "transient";
    case refresh_result::permanent: return "permanent";
    }
    return "unknown";
}

char const* to_string(delivery_result r) noexcept {
    switch (r) {
    case delivery_result::handled: return "handled";
    case delivery_result::repeated: return "repeated";
    case delivery_result::refused: return "refused";
    case delivery_result::failed: return "failed";
    }
    return "unknown";
}

}  // namespace jirapool
