#include "reply.hpp"

#include "text.hpp"

#include <fmt/format.h>

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

bool has_no_body(int status) noexcept { return status == 204 || status == 304 || status < 200; }

void render_scripted(scripted_reply const& s, bool head, bool keep_alive, wall_time now, std::string& out) {
    if (s.raw) {
        out += *s.raw;
        return;
    }
    bool has_length = false;
    bool has_date = false;
    bool has_connection = false;
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", s.status, reason_phrase(s.status));
    for (auto const& [name, value] : s.headers) {
        has_length = has_length || same_name(name, "content-length") || same_name(name, "transfer-encoding");
        has_date = has_date || same_name(name, "date");
        has_connection = has_connection || same_name(name, "connection");
        fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
    }
    if (!has_date) fmt::format_to(std::back_inserter(out), "Date: {}\r\n", date_of(now));
    if (!has_length && !has_no_body(s.status)) {
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", s.body.size());
    }
    if (!has_connection && !keep_alive) out += "Connection: close\r\n";
    out += "\r\n";
    if (!head) out += s.body;
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

void render(reply const& r, bool head, bool keep_alive, wall_time now, std::string& out) {
    if (r.scripted) {
        render_scripted(*r.scripted, head, keep_alive, now, out);
        return;
    }
    out.reserve(out.size() + r.headers.size() + r.body.size() + 256);
    auto const to = std::back_inserter(out);
    fmt::format_to(to, "HTTP/1.1 {} {}\r\nDate: {}\r\nServer: AtlassianEdge\r\n", r.status, reason_phrase(r.status),
                   date_of(now));
    if (!r.content_type.empty()) fmt::format_to(to, "Content-Type: {}\r\n", r.content_type);
    out += r.headers;
    bool const no_body = has_no_body(r.status);
    if (r.chunked && !no_body) {
        out += "Transfer-Encoding: chunked\r\n";
    } else if (!no_body) {
        fmt::format_to(to, "Content-Length: {}\r\n", r.body.size());
    }
    if (!keep_alive) out += "Connection: close\r\n";
    out += "\r\n";
    if (head || no_body) return;
    if (!r.chunked) {
        out += r.body;
        return;
    }
    constexpr std::size_t chunk_size = 4096;
    for (std::size_t at = 0; at < r.body.size(); at += chunk_size) {
        std::string_view const chunk = std::string_view(r.body).substr(at, chunk_size);
        fmt::format_to(to, "{:x}\r\n{}\r\n", chunk.size(), chunk);
    }
    out += "0\r\n\r\n";
}

}  // namespace jirapool::mock
