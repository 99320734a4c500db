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
    if (ec == errc::queue_full || ec == errc::stopped || ec == errc::connection_removed ||
        ec == errc::credential_refused || ec == advice::fix_request)
        return outcome::refused;
    return outcome::failed;
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

char const* to_string(refresh_result r) noexcept {
    switch (r) {
    case refresh_result::ok: return "ok";
    case refresh_result::transient: return "transient";
    case refresh_result::permanent: return "permanent";
    }
    return "unknown";
}

}  // namespace jirapool
