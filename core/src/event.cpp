#include <jirapool/core/event.hpp>

#include <algorithm>

namespace jirapool {

char const* to_string(event::kind k) noexcept {
    switch (k) {
    case event::kind::token_refresh_failed: return "token_refresh_failed";
    case event::kind::credential_refused: return "credential_refused";
    case event::kind::credential_anonymous: return "credential_anonymous";
    case event::kind::limit_pause: return "limit_pause";
    case event::kind::origin_down: return "origin_down";
    case event::kind::site_unresolved: return "site_unresolved";
    case event::kind::handler_threw: return "handler_threw";
    case event::kind::scope_missing: return "scope_missing";
    case event::kind::misconfigured: return "misconfigured";
    case event::kind::site_gone: return "site_gone";
    case event::kind::limited_for_long: return "limited_for_long";
    case event::kind::credential_expiring: return "credential_expiring";
    case event::kind::credential_expired: return "credential_expired";
    case event::kind::healed: return "healed";
    case event::kind::origin_up: return "origin_up";
    case event::kind::token_refresh_recovered: return "token_refresh_recovered";
    case event::kind::token_endpoint_down: return "token_endpoint_down";
    case event::kind::token_endpoint_up: return "token_endpoint_up";
    case event::kind::webhook_drifted: return "webhook_drifted";
    case event::kind::http1_instead: return "http1_instead";
    }
    return "unknown";
}

event::severity severity_of(event::kind k) noexcept {
    switch (k) {
    case event::kind::credential_refused:
    case event::kind::credential_anonymous:
    case event::kind::credential_expired:
    case event::kind::scope_missing:
    case event::kind::misconfigured:
    case event::kind::site_gone: return event::severity::critical;
    case event::kind::limit_pause:
    case event::kind::origin_up:
    case event::kind::token_refresh_recovered:
    case event::kind::token_endpoint_up:
    case event::kind::healed: return event::severity::info;
    case event::kind::token_refresh_failed:
    case event::kind::origin_down:
    case event::kind::token_endpoint_down:
    case event::kind::webhook_drifted:
    case event::kind::http1_instead:
    case event::kind::site_unresolved:
    case event::kind::handler_threw:
    case event::kind::limited_for_long:
    case event::kind::credential_expiring: break;
    }
    return event::severity::warning;
}

char const* to_string(event::severity s) noexcept {
    switch (s) {
    case event::severity::info: return "info";
    case event::severity::warning: return "warning";
    case event::severity::critical: return "critical";
    }
    return "unknown";
}

std::string event::code_name() const {
    if (!code) return {};
    if (code.category() == jirapool_category()) return to_string(static_cast<errc>(code.value()));
    return code.message();
}

std::string event::describe() const {
    std::string line;
    line.reserve(64 + connection.size() + scope.size() + detail.size());
    line.append(to_string(severity_of(what))).append(" ").append(to_string(what));
    for (auto const* const about : {&connection, &scope})
        if (!about->empty()) line.append(" ").append(*about);
    if (!detail.empty()) line.append(": ").append(detail);
    // A detail that describes a failure ends with its code.
    if (code)
        if (auto const name = " [" + code_name() + "]"; !line.ends_with(name)) line.append(name);
    std::replace_if(
        line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    // Unicode has more that ends lines or moves a cursor: U+0080 to U+009F, and the separators of lines and paragraphs.
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
        auto const next = static_cast<unsigned char>(line[i + 1]);
        bool const c1 = line[i] == '\xc2' && next >= 0x80 && next <= 0x9f;
        bool const separator = line.compare(i, 3, "\xe2\x80\xa8") == 0 || line.compare(i, 3, "\xe2\x80\xa9") == 0;
        if (c1) line.replace(i, 2, " ");
        if (separator) line.replace(i, 3, " ");
    }
    return line;
}

}  // namespace jirapool
