#pragma once

#include "clock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::mock {

std::string base64(std::string_view bytes);
/// Strict: padding required, nothing else than the alphabet. nullopt if it is not base64.
std::optional<std::string> from_base64(std::string_view text);

/// Broken escapes stay as they are, as servers commonly do.
std::string percent_decode(std::string_view text, bool plus_is_space);
/// The first field of that name in "a=1&b=2", decoded.
std::optional<std::string> form_field(std::string_view form, std::string_view name);

/// Appends a JSON string, quotes and all.
void append_json(std::string& out, std::string_view text);
/// A whole number and nothing else; at most 18 digits.
std::optional<std::uint64_t> to_number(std::string_view digits) noexcept;

/// Without regard to ASCII case.
bool same_name(std::string_view a, std::string_view b) noexcept;
bool starts_with_name(std::string_view text, std::string_view prefix) noexcept;
std::string lower(std::string_view text);
/// "Site.atlassian.net:443" is "site.atlassian.net".
std::string host_of_authority(std::string_view authority);

/// "2026-01-01T01:01:01Z".
std::string iso8601(wall_time t);
/// "2026-01-01T01:01:01.000+0000", as in an issue's fields.
std::string jira_date(wall_time t);
/// "Thu, 01 Jan 2026 01:01:01 GMT".
std::string http_date(wall_time t);

/// A good 64-bit mixing function (splitmix64's): equal in, equal out.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/// Of 64 random bits, a number in [0, 1).
constexpr double unit_fraction(std::uint64_t bits) noexcept { return static_cast<double>(bits >> 11) * 0x1p-53; }

/// Deterministic; not for secrets that protect anything.
class generator {
public:
    explicit constexpr generator(std::uint64_t seed) noexcept : state_(seed) {}
    constexpr std::uint64_t next() noexcept { return mix(state_++); }
    /// `size` characters of `alphabet`.
    std::string word(std::size_t size, std::string_view alphabet);
    std::string uuid();

private:
    std::uint64_t state_;
};

inline constexpr std::string_view url_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace jirapool::mock
