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

namespace {

// Jira answers with public data when it cannot make sense of the credential (MrRefactoring/jira.js#418).
bool ignored_credential(response const& r) noexcept {
    auto const reason = r.header("x-seraph-loginreason");
    return reason.find("AUTHENTICATED_FAILED") != std::string_view::npos ||
           reason.find("AUTHENTICATION_DENIED") != std::string_view::npos;
}

bool lacks_scope(response const& r) noexcept {
    if (r.header("x-failure-category").find("SCOPE_CHECK") != std::string_view::npos) return true;
    std::string_view const body = r.body();
    return body.substr(0, 512).find("scope does not match") != std::string_view::npos;
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

answer_class classify(response const& r, connection_kind kind) noexcept {
    switch (r.status()) {
    case 401: return lacks_scope(r) ? answer_class::scope_mismatch : answer_class::unauthorized;
    case 403:
    case 404: return kind == connection_kind::service_oauth ? answer_class::maybe_expired : answer_class::delivered;
    // Without `close` it speaks of the request, not of the channel: the caller's to know.
    case 408: return closes(r) ? answer_class::transient : answer_class::delivered;
    case 421:
    case 425: return answer_class::transient;
    case 429: return answer_class::limited;
    case 502:
    case 503:
    case 504: return answer_class::transient;
    default: return r.ok() && ignored_credential(r) ? answer_class::anonymous : answer_class::delivered;
    }
}

}  // namespace jirapool
