#include "http_request.hpp"

#include "header_list.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace jirapool::metrics {

namespace {

/// Takes the text up to the separator off the front, and the separator.
std::string_view take_until(std::string_view& rest, std::string_view separator) noexcept {
    auto const end = std::min(rest.find(separator), rest.size());
    auto const text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + separator.size(), rest.size()));
    return text;
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// As forms send it, where `+` is a space.
std::optional<std::string> decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i] == '+' ? ' ' : text[i];
            continue;
        }
        if (text.size() - i < 3) return std::nullopt;
        auto const high = hex_digit(text[i + 1]);
        auto const low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

bool parse_query(std::string_view query, page_request& out) {
    while (!query.empty()) {
        auto value = take_until(query, "&");
        auto const name = take_until(value, "=");
        if (name.empty()) continue;
        auto n = decoded(name);
        auto v = decoded(value);
        if (!n || !v) return false;
        out.parameters.emplace_back(std::move(*n), std::move(*v));
    }
    return true;
}

bool parse_line(std::string_view line, http_request& out) {
    auto const first = line.find(' ');
    auto const last = line.rfind(' ');
    if (first == line.npos || last == first || !line.substr(last + 1).starts_with("HTTP/1.")) return false;
    out.method = line.substr(0, first);
    auto query = line.substr(first + 1, last - first - 1);
    out.page.path = take_until(query, "?");
    return parse_query(query, out.page);
}

/// Lines of the same name are one list.
void add_to_list(std::string& list, std::string_view value) {
    if (!list.empty()) list += ',';
    list += value;
}

bool parse_header(std::string_view line, http_request& out) {
    if (line.find(':') == line.npos) return false;
    auto value = line;
    auto const name = take_until(value, ":");
    if (name.empty() || name.find_first_of(" \t") != name.npos) return false;
    value = trimmed(value);
    if (same_name(name, "accept")) add_to_list(out.page.accept, value);
    if (same_name(name, "accept-encoding")) add_to_list(out.accept_encoding, value);
    if (same_name(name, "authorization")) {
        if (out.authorization) return false;
        out.authorization = value;
    }
    return true;
}

}  // namespace

std::optional<http_request> parse_http_request(std::string_view head) {
    http_request r;
    if (!parse_line(take_until(head, "\r\n"), r)) return std::nullopt;
    while (!head.empty()) {
        auto const line = take_until(head, "\r\n");
        if (line.empty()) return r;
        if (!parse_header(line, r)) return std::nullopt;
    }
    return std::nullopt;
}

}  // namespace jirapool::metrics
