#pragma once

#include <jirapool/core/secret.hpp>
#include <jirapool/core/token_fsm.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace jirapool {

/// What the token endpoint said (RFC 6749 sections 4.4.3 and 5.2; jira-cloud.md 2.3).
class token_answer {
public:
    bool ok() const noexcept { return !token.empty(); }

    secret token;
    std::chrono::seconds lifetime{0};
    refresh_failure failed = refresh_failure::transient;  ///< when not ok()
    std::string reason;  ///< when not ok(): the endpoint's `error` code or our rule. Never a part of the body.
};

/** Reads a token endpoint's answer.

    A 200 must be a JSON object with a non-empty `access_token` fit for a header. `expires_in` may be a number or a string of
    digits; absent, a token is taken to live 5 minutes, far less than any seen. A token type other than Bearer, zero or
    negative lifetimes, empty bodies and HTML are transient failures. `error` codes that name a bad credential, or 400, 401
    and 403 with a JSON body, are permanent; everything else is worth another try.

    Wipes its own copies of the body; the caller wipes `body`. */
token_answer read_token_answer(int status, std::string_view body);

}  // namespace jirapool
