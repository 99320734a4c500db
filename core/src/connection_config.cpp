#include <jirapool/core/connection_config.hpp>

#include <simdjson.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t max_id_size = 128;
constexpr std::size_t max_email_size = 320;  // RFC 5321: 64 before the @, 255 behind it
constexpr std::size_t max_key_size = 8 * 1024;
constexpr auto max_timeout = std::chrono::milliseconds(10min);
constexpr unsigned max_weight = 100;

constexpr bool is_alphanumeric(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr bool is_id_char(char c) noexcept {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == ':' || c == '-';
}

constexpr bool is_visible_ascii(char c) noexcept { return c > 0x20 && c < 0x7f; }

// ASCII's, and those of Unicode that come along when an address is copied from a page: U+0080 to U+00A0 (controls,
// no-break space), U+2000 to U+200F and U+2028 to U+202F (spaces, zero-width and direction marks), U+3000, U+FEFF.
bool has_blank_or_control(std::string_view utf8) noexcept {
    for (std::size_t i = 0; i < utf8.size(); ++i) {
        auto const byte = [&](std::size_t k) {
            return i + k < utf8.size() ? static_cast<unsigned char>(utf8[i + k]) : 0u;
        };
        auto const three = byte(0) << 16 | byte(1) << 8 | byte(2);
        if (byte(0) <= 0x20 || byte(0) == 0x7f) return true;
        if (byte(0) == 0xc2 && byte(1) <= 0xa0) return true;
        if (three >= 0xe28080 && three <= 0xe2808f) return true;
        if (three >= 0xe280a8 && three <= 0xe280af) return true;
        if (three == 0xe38080 || three == 0xefbbbf) return true;
    }
    return false;
}

char const* why_invalid_email(std::string_view email) noexcept {
    if (email.size() > max_email_size) return "must be at most 320 bytes";
    if (!simdjson::validate_utf8(email.data(), email.size())) return "must be UTF-8";
    if (has_blank_or_control(email)) return "must contain no white space or control character";
    if (email.find(':') != email.npos) return "must contain no colon: it ends the user of a Basic credential";
    auto const at = email.find('@');
    if (at == email.npos || at == 0 || at + 1 == email.size() || email.find('@', at + 1) != email.npos) {
        return "must be an e-mail address: one @ with something on both sides";
    }
    return nullptr;
}

char const* why_invalid_key(std::string_view key) noexcept {
    if (key.size() > max_key_size) return "must be at most 8 KiB";
    if (!std::all_of(key.begin(), key.end(), is_visible_ascii)) {
        return "must be printable ASCII without white space: look for a space or line break at its ends";
    }
    return nullptr;
}

failure invalid(char const* field, char const* rule) { return failure(errc::invalid_field, rule).with_field(field); }

using rule_check = char const* (*)(std::string_view) noexcept;

result<void> check_text(char const* field, std::string_view text, rule_check why_invalid) {
    if (text.empty()) return failure(errc::empty_field, "must not be empty").with_field(field);
    if (char const* rule = why_invalid(text)) return invalid(field, rule);
    return {};
}

result<void> check_options(connection_options const& o) {
    if (o.timeout < 1ms || o.timeout > max_timeout) {
        return invalid("options.timeout_ms", "must be a whole number from 1 to 600000");
    }
    if (o.weight < 1 || o.weight > max_weight) return invalid("options.weight", "must be a whole number from 1 to 100");
    constexpr auto last = std::numeric_limits<std::uint32_t>::max();
    if (o.expires_at &&
        (o.expires_at->time_since_epoch().count() <= 0 || o.expires_at->time_since_epoch().count() > last))
        return invalid("options.expires_at", "must be a time from 1970 to 2106");
    return {};
}

// What the three kinds come down to.
struct destination {
    connection_kind kind;
    std::string host;
    std::string base_path;
    std::optional<cloud_id> cloud;
    std::string principal;
    secret key;
};

destination through_gateway(connection_kind kind, cloud_id cloud, std::string principal, secret key) {
    auto base_path = "/ex/jira/" + cloud.str();
    return {kind,          std::string(gateway_host), std::move(base_path), std::move(cloud), std::move(principal),
            std::move(key)};
}

result<destination> check(personal_api_token c) {
    auto host = site_host::parse_url(c.site_url);
    if (!host) return std::move(host).error();
    if (auto ok = check_text("email", c.email, why_invalid_email); !ok) return std::move(ok).error();
    if (auto ok = check_text("apiKey", c.api_key.reveal(), why_invalid_key); !ok) return std::move(ok).error();
    return destination{
        connection_kind::personal_api_token, host->str(), {}, {}, std::move(c.email), std::move(c.api_key)};
}

result<destination> check(service_api_token c) {
    auto cloud = cloud_id::parse(c.cloud_id);
    if (!cloud) return std::move(cloud).error();
    if (auto ok = check_text("apiKey", c.api_key.reveal(), why_invalid_key); !ok) return std::move(ok).error();
    return through_gateway(connection_kind::service_api_token, *std::move(cloud), {}, std::move(c.api_key));
}

result<destination> check(service_oauth c) {
    auto cloud = cloud_id::parse(c.cloud_id);
    if (!cloud) return std::move(cloud).error();
    if (auto ok = check_text("client_id", c.client_id, why_invalid_key); !ok) return std::move(ok).error();
    if (auto ok = check_text("clientSecret", c.client_secret.reveal(), why_invalid_key); !ok) {
        return std::move(ok).error();
    }
    return through_gateway(connection_kind::service_oauth, *std::move(cloud), std::move(c.client_id),
                           std::move(c.client_secret));
}

}  // namespace

