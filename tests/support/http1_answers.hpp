#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool::test {

/// Bytes of an answer, and what must become of them.
struct http1_answer {
    enum class fate { reusable, delivered, refused, cut };

    char const* what;
    std::string bytes;
    fate expected;          ///< reusable: and the channel takes another request; delivered: but the channel ends
    char const* says = "";  ///< refused: in failure::rule(); else: the body
    bool head_request = false;
};

inline std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

// The limits that the answers below are made for.
inline constexpr std::uint32_t answers_max_head = 2048;
inline constexpr std::uint32_t answers_max_headers = 20;
inline constexpr std::uint64_t answers_max_body = 4096;

inline std::vector<http1_answer> const& http1_answers() {
    using enum http1_answer::fate;
    static std::string const ok = "HTTP/1.1 200 OK\r\n";
    static std::string const chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";
    static std::vector<http1_answer> const all = {
        // Framing as it should be
        {"a length", ok + "Content-Length: 2\r\n\r\nhi", reusable, "hi"},
        {"a length of nothing", ok + "Content-Length: 0\r\n\r\n", reusable, ""},
        {"chunks", chunked + "2\r\nhi\r\n4;x=\"y\"\r\n you\r\n0\r\n\r\n", reusable, "hi you"},
        {"chunks in any case", ok + "TRANSFER-ENCODING: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", reusable, "hi"},
        {"trailers, which are dropped", chunked + "2\r\nhi\r\n0\r\nServer: x\r\nEtag: y\r\n\r\n", reusable, "hi"},
        {"no content", "HTTP/1.1 204 No Content\r\n\r\n", reusable, ""},
        {"not modified, with the length that it would have", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
         reusable, ""},
        {"HEAD, with the length that GET has", ok + "Content-Length: 99999999\r\n\r\n", reusable, "", true},
        {"HEAD, chunked", chunked, reusable, "", true},
        {"no reason phrase", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", reusable, "hi"},
        {"no reason phrase, nor the space before it", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", reusable, "hi"},
        {"interim answers",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok +
             "Content-Length: 2\r\n\r\nhi",
         reusable, "hi"},
        {"HTTP/1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", reusable,
         "hi"},
        {"a server's patience", ok + "Keep-Alive: timeout=5, max=100\r\nContent-Length: 2\r\n\r\nhi", reusable, "hi"},
        {"a head of the largest size",
         ok + "X: " + std::string(answers_max_head - 17 - 3 - 2 - 2 - 19, 'x') + "\r\nContent-Length: 0\r\n\r\n",
         reusable, ""},
        {"as many headers as may be", ok + repeated("X: y\r\n", answers_max_headers - 1) + "Content-Length: 0\r\n\r\n",
         reusable, ""},
        {"a body of the largest size", ok + "Content-Length: 4096\r\n\r\n" + std::string(4096, 'b'), reusable, nullptr},

        // Whole, but the channel ends
        {"close announced", ok + "Connection: close\r\nContent-Length: 2\r\n\r\nhi", delivered, "hi"},
        {"close among others", ok + "Connection: x, Close\r\nContent-Length: 2\r\n\r\nhi", delivered, "hi"},
        {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", delivered, "hi"},
        {"no patience at all", ok + "Keep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nhi", delivered, "hi"},
        {"a byte behind the end", ok + "Content-Length: 2\r\n\r\nhi!", delivered, "hi"},
        {"an answer to a request that was not made",
         ok + "Content-Length: 2\r\n\r\nhi" + ok + "Content-Length: 0\r\n\r\n", delivered, "hi"},
        {"a byte behind the last chunk", chunked + "2\r\nhi\r\n0\r\n\r\n!", delivered, "hi"},
        {"a body behind HEAD", ok + "Content-Length: 2\r\n\r\nhi", delivered, "", true},
        {"no content, with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", delivered, ""},
        {"no content, in chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", delivered, ""},

        // Ambiguous, or not HTTP
        {"a length and chunks", ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         refused, ""},
        {"chunks and a length", ok + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         refused, ""},
        {"a length and an unknown coding", ok + "Content-Length: 2\r\nTransfer-Encoding: identity\r\n\r\nhi", refused,
         ""},
        {"two lengths", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", refused, ""},
        {"two equal lengths", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", refused,
         "Content-Length stands twice"},
        {"two lengths in one", ok + "Content-Length: 2, 2\r\n\r\nhi", refused, "Content-Length stands twice"},
        {"a signed length", ok + "Content-Length: +2\r\n\r\nhi", refused, ""},
        {"a negative length", ok + "Content-Length: -2\r\n\r\nhi", refused, ""},
        {"a length in hexadecimal", ok + "Content-Length: 0x2\r\n\r\nhi", refused, ""},
        {"a length of two words", ok + "Content-Length: 2 2\r\n\r\nhi", refused, ""},
        {"an empty length", ok + "Content-Length: \r\n\r\nhi", refused, ""},
        {"a length beyond 64 bits", ok + "Content-Length: 18446744073709551618\r\n\r\nhi", refused, ""},
        {"an unknown coding", ok + "Transfer-Encoding: gzip\r\n\r\nhi", refused, "Transfer-Encoding is not chunked"},
        {"two codings", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", refused,
         "Transfer-Encoding is not chunked"},
        {"chunked twice", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", refused, ""},
        {"chunked in two headers", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         refused, ""},
        {"chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused, ""},
        {"a folded header", ok + "X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi", refused, "folded"},
        {"a header folded at its beginning", ok + "X:\r\n b\r\nContent-Length: 2\r\n\r\nhi", refused, "folded"},
        {"a header folded with nothing in it", ok + "X:\r\n \r\nContent-Length: 2\r\n\r\nhi", refused, "folded"},
        {"a header folded at its end", ok + "X: a\r\n \r\nContent-Length: 2\r\n\r\nhi", refused, "folded"},
        {"a folded length", ok + "Content-Length:\r\n 2\r\n\r\nhi", refused, "folded"},
        {"a folded trailer", chunked + "0\r\nX: a\r\n b\r\n\r\n", refused, "folded"},
        {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", refused, ""},
        {"a bare line feed in a header", ok + "X: a\nContent-Length: 2\r\n\r\nhi", refused, ""},
        {"a bare line feed behind the head", ok + "Content-Length: 2\r\n\nhi", refused, ""},
        {"a bare carriage return in a header", ok + "X: a\rb\r\nContent-Length: 2\r\n\r\nhi", refused, ""},
        {"NUL in a header", ok + std::string("X: a\0b\r\n", 8) + "Content-Length: 2\r\n\r\nhi", refused, ""},
        {"a space before the colon", ok + "Content-Length : 2\r\n\r\nhi", refused, ""},
        {"a space before the first header", ok + " X: y\r\nContent-Length: 2\r\n\r\nhi", refused, ""},
        {"no name", ok + ": 2\r\n\r\n", refused, ""},
        {"no colon", ok + "Content-Length\r\n\r\n", refused, ""},
        {"no status", "HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nhi", refused, ""},
        {"a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi", refused, ""},
        {"a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi", refused, ""},
        {"a status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi", refused, "status"},
        {"a status above 599", "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nhi", refused, "status"},
        {"another version", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", refused, ""},
        {"another protocol", "220 mail.example.com ESMTP\r\n", refused, ""},
        {"an empty line before the answer", "\r\n" + ok + "Content-Length: 2\r\n\r\nhi", refused, ""},
        {"an unasked upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", refused, "unasked"},
        {"an interim answer with a length", "HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nhi" + ok, refused,
         "interim"},
        {"a chunk without a size", chunked + "\r\nhi\r\n0\r\n\r\n", refused, ""},
        {"a chunk with a negative size", chunked + "-2\r\nhi\r\n0\r\n\r\n", refused, ""},
        {"a chunk that says it is hexadecimal", chunked + "0x2\r\nhi\r\n0\r\n\r\n", refused, ""},
        {"a chunk beyond 64 bits", chunked + "10000000000000002\r\nhi\r\n0\r\n\r\n", refused, ""},
        {"a chunk longer than said", chunked + "2\r\nhi!\r\n0\r\n\r\n", refused, ""},
        {"a chunk with a bare line feed", chunked + "2\nhi\r\n0\r\n\r\n", refused, ""},
        {"a chunk that ends with a bare line feed", chunked + "2\r\nhi\n0\r\n\r\n", refused, ""},
        {"a space in front of a chunk's size", chunked + " 2\r\nhi\r\n0\r\n\r\n", refused, ""},

        // Limits
        {"one header too long", ok + "X: " + std::string(3 * answers_max_head, 'x') + "\r\nContent-Length: 2\r\n\r\nhi",
         refused, "the head is over wire_params::max_head"},
        {"a head one byte too long",
         ok + "X: " + std::string(answers_max_head - 17 - 3 - 2 - 2 - 19 + 1, 'x') + "\r\nContent-Length: 0\r\n\r\n",
         refused, "the head is over wire_params::max_head"},
        {"a head too long in all",
         ok + repeated("X: " + std::string(200, 'x') + "\r\n", 12) + "Content-Length: 2\r\n\r\nhi", refused,
         "the head is over wire_params::max_head"},
        {"an endless status line", "HTTP/1.1 200 " + std::string(2 * answers_max_head, 'x'), refused,
         "the head is over wire_params::max_head"},
        {"one header too many", ok + repeated("X: y\r\n", answers_max_headers) + "Content-Length: 2\r\n\r\nhi", refused,
         "wire_params::max_headers"},
        {"too many trailers", chunked + "0\r\n" + repeated("X: y\r\n", answers_max_headers) + "\r\n", refused,
         "wire_params::max_headers"},
        {"trailers too long", chunked + "0\r\nX: " + std::string(2 * answers_max_head, 'x') + "\r\n\r\n", refused,
         "trailers are over wire_params::max_head"},
        {"a chunk's extension too long",
         chunked + "2;x=" + std::string(2 * answers_max_head, 'x') + "\r\nhi\r\n0\r\n\r\n", refused,
         "over wire_params::max_head"},
        {"chunks' extensions too long in all",
         chunked + repeated("1;x=" + std::string(100, 'x') + "\r\nh\r\n", 30) + "0\r\n\r\n", refused,
         "over wire_params::max_head"},
        {"endless interim answers", repeated("HTTP/1.1 103 Early Hints\r\n\r\n", 100), refused, "interim answers"},
        {"a body too long", ok + "Content-Length: 4097\r\n\r\n", refused, "the body is over wire_params::max_body"},
        {"chunks too long", chunked + "800\r\n" + std::string(0x800, 'c') + "\r\n801\r\n" + std::string(0x801, 'c'),
         refused, "the body is over wire_params::max_body"},
        {"a body without a length too long", ok + "\r\n" + std::string(5000, 'x'), refused,
         "the body is over wire_params::max_body"},
    };
    return all;
}

}  // namespace jirapool::test
