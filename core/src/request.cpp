#include <jirapool/core/request.hpp>

#include <jirapool/core/trace_context.hpp>

#include "utf8.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jirapool {

namespace {

using namespace std::string_view_literals;

// The edge refuses URLs over 8,192 bytes (CloudFront's quota); the rest is for scheme, host and gateway base path.
constexpr std::size_t max_target_size = 8'000;

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_alphanumeric(char c) noexcept {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}
constexpr bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

constexpr int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (lower(c) >= 'a' && lower(c) <= 'f') return lower(c) - 'a' + 10;
    return -1;
}

// The byte that the escape at `i` stands for, or -1 when there is no well-formed escape.
constexpr int escaped_byte(std::string_view text, std::size_t i) noexcept {
    if (text[i] != '%' || text.size() - i < 3) return -1;
    int const high = hex_value(text[i + 1]);
    int const low = hex_value(text[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

class decoded_path {
public:
    explicit decoded_path(std::string_view path) noexcept : size_(path.size()) {
        std::copy(path.begin(), path.end(), bytes_.begin());
    }

    // Leaves a malformed escape as it is: the second pass meets a lone % wherever the first one read %25.
    void decode() noexcept {
        auto const text = view();
        std::size_t out = 0;
        for (std::size_t in = 0; in < text.size(); ++out) {
            int const byte = escaped_byte(text, in);
            bytes_[out] = byte < 0 ? text[in] : static_cast<char>(byte);
            in += byte < 0 ? 1 : 3;
        }
        size_ = out;
    }

    std::string_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    std::array<char, max_target_size> bytes_;  // on the stack: the check is noexcept and never allocates
    std::size_t size_;
};

constexpr bool is_dot_segment(std::string_view segment) noexcept {
    // Servlet containers drop `;parameters` before they resolve dots.
    auto const name = segment.substr(0, segment.find(';'));
    return name == "."sv || name == ".."sv;
}

constexpr bool has_dot_segment(std::string_view path) noexcept {
    while (true) {
        auto const end = std::find_if(path.begin(), path.end(), [](char c) { return c == '/' || c == '\\'; });
        if (is_dot_segment({path.begin(), end})) return true;
        if (end == path.end()) return false;
        path = {end + 1, path.end()};
    }
}

constexpr bool has_malformed_escape(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && escaped_byte(text, i) < 0) return true;
    }
    return false;
}

constexpr char const* why_invalid_escapes(std::string_view path) noexcept {
    for (std::size_t i = 0; i < path.size(); ++i) {
        int const byte = escaped_byte(path, i);
        if (byte < 0) continue;
        if (byte == '/' || byte == '\\') return "target must have no encoded slash or backslash in its path";
        if (is_control(static_cast<char>(byte))) return "target must have no encoded control character in its path";
    }
    return nullptr;
}

/// `may_have_dots`: one is in it, or an escape that may be one.
char const* why_invalid_path(std::string_view path, bool may_have_dots) noexcept {
    constexpr auto dots = "target must have no . or .. segment in any encoding";
    auto const both_slashes = [](char a, char b) { return a == '/' && b == '/'; };
    if (std::adjacent_find(path.begin(), path.end(), both_slashes) != path.end())
        return "target must have no empty segment (//)";
    if (!may_have_dots) return nullptr;
    bool const escaped = path.find('%') != std::string_view::npos;
    if (escaped)
        if (char const* rule = why_invalid_escapes(path)) return rule;
    if (has_dot_segment(path)) return dots;
    if (!escaped) return nullptr;

    // Twice: a proxy on the way may decode once before the server does.
    decoded_path decoded(path);
    for (int pass = 0; pass < 2; ++pass) {
        decoded.decode();
        if (has_dot_segment(decoded.view())) return dots;
        // Lenient decoders read the overlong %c0%ae as a dot and %c0%af as a slash.
        if (first_invalid_utf8(decoded.view()) != std::string_view::npos)
            return "target must have only UTF-8 behind the percent signs of its path, and no overlong form of it";
    }
    return nullptr;
}

// What a byte of a target may break: each call's is looked at once, byte by byte.
enum target_byte : std::uint8_t {
    not_printable = 1,
    not_of_uris = 2,  // RFC 3986 has no place for it
    ends_path = 4,    // # and backslash
    escape = 8,
    dot = 16,
};
constexpr auto target_bytes = [] {
    std::array<std::uint8_t, 256> all{};
    for (std::size_t c = 0; c < all.size(); ++c)
        if (c <= 0x20 || c >= 0x7f) all[c] = not_printable;
    for (char const c : "\"<>[]^`{|}"sv) all[static_cast<unsigned char>(c)] = not_of_uris;
    for (char const c : "#\\"sv) all[static_cast<unsigned char>(c)] = ends_path;
    all['%'] = escape;
    all['.'] = dot;
    return all;
}();

char const* why_invalid_target(std::string_view target) noexcept {
    if (!target.starts_with('/')) return "target must be a path that begins with /";
    if (target.size() > max_target_size) return "target must be at most 8,000 bytes: the edge refuses longer URLs";
    unsigned met = 0;
    for (char const c : target) met |= target_bytes[static_cast<unsigned char>(c)];
    if (met & not_printable)
        return "target must be percent-encoded: no white space, control character or non-ASCII byte";
    // Refused, as white space is, and not encoded here: only the caller knows whether the rest of his text was encoded, and servers
    // do not agree on what these are (Tomcat answers 400, others decode what they see).
    if (met & not_of_uris) return "target must be percent-encoded: RFC 3986 allows no \" < > [ ] ^ ` { | } in it";
    if (met & ends_path) return "target must contain no # or backslash";
    bool const escaped = (met & escape) != 0;
    if (escaped && has_malformed_escape(target)) return "target must have two hexadecimal digits behind each %";
    return why_invalid_path(target.substr(0, target.find('?')), escaped || (met & dot) != 0);
}

// RFC 9110, section 5.6.2.
constexpr bool is_token_char(char c) noexcept {
    return is_alphanumeric(c) || "!#$%&'*+-.^_`|~"sv.find(c) != std::string_view::npos;
}

constexpr bool same_name(std::string_view lower_case, std::string_view name) noexcept {
    return std::equal(lower_case.begin(), lower_case.end(), name.begin(), name.end(),
                      // CGI and its heirs read an underscore as a hyphen.
                      [](char a, char b) { return a == lower(b) || (a == '-' && b == '_'); });
}

// Framing, routing and the credential belong to the library; Cookie, Origin and Referer make Jira's edge ask for XSRF
// tokens; User-Agent is one for the whole client. An override would make of the method that was checked, limited and perhaps
// repeated another one.
constexpr std::array own_headers = {
    "authorization"sv,
    "connection"sv,
    "content-length"sv,
    "cookie"sv,
    "expect"sv,
    "host"sv,
    "keep-alive"sv,
    "origin"sv,
    "proxy-connection"sv,
    "referer"sv,
    "te"sv,
    "trailer"sv,
    "upgrade"sv,
    "proxy-authorization"sv,
    "transfer-encoding"sv,
    "user-agent"sv,
    "x-http-method"sv,
    "x-http-method-override"sv,
    "x-method-override"sv,
};

char const* why_invalid_name(std::string_view name) noexcept {
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_char)) {
        return "header's name must be a token: letters, digits and !#$%&'*+-.^_`|~";
    }
    if (std::any_of(own_headers.begin(), own_headers.end(), [&](auto own) { return same_name(own, name); })) {
        return "header must not be one that the library sets or forbids itself";
    }
    return nullptr;
}