char const* to_string(connection_kind k) noexcept {
    switch (k) {
    case connection_kind::personal_api_token: return "personal_api_token";
    case connection_kind::service_api_token: return "service_api_token";
    case connection_kind::service_oauth: return "service_oauth";
    }
    return "unknown";
}

char const* why_invalid_connection_id(std::string_view id) noexcept {
    if (id.empty()) return "must not be empty";
    if (id.size() > max_id_size) return "must be at most 128 characters";
    if (!std::all_of(id.begin(), id.end(), is_id_char)) return "must have only letters, digits and . _ : -";
    return nullptr;
}

result<connection_config> make_connection_config(std::string id, credential c, connection_options o) {
    if (char const* rule = why_invalid_connection_id(id)) {
        return failure(id.empty() ? errc::empty_field : errc::invalid_field, rule).with_field("id");
    }
    auto const of_this = [&](failure f) { return std::move(f).with_connection(id); };

    auto to = std::visit([](auto& kind) { return check(std::move(kind)); }, c);
    if (!to) return of_this(std::move(to).error());
    if (auto ok = check_options(o); !ok) return of_this(std::move(ok).error());

    connection_config config;
    config.id_ = std::move(id);
    config.kind_ = to->kind;
    config.host_ = std::move(to->host);
    config.base_path_ = std::move(to->base_path);
    config.cloud_ = std::move(to->cloud);
    config.principal_ = std::move(to->principal);
    config.key_ = std::move(to->key);
    config.options_ = o;
    return config;
}

connection_config connection_config::clone() const {
    connection_config c;
    c.id_ = id_;
    c.kind_ = kind_;
    c.host_ = host_;
    c.base_path_ = base_path_;
    c.cloud_ = cloud_;
    c.principal_ = principal_;
    c.key_ = key_.clone();
    c.options_ = options_;
    return c;
}

bool connection_config::same_place(connection_config const& other) const noexcept {
    return id_ == other.id_ && kind_ == other.kind_ && host_ == other.host_ && base_path_ == other.base_path_;
}

bool operator==(connection_config const& a, connection_config const& b) noexcept {
    return a.same_place(b) && a.principal_ == b.principal_ && a.options_ == b.options_ && a.key_ == b.key_;
}

}  // namespace jirapool
