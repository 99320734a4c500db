#include <jirapool/core/token_answer.hpp>

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t max_body = 256u << 10;
constexpr auto unknown_lifetime = 300s;

// RFC 6749 section 5.2, and what Atlassian answers for a wrong secret.
constexpr std::array<std::string_view, 6> permanent_errors = {"invalid_client",      "access_denied",
                                                              "unauthorized_client", "invalid_grant",
                                                              "invalid_scope",       "unsupported_grant_type"};

token_answer failure_of(refresh_failure f, std::string reason) {
    token_answer a;
    a.failed = f;
    a.reason = std::move(reason);
    return a;
}

token_answer transient(std::string reason) { return failure_of(refresh_failure::transient, std::move(reason)); }

// Only codes of RFC 6749's own alphabet reach a log: the body is somebody else's text.
std::string error_code_text(std::string_view code) {
    bool const plain = !code.empty() && code.size() <= 40 && std::all_of(code.begin(), code.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    return plain ? std::string(code) : "unnamed error";
}

token_answer read_error(int status, simdjson::dom::element const& doc) {
    auto const by_status = "status " + std::to_string(status);
    simdjson::dom::object object;
    if (doc.get(object)) return transient(by_status + " without a JSON object");
    std::string_view code;
    bool const named = !object["error"].get(code);
    bool const credential_at_fault = (named && std::find(permanent_errors.begin(), permanent_errors.end(), code) !=
                                                   permanent_errors.end()) ||
                                     status == 400 || status == 401 || status == 403;
    auto reason = by_status + ": " + (named ? error_code_text(code) : "unnamed error");
    return failure_of(credential_at_fault ? refresh_failure::permanent : refresh_failure::transient, std::move(reason));
}

bool is_bearer(std::string_view type) noexcept {
    constexpr std::string_view bearer = "bearer";
    return type.size() == bearer.size() && std::equal(type.begin(), type.end(), bearer.begin(), [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
           });
}

// nullopt: there, but no whole number above 0.
std::optional<std::chrono::seconds> read_lifetime(simdjson::dom::object const& object) {
    auto const field = object["expires_in"];
    if (field.error() == simdjson::NO_SUCH_FIELD) return unknown_lifetime;
    std::int64_t n = 0;
    double d = 0;
    std::string_view text;
    if (field.get(n)) {
        if (!field.get(d)) {
            n = d >= 1 && d < 1e9 ? static_cast<std::int64_t>(d) : 0;
        } else if (!field.get(text) && !text.empty() && text.size() <= 9 &&
                   std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
            n = std::stoll(std::string(text));
        }
    }
    if (n <= 0) return std::nullopt;
    return std::chrono::seconds(std::min<std::int64_t>(n, 86'400));
}

token_answer read_token(simdjson::dom::element const& doc) {
    simdjson::dom::object object;
    if (doc.get(object)) return transient("the answer is not a JSON object");
    std::string_view token;
    if (object["access_token"].get(token) || token.empty()) return transient("no access_token in the answer");
    if (!std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
        return transient("the access_token is not fit for a header");
    std::string_view type;
    if (!object["token_type"].get(type) && !is_bearer(type)) return transient("token_type is not Bearer");
    auto const lifetime = read_lifetime(object);
    if (!lifetime) return transient("expires_in is not a positive number");
    token_answer a;
    a.token = secret(token);
    a.lifetime = *lifetime;
    return a;
}

}  // namespace

token_answer read_token_answer(int status, std::string_view body) {
    if (body.size() > max_body) return transient("the answer is too large");
    if (status >= 500 || status == 429) return transient("status " + std::to_string(status));

    simdjson::padded_string text(body);
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    auto const error = parser.parse(text).get(doc);
    token_answer result;
    if (error) {
        result = transient("status " + std::to_string(status) + " without JSON");
    } else {
        result = status == 200 ? read_token(doc) : read_error(status, doc);
    }
    wipe(text.data(), text.size());
    if (parser.doc.string_buf) wipe(parser.doc.string_buf.get(), body.size());
    return result;
}

}  // namespace jirapool
