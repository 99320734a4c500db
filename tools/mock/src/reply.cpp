#include "reply.hpp"

#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace jirapool::mock {
namespace {

// Formatting a date costs more than the rest of a small answer's head.
std::string const& date_of(wall_time now) {
    thread_local std::chrono::sys_seconds cached{std::chrono::seconds{-1}};
    thread_local std::string text;
    auto const second = std::chrono::floor<std::chrono::seconds>(now);
    if (second != cached) {
        text = http_date(now);
        cached = second;
    }
    return text;
}

bool has_field(scripted_reply const& s, std::string_view name) noexcept {
    return std::any_of(s.headers.begin(), s.headers.end(), [name](auto const& h) { return same_name(h.first, name); });
}

}  // namespace

std::string_view reason_phrase(int status) noexcept {
    switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "No Content";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 413: return "Payload Too Large";
    case 415: return "Unsupported Media Type";
    case 421: return "Misdirected Request";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Status";
    }
}

int status_of(reply const& r) noexcept { return r.scripted ? r.scripted->status : r.status; }

bool has_no_body(int status) noexcept { return status == 204 || status == 304 || status < 200; }

std::string_view body_of(reply const& r) noexcept { return r.scripted ? r.scripted->body : r.body; }

bool needs_length(reply const& r) noexcept {
    if (has_no_body(status_of(r))) return false;
    if (!r.scripted) return !r.chunked;
    return !has_field(*r.scripted, "content-length") && !has_field(*r.scripted, "transfer-encoding");
}

void append_fields(reply const& r, wall_time now, std::string& out) {
    auto const to = std::back_inserter(out);
    if (r.scripted) {
        for (auto const& [name, value] : r.scripted->headers) fmt::format_to(to, "{}: {}\r\n", name, value);
        if (!has_field(*r.scripted, "date")) fmt::format_to(to, "Date: {}\r\n", date_of(now));
        return;
    }
    fmt::format_to(to, "Date: {}\r\nServer: AtlassianEdge\r\n", date_of(now));
    if (!r.content_type.empty()) fmt::format_to(to, "Content-Type: {}\r\n", r.content_type);
    out += r.headers;
}

void render(reply const& r, bool head, bool keep_alive, wall_time now, std::string& out) {
    if (r.scripted && r.scripted->raw) {
        out += *r.scripted->raw;
        return;
    }
    int const status = status_of(r);
    std::string_view const body = body_of(r);
    bool const is_chunked = !r.scripted && r.chunked && !has_no_body(status);
    out.reserve(out.size() + r.headers.size() + body.size() + 256);
    auto const to = std::back_inserter(out);
    fmt::format_to(to, "HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
    append_fields(r, now, out);
    if (is_chunked) out += "Transfer-Encoding: chunked\r\n";
    if (needs_length(r)) fmt::format_to(to, "Content-Length: {}\r\n", body.size());
    if (!keep_alive && !(r.scripted && has_field(*r.scripted, "connection"))) out += "Connection: close\r\n";
    out += "\r\n";
    // A script's body is sent whatever its status permits.
    if (head || (!r.scripted && has_no_body(status))) return;
    if (!is_chunked) {
        out += body;
        return;
    }
    constexpr std::size_t chunk_size = 4096;
    for (std::size_t at = 0; at < body.size(); at += chunk_size) {
        std::string_view const chunk = body.substr(at, chunk_size);
        fmt::format_to(to, "{:x}\r\n{}\r\n", chunk.size(), chunk);
    }
    out += "0\r\n\r\n";
}

}  // namespace jirapool::mock
