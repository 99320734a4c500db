#include "page_table.hpp"

#include "gzip.hpp"
#include "header_list.hpp"
#include "http_request.hpp"

#include <algorithm>
#include <cstddef>

namespace jirapool::metrics {

namespace {

// What is shorter fits into one packet either way.
constexpr std::size_t worth_compressing = 1024;

std::string_view reason_of(int status) noexcept {
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "";  // HTTP wants the space before it, and no word
    }
}

/// @param headers  more lines of the head, each with its end
std::string message(page_answer const& a, std::string_view headers, bool with_body) {
    std::string out = "HTTP/1.1 ";
    out.append(std::to_string(a.status)).append(" ").append(reason_of(a.status));
    out.append("\r\nContent-Type: ").append(a.content_type);
    out.append("\r\nContent-Length: ").append(std::to_string(a.body.size()));
    out.append("\r\nConnection: close\r\n").append(headers).append("\r\n");
    if (with_body) out.append(a.body);
    return out;
}

/// What a page says may be anything. Statuses below 200 end no exchange, and 204 and 304 have no body to say how long it is.
bool is_http(page_answer const& a) noexcept {
    bool const has_status = a.status >= 200 && a.status <= 599 && a.status != 204 && a.status != 304;
    return has_status && std::none_of(a.content_type.begin(), a.content_type.end(),
                                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string refusal(int status, bool with_body, std::string_view headers = {}, std::string_view words = {}) {
    page_answer a;
    a.status = status;
    a.body.append(words.empty() ? reason_of(status) : words).append("\n");
    return message(a, headers, with_body);
}

}  // namespace

std::string page_table::answer_to_too_long() { return refusal(431, true); }

std::string page_table::answer(std::string_view head) {
    auto const request = parse_http_request(head);
    if (!request) return refusal(400, true);
    bool const with_body = request->method != "HEAD";
    if (token_) {
        switch (token_->judge(request->authorization)) {
        case token_file::verdict::welcome: break;
        case token_file::verdict::none_shown:
            return refusal(401, with_body, "WWW-Authenticate: Bearer realm=\"jirapool\"\r\n");
        case token_file::verdict::wrong:
            return refusal(401, with_body, "WWW-Authenticate: Bearer realm=\"jirapool\", error=\"invalid_token\"\r\n");
        case token_file::verdict::no_token:
            return refusal(503, with_body, {}, "The file of the bearer token has none.");
        }
    }
    auto const at = std::find_if(pages_.begin(), pages_.end(),
                                 [&](page const& p) { return p.path == request->page.path; });
    if (at == pages_.end()) return refusal(404, with_body);
    if (request->method != "GET" && request->method != "HEAD") return refusal(405, with_body, "Allow: GET, HEAD\r\n");
    try {
        auto a = at->answer(request->page);
        if (!is_http(a)) return refusal(500, with_body);
        // Whoever keeps answers must know that this one was made for what its client can read.
        std::string headers = "Vary: Accept, Accept-Encoding\r\n";
        if (a.body.size() >= worth_compressing && accepts_gzip(request->accept_encoding)) {
            if (auto compressed = gzip(a.body)) {
                a.body = std::move(*compressed);
                headers += "Content-Encoding: gzip\r\n";
            }
        }
        return message(a, headers, with_body);
    } catch (...) {
        return refusal(500, with_body);
    }
}

}  // namespace jirapool::metrics
