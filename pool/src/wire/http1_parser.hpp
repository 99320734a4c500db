#pragma once

#include "exchange/answer_body.hpp"

#include <jirapool/core/response.hpp>
#include <jirapool/core/result.hpp>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace jirapool::detail {

namespace beast = boost::beast;

/** Beast's response parser, filling in a jirapool::response: headers in one buffer instead of a node each, the body reserved
    from Content-Length and padded for simdjson. Sans-I/O: bytes in through `put`.

    Stricter than Beast, which takes folded lines, repeated equal lengths and codings it does not know as "until the end": what two
    readers may read differently is no answer (RFC 9112, section 11.2).

    Where all readers agree on what is meant a formality costs no answer, as a POST's caller could not have another: a status line
    without the space behind its status, blanks behind a chunk's size, any names of trailers, which are dropped unread, and a
    Content-Encoding that nobody here knows, with which the body is delivered as it came, are all read as Go, Node or curl read
    them. So chunks are read here: Beast takes trailers for headers, and refuses those. */
class http1_parser final : public beast::http::basic_parser<false> {
public:
    using error_code = boost::system::error_code;

    http1_parser(response& out, answer_limits const& limits, answer_expectation e);

    /// Consumes a part of `size` bytes at most up to the end of the head, a chunk's line or the message; need_more as Beast's.
    std::size_t put(char const* data, std::size_t size, error_code& ec);

    /// The message is whole.
    bool is_done() const noexcept { return done_ || basic_parser::is_done(); }
    int status() const noexcept { return out_.status(); }
    /// Behind this answer the channel is where both sides think it is.
    bool clean() const noexcept { return keep_alive() && !doubtful_; }
    /// What `Keep-Alive: timeout=` promises.
    std::optional<std::chrono::seconds> keep_alive_timeout() const noexcept { return keep_alive_timeout_; }
    /// The head is done, and the body is one that is passed through: whoever reads takes it out of the response bit by bit.
    bool streams() const noexcept { return body_.streams(); }
    /// What it is to be decoded from then.
    content_coding coding() const noexcept { return body_.coding(); }
    /// It failed because of what was read, not for want of more.
    bool refused() const noexcept { return refused_ != nullptr; }
    /// Why `put` failed.
    failure why(error_code const& ec) const;

private:
    using string_view = beast::string_view;
    using field = beast::http::field;

    static std::string_view std_view(string_view s) noexcept { return {s.data(), s.size()}; }

    void refuse(char const* rule, error_code& ec, errc code = errc::protocol_error) noexcept;
    void refuse(answer_body::problem p, error_code& ec) noexcept { refuse(p.rule, ec, p.code); }
    std::size_t put_plain_head(std::string_view bytes, error_code& ec);
    std::size_t put_beast(std::string_view bytes, error_code& ec);
    std::size_t put_chunk(std::string_view bytes, error_code& ec);
    void read_chunk_size(std::string_view line, error_code& ec) noexcept;
    void read_trailer(std::string_view line, error_code& ec);
    void look_ahead(std::string_view rest, error_code& ec) noexcept;
    bool folded(string_view name, string_view value) const noexcept;
    void count_field(string_view name, string_view value, error_code& ec) noexcept;
    void read_framing(field f, std::string_view value, error_code& ec) noexcept;

    void on_request_impl(beast::http::verb, string_view, string_view, int, error_code&) override {}
    void on_response_impl(int code, string_view, int version, error_code& ec) override;
    void on_field_impl(field f, string_view name, string_view value, error_code& ec) override;
    // Of chunks Beast sees nothing.
#if BOOST_VERSION >= 108900
    void on_trailer_field_impl(field, string_view, string_view, error_code&) override {}
#endif
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override { return body.size(); }
    void on_header_impl(error_code& ec) override;
    void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
    std::size_t on_body_impl(string_view body, error_code& ec) override;
    void on_finish_impl(error_code& ec) override;

    response& out_;
    answer_limits const& limits_;
    char const* begin_ = nullptr;  // of the bytes that are being parsed
    char const* end_ = nullptr;
    char const* refused_ = nullptr;  // the rule that was broken; a literal
    errc refused_as_ = errc::protocol_error;
    std::size_t head_ = 0;          // bytes of the head so far
    std::size_t looked_at_ = 0;     // of those behind, by look_ahead
    std::size_t extensions_ = 0;    // of chunks, in bytes
    std::size_t trailers_ = 0;      // bytes behind the last chunk
    std::uint64_t chunk_left_ = 0;  // of a chunk's data
    std::uint64_t chunks_ = 0;      // their sizes, as announced
    std::uint32_t fields_ = 0;
    std::optional<std::chrono::seconds> keep_alive_timeout_;
    answer_body body_;
    bool has_fields_ = false;  // the response does, of a plain head: Beast gets only those that it judges
    bool http10_ = false;
    bool has_length_ = false;
    bool has_coding_ = false;
    bool in_body_ = false;
    bool behind_chunk_ = false;  // its line end is to come
    bool last_chunk_ = false;
    bool done_ = false;  // of a body in chunks
    bool doubtful_ = false;
};

/** Reads the answer to one request out of a channel's bytes: interim answers skipped, the end recognised, everything bounded.
    Sans-I/O, so that it can be fed any bytes in any pieces.

    A piece that cannot be understood yet is kept here and must be put in front of the next:
    `n = reader.restore(buffer)`, receive behind it, `reader.put(buffer, n + received)`. */
class http1_reader {
public:
    enum class step : std::uint8_t { more, done, failed };

    explicit http1_reader(answer_limits const& l) noexcept : limits_(l) {}

    /// A new exchange. `out` is filled in, and must be empty.
    void begin(response& out, answer_expectation e);
    /// Copies what was kept to `to`, at most `max_kept` bytes. @return how many.
    std::size_t restore(char* to) const noexcept;
    std::size_t max_kept() const noexcept { return limits_.max_head; }
    step put(char const* data, std::size_t size);
    /// The server ended the stream in good order (close_notify), which ends a body that says nothing of its length.
    step end();

    /// After `failed`.
    failure const& error() const noexcept { return error_; }
    /// After `done`: nothing more is there, and the server will take another request.
    bool clean() const noexcept { return clean_; }
    /// After `done`: the answer itself says that the channel closes.
    bool closes() const noexcept { return closes_; }
    std::optional<std::chrono::seconds> keep_alive_timeout() const noexcept { return parser_->keep_alive_timeout(); }
    bool streams() const noexcept { return parser_->streams(); }
    content_coding coding() const noexcept { return parser_->coding(); }

private:
    step fail(failure f);

    answer_limits const& limits_;
    response* out_ = nullptr;
    std::optional<http1_parser> parser_;
    std::vector<char> kept_;
    failure error_;
    int interim_ = 0;
    answer_expectation expected_;
    bool clean_ = false;
    bool closes_ = false;
};

}  // namespace jirapool::detail
