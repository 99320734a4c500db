#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/secret.hpp>
#include <jirapool/core/token_fsm.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace jirapool {

/// What the token endpoint said (RFC 6749 sections 4.4.3 and 5.2; core/doc/jira-cloud.md, 2.3).
class token_answer {
public:
    bool ok() const noexcept { return !token.empty(); }

    secret token;
    std::chrono::seconds lifetime{0};
    /// What the token may, with one space between two ("read:jira-work read:jira-user"): of the answer's `scope`. Empty when it says
    /// none, or what is no scope (RFC 6749, 3.3) or longer than 4 KiB.
    std::string scopes;
    refresh_failure failed = refresh_failure::transient;  ///< when not ok()
    std::string reason;  ///< when not ok(): the endpoint's `error` code or our rule. Never a part of the body.
};

/** Reads a token endpoint's answer.

    A 2xx must be a JSON object with a non-empty `access_token` fit for a header. `expires_in` is a hint, a number or a text of one;
    absent or unreadable, a token is taken to live 5 minutes, far less than any seen. Lifetimes of 0 and less, a token type that is
    named and not Bearer, empty bodies and HTML are transient failures. An `error` code that is about the credential is permanent,
    whatever status came with it but 429 and 5xx; everything else is worth another try: a 400, 401 or 403 without one is the word of
    somebody before the endpoint.

    Wipes its own copies of the body, also when it throws bad_alloc; the caller wipes `body`. */
token_answer read_token_answer(int status, std::string_view body);

}  // namespace jirapool
