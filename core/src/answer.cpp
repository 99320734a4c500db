#include <jirapool/core/answer.hpp>

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

}  // namespace

answer_class classify(response const& r, connection_kind kind) noexcept {
    switch (r.status()) {
    case 401: return lacks_scope(r) ? answer_class::scope_mismatch : answer_class::unauthorized;
    case 403:
    case 404: return kind == connection_kind::service_oauth ? answer_class::maybe_expired : answer_class::delivered;
    case 429: return answer_class::limited;
    case 502:
    case 503:
    case 504: return answer_class::transient;
    default: return r.ok() && ignored_credential(r) ? answer_class::anonymous : answer_class::delivered;
    }
}

}  // namespace jirapool
