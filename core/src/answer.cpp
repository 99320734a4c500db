#include <jirapool/core/answer.hpp>

#include <algorithm>

namespace jirapool {

char const* to_string(answer_class a) noexcept {
    switch (a) {
    case answer_class::delivered: return "delivered";
    case answer_class::anonymous: return "anonymous";
    case answer_class::unauthorized: return "unauthorized";
    case answer_class::maybe_expired: return "maybe_expired";
    case answer_class::scope_mismatch: return "scope_mismatch";
    case answer_class::limited: return "limited";
    case answer_class::transient: return "transient";
    }
    return "unknown";
}

char const* to_string(answer_sign s) noexcept {
    switch (s) {
    case answer_sign::none: return "none";
    case answer_sign::works: return "works";
    case answer_sign::ignored_credential: return "ignored_credential";
    case answer_sign::refused_credential: return "refused_credential";
    case answer_sign::wrong_host: return "wrong_host";
    case answer_sign::lacks_scope: return "lacks_scope";
    case answer_sign::not_installed: return "not_installed";
    case answer_sign::unknown_site: return "unknown_site";
    case answer_sign::edge_refused: return "edge_refused";
    case answer_sign::endpoint_removed: return "endpoint_removed";
    case answer_sign::xsrf_refused: return "xsrf_refused";
    }
    return "unknown";
}

namespace {

// Jira answers with public data when it cannot make sense of the credential (MrRefactoring/jira.js#418).
bool ignored_credential(response const& r) noexcept {
    auto const reason = r.header("x-seraph-loginreason");
    return reason.find("AUTHENTICATED_FAILED") != std::string_view::npos ||
           reason.find("AUTHENTICATION_DENIED") != std::string_view::npos;
}

/// In the part of the body where messages stand; HTML pages have their title there.
bool mentions(response const& r, std::string_view text) noexcept {
    return std::string_view(r.body()).substr(0, 1024).find(text) != std::string_view::npos;
}

bool has_category(response const& r, std::string_view category) noexcept {
    return r.header("x-failure-category").find(category) != std::string_view::npos;
}

bool lacks_scope(response const& r) noexcept {
    return has_category(r, "SCOPE_CHECK") || mentions(r, "scope does not match");
}

/// HTML: the edge answered, not Jira (core/doc/jira-cloud.md, 4). Whatever the Content-Type says.
bool is_html(response const& r) noexcept {
    std::string_view const body = r.body();
    auto const first = body.find_first_not_of("\xef\xbb\xbf \t\r\n");
    return first != body.npos && body[first] == '<';
}

answer_sign sign_of_401(response const& r) noexcept {
    if (lacks_scope(r)) return answer_sign::lacks_scope;
    // A token with scopes looks like one without, and its owner like a customer whose password is wrong.
    if (has_category(r, "AUTH_MISMATCH")) return answer_sign::wrong_host;
    return answer_sign::refused_credential;
}

answer_sign sign_of_403(response const& r) noexcept {
    if (mentions(r, "app is not installed on this instance")) return answer_sign::not_installed;
    if (mentions(r, "XSRF check failed")) return answer_sign::xsrf_refused;
    return is_html(r) ? answer_sign::edge_refused : answer_sign::none;
}

/// Jira's own 404 has `errorMessages`. What the gateway says of an unknown cloud ID is not known but for its status.
answer_sign sign_of_404(response const& r, connection_kind kind) noexcept {
    if (r.body().empty()) return answer_sign::none;
    if (kind == connection_kind::personal_api_token)
        return is_html(r) && mentions(r, "Page Unavailable") ? answer_sign::unknown_site : answer_sign::none;
    return mentions(r, "errorMessages") ? answer_sign::none : answer_sign::unknown_site;
}

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

/// Whether one of its `Connection` headers says `close`.
bool closes(response const& r) noexcept {
    constexpr std::string_view name = "connection";
    constexpr std::string_view word = "close";
    auto const same = [](std::string_view a, std::string_view lowered) {
        return std::equal(a.begin(), a.end(), lowered.begin(), lowered.end(),
                          [](char c, char l) { return lower(c) == l; });
    };
    for (std::size_t i = 0; i < r.header_count(); ++i) {
        if (!same(r.header_name(i), name)) continue;
        for (auto rest = r.header_value(i); !rest.empty();) {
            auto part = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(part.size() + 1, rest.size()));
            part.remove_prefix(std::min(part.find_first_not_of(" \t"), part.size()));
            if (same(part.substr(0, part.find_last_not_of(" \t") + 1), word)) return true;
        }
    }
    return false;
}

}  // namespace

// okhttp repeats 408 once, whatever the method, Chromium on channels that served before; of 421 and 425 RFC 9110, section 15.5.20,
// and RFC 8470, section 5.2, say that any request may be sent again, 421's on another channel.
bool not_processed(response const& r, bool reused_channel) noexcept {
    switch (r.status()) {
    // The server gave up waiting for a request on a channel that was idle, and ours crossed its word on the wire. On a new channel,
    // or without `close`, it may be an application that waited in vain for something behind it.
    case 408: return reused_channel && closes(r);
    case 421:
    case 425: return true;
    default: return false;
    }
}

bool has_what_was_asked(response const& head) noexcept { return head.ok() && !ignored_credential(head); }

answer_verdict judge(response const& r, connection_kind kind) noexcept {
    auto const status = r.status();
    switch (status) {
    case 401: {
        auto const says = sign_of_401(r);
        return {says == answer_sign::lacks_scope ? answer_class::scope_mismatch : answer_class::unauthorized, says};
    }
    // Without `close` it speaks of the request, not of the channel: the caller's to know.
    case 408: return {closes(r) ? answer_class::transient : answer_class::delivered, answer_sign::none};
    case 421:
    case 425: return {answer_class::transient, answer_sign::none};
    // Over a limit Jira may take anybody for anonymous: it says nothing of the credential.
    case 429: return {answer_class::limited, answer_sign::none};
    case 502:
    case 503:
    case 504: return {answer_class::transient, answer_sign::none};
    default: break;
    }
    if (!r.ok() && (status < 400 || status >= 500)) return {};
    // Neither is an issue absent that anonymous callers do not get to see.
    if (ignored_credential(r)) return {answer_class::anonymous, answer_sign::ignored_credential};
    if (r.ok()) return {answer_class::delivered, answer_sign::works};
    auto const maybe_expired = kind == connection_kind::service_oauth ? answer_class::maybe_expired
                                                                      : answer_class::delivered;
    switch (status) {
    case 403: return {maybe_expired, sign_of_403(r)};
    case 404: return {maybe_expired, sign_of_404(r, kind)};
    case 410: return {answer_class::delivered, answer_sign::endpoint_removed};
    case 400:
    case 405: return {answer_class::delivered, is_html(r) ? answer_sign::edge_refused : answer_sign::none};
    default: return {};
    }
}

}  // namespace jirapool