char const* why_invalid_value(std::string_view value) noexcept {
    auto const blank = [](char c) { return c == ' ' || c == '\t'; };
    if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; })) {
        return "header's value must have no line break or other control character";
    }
    // RFC 9113, section 8.2.1: HTTP/2 treats such a request as malformed.
    if (!value.empty() && (blank(value.front()) || blank(value.back()))) {
        return "header's value must not begin or end with white space";
    }
    return nullptr;
}

constexpr auto traceparent = "traceparent"sv;
constexpr auto tracestate = "tracestate"sv;

/// Called only where one of the two is there: hardly any call is traced.
char const* why_invalid_trace(request const& r) noexcept {
    std::size_t parents = 0;
    std::size_t states = 0;
    for (auto const& [name, value] : r.headers()) {
        bool const parent = same_name(traceparent, name);
        bool const state = same_name(tracestate, name);
        parents += parent ? 1 : 0;
        states += state ? 1 : 0;
        char const* const rule = parent  ? why_invalid_traceparent(value)
                                 : state ? why_invalid_tracestate(value)
                                         : nullptr;
        if (rule != nullptr) return rule;
    }
    if (parents > 1) return "header traceparent must be given once";
    if (states > 1) return "header tracestate must be given once";
    if (parents == 0) return "header tracestate must not be given without traceparent";
    return nullptr;
}

char const* why_invalid_headers(request const& r) noexcept {
    bool traced = false;
    for (auto const& [name, value] : r.headers()) {
        if (char const* rule = why_invalid_name(name)) return rule;
        if (char const* rule = why_invalid_value(value)) return rule;
        if (!r.content_type().empty() && same_name("content-type"sv, name)) {
            return "header Content-Type must not be given twice: the body has one";
        }
        traced = traced || same_name(traceparent, name) || same_name(tracestate, name);
    }
    if (traced)
        if (char const* rule = why_invalid_trace(r)) return rule;
    return why_invalid_value(r.content_type());
}

bool allows_body(method m) noexcept { return m != method::get && m != method::head; }

}  // namespace

char const* to_string(priority p) noexcept {
    switch (p) {
    case priority::interactive: return "interactive";
    case priority::background: return "background";
    }
    return "unknown";
}

std::string_view to_string(method m) noexcept {
    switch (m) {
    case method::get: return "GET";
    case method::head: return "HEAD";
    case method::post: return "POST";
    case method::put: return "PUT";
    case method::patch: return "PATCH";
    case method::delete_: return "DELETE";
    }
    return "unknown";
}

void request::set_header(std::string_view lower_case, std::string value) {
    std::erase_if(headers_, [&](auto const& h) { return same_name(lower_case, h.first); });
    if (!value.empty()) headers_.emplace_back(lower_case, std::move(value));
}

char const* why_invalid(request const& r, errc& code) noexcept {
    if (static_cast<std::size_t>(r.method()) >= method_count) {
        code = errc::invalid_argument;
        return "request::method must be one of its enumerators";
    }
    if (char const* rule = why_invalid_target(r.target())) {
        code = errc::invalid_target;
        return rule;
    }
    if (char const* rule = why_invalid_headers(r)) {
        code = errc::invalid_header;
        return rule;
    }
    if (!r.body().empty() && !allows_body(r.method())) {
        code = errc::body_not_allowed;
        return "body must be empty for GET and HEAD: Jira's edge refuses it";
    }
    return nullptr;
}

}  // namespace jirapool
