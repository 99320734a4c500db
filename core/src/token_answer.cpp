#include <jirapool/core/token_answer.hpp>

#include "loose_number.hpp"

#include <jirapool/core/json_text.hpp>

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <optional>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t max_body = 256u << 10;
constexpr std::size_t max_scopes = 4u << 10;  // 50 of them at the most, as is reported
constexpr auto unknown_lifetime = 300s;
constexpr std::chrono::seconds longest_lifetime = 24h;

// The codes of RFC 6749, section 5.2, that are about the credential or what it may, and what Atlassian answers for a wrong secret.
// invalid_request, server_error and temporarily_unavailable say nothing of it.
constexpr std::array<std::string_view, 6> permanent_errors = {"invalid_client",      "access_denied",
                                                              "unauthorized_client", "invalid_grant",
                                                              "invalid_scope",       "unsupported_grant_type"};

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// `lowered` is lower-case already.
bool is(std::string_view text, std::string_view lowered) noexcept {
    return std::equal(text.begin(), text.end(), lowered.begin(), lowered.end(),
                      [](char a, char b) { return lower(a) == b; });
}

std::string_view trimmed(std::string_view s) noexcept {
    while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
    while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
    return s;
}

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

/// A named error that is about the credential decides, not the status: an edge or a proxy before the endpoint answers 400, 401 and
/// 403 as well, in JSON of its own, and its word would fail all calls of a good credential.
token_answer read_error(int status, simdjson::dom::object const& object) {
    std::string_view code;
    bool const named = !object["error"].get(code);
    bool const credential_at_fault = named && std::any_of(permanent_errors.begin(), permanent_errors.end(),
                                                          [&](auto e) { return is(code, e); });
    auto reason = "status " + std::to_string(status) + ": " + (named ? error_code_text(code) : "unnamed error");
    return failure_of(credential_at_fault ? refresh_failure::permanent : refresh_failure::transient, std::move(reason));
}

/// As a number or a text of one. Nothing when it is none: a hint that nobody can read takes no token away.
std::optional<double> read_number(std::string_view text) noexcept {
    auto const number = read_loose_number(trimmed(text));
    if (!number) return std::nullopt;
    auto const unit = trimmed(number->rest);
    bool const in_seconds = unit.empty() || is(unit, "s") || is(unit, "sec") || is(unit, "seconds");
    return in_seconds ? std::optional(number->value) : std::nullopt;
}

/// Rounded down, as a token that is sent too late is refused; but only what is not above 0 says that it is dead.
std::chrono::seconds lifetime_of(std::optional<double> seconds) noexcept {
    if (!seconds) return unknown_lifetime;
    if (*seconds >= static_cast<double>(longest_lifetime.count())) return longest_lifetime;
    if (!(*seconds > 0)) return 0s;
    return std::max<std::chrono::seconds>(1s, std::chrono::seconds(static_cast<std::int64_t>(*seconds)));
}

std::optional<double> read_lifetime(simdjson::dom::object const& object) noexcept {
    auto const field = object["expires_in"];
    double number = 0;
    std::string_view text;
    if (!field.get(number)) return number;
    return field.get(text) ? std::nullopt : read_number(text);
}

std::string scopes_of(simdjson::dom::object const& object) {
    std::string_view text;
    if (object["scope"].get(text) || text.size() > max_scopes) return {};
    std::string all;
    while (!(text = trimmed(text)).empty()) {
        auto const one = text.substr(0, text.find(' '));
        bool const plain = std::all_of(one.begin(), one.end(),
                                       [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
        if (!plain) return {};
        all.append(all.empty() ? "" : " ").append(one);
        text.remove_prefix(one.size());
    }
    return all;
}

token_answer read_token(simdjson::dom::object const& object, std::optional<double> lifetime) {
    std::string_view token;
    if (object["access_token"].get(token) || token.empty()) return transient("no access_token in the answer");
    if (!std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
        return transient("the access_token is not fit for a header");
    std::string_view type;
    if (!object["token_type"].get(type) && !trimmed(type).empty() && !is(trimmed(type), "bearer"))
        return transient("token_type is not Bearer");
    token_answer a;
    a.lifetime = lifetime_of(lifetime);
    if (a.lifetime <= 0s) return transient("expires_in is not above 0");
    a.token = secret(token);
    a.scopes = scopes_of(object);
    return a;
}

token_answer read_object(int status, simdjson::dom::element const& doc, std::optional<double> odd_lifetime) {
    simdjson::dom::object object;
    if (doc.get(object)) return transient("status " + std::to_string(status) + " without a JSON object");
    std::string_view token;
    // Some endpoints say 200 to everything.
    bool const good = status / 100 == 2 && (!object["access_token"].get(token) || object["error"].error());
    if (!good) return read_error(status, object);
    return read_token(object, odd_lifetime ? odd_lifetime : read_lifetime(object));
}

/// simdjson refuses a whole document for a number that no double or 64 bits hold, or that is none of JSON's (1e400, 007). That of
/// expires_in is read here, and blanked so that the rest can be. @return nothing when there is none.
std::optional<double> take_odd_lifetime(char* text, std::size_t size) noexcept {
    constexpr std::string_view key = "\"expires_in\"";
    std::string_view const all(text, size);
    auto at = all.find(key);
    if (at == all.npos) return std::nullopt;
    at = all.find_first_not_of(" \t\r\n", at + key.size());
    if (at == all.npos || all[at] != ':') return std::nullopt;
    at = all.find_first_not_of(" \t\r\n", at + 1);
    if (at == all.npos) return std::nullopt;
    auto const end = std::min(all.find_first_not_of("+-.0123456789eE", at), size);
    auto const number = all.substr(at, end - at);
    if (number.empty()) return std::nullopt;
    auto const value = read_number(number);
    std::memset(text + at, ' ', number.size());
    text[at] = '0';
    return value.value_or(static_cast<double>(unknown_lifetime.count()));
}

/// A body that is read, and what the parser made of it: wiped at the end, also when memory runs out in the middle.
struct wiped_json {
    explicit wiped_json(std::string_view json) : text(json) {
        // Without memory simdjson's text is an empty one.
        if (text.size() < json.size()) throw std::bad_alloc();
    }
    wiped_json(wiped_json const&) = delete;
    wiped_json& operator=(wiped_json const&) = delete;
    ~wiped_json() {
        if (text.size() > 0) wipe(text.data(), text.size());
        if (parser.doc.string_buf) wipe(parser.doc.string_buf.get(), text.size());
    }

    /// Behind a lack of memory a parser is half made, and a second parse would write to what it lacks.
    simdjson::error_code parse() {
        auto const error = parser.parse(text).get(doc);
        if (error == simdjson::MEMALLOC) throw std::bad_alloc();
        return error;
    }

    simdjson::padded_string text;
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
};

}  // namespace

token_answer read_token_answer(int status, std::string_view body) {
    if (body.size() > max_body) return transient("the answer is too large");
    if (status >= 500 || status == 429) return transient("status " + std::to_string(status));

    wiped_json json(json_text(body));
    std::optional<double> odd_lifetime;
    auto error = json.parse();
    if (error) {
        odd_lifetime = take_odd_lifetime(json.text.data(), json.text.size());
        if (odd_lifetime) error = json.parse();
    }
    return error ? transient("status " + std::to_string(status) + " without JSON")
                 : read_object(status, json.doc, odd_lifetime);
}

}  // namespace jirapool
