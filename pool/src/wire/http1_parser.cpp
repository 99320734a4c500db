#include "wire/http1_parser.hpp"

#include "wire/plain_head.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <charconv>
#include <functional>
#include <string>

namespace jirapool::detail {

namespace http = beast::http;

namespace {

// Interim answers (RFC 9110, section 15.2) before the real one. Jira's edge sends none; 103 comes once or twice elsewhere.
constexpr int max_interim = 8;

constexpr char const* over_max_body = "the body is over wire_params::max_body";

// "timeout=5, max=100" (RFC 9112, appendix C.2.2, leaves it to the RFC 2068 of old): the number behind timeout, if there is one.
std::optional<std::chrono::seconds> timeout_of(std::string_view keep_alive) noexcept {
    constexpr std::string_view name = "timeout=";
    while (!keep_alive.empty()) {
        auto const comma = std::min(keep_alive.find(','), keep_alive.size());
        auto part = keep_alive.substr(0, comma);
        keep_alive.remove_prefix(std::min(comma + 1, keep_alive.size()));
        part.remove_prefix(std::min(part.find_first_not_of(" \t"), part.size()));
        auto const key = part.substr(0, name.size());
        if (!beast::iequals({key.data(), key.size()}, {name.data(), name.size()})) continue;
        part.remove_prefix(name.size());
        std::uint32_t seconds = 0;
        auto const [end, ec] = std::from_chars(part.data(), part.data() + part.size(), seconds);
        if (ec == std::errc() && end != part.data()) return std::chrono::seconds(seconds);
    }
    return std::nullopt;
}

}  // namespace

http1_parser::http1_parser(response& out, answer_limits const& limits, answer_expectation e)
    : out_(out), limits_(limits), body_(out, limits, e) {
    // Ours counts all of the head, while Beast's of 1.81 starts anew with each piece: it must never be the one to speak.
    header_limit(limits.max_head + 4);
    // Beast's limit is for all bodies alike; see bound_body.
    if (e.head_request || e.to_sink) body_limit(boost::none);
    else body_limit(limits.max_body);
    skip(e.head_request);
    eager(false);
}

void http1_parser::refuse(char const* rule, error_code& ec, errc code) noexcept {
    refused_ = rule;
    refused_as_ = code;
    ec = http::error::bad_value;
}

std::size_t http1_parser::put(char const* data, std::size_t size, error_code& ec) {
    std::string_view const bytes(data, size);
    if (in_body_ && has_coding_) return put_chunk(bytes, ec);
    // RFC 9112, section 4, wants the space behind the status also where no reason follows it, and so does Beast.
    constexpr std::size_t bare_line = std::string_view("HTTP/1.1 200").size();
    if (head_ > 0 || in_body_ || size <= bare_line || data[bare_line] != '\r') {
        auto const used = got_some() ? 0 : put_plain_head(bytes, ec);
        return used > 0 ? used : put_beast(bytes, ec);
    }
    if (size == bare_line + 1) {
        ec = http::error::need_more;
        look_ahead(bytes, ec);
        return 0;
    }
    // An end before that is of no head, as Beast will say.
    auto const end = bytes.find("\r\n\r\n", bare_line);
    auto head = std::string(bytes.substr(0, end == bytes.npos ? end : end + 4));
    head.insert(bare_line, " ");
    auto const used = put_beast(head, ec);
    return used > bare_line ? used - 1 : used;
}

/// A whole head that is plain; 0: it is not.
std::size_t http1_parser::put_plain_head(std::string_view bytes, error_code& ec) {
    plain_head head;
    if (!head.read(bytes, limits_.max_head, limits_.max_headers, out_)) return 0;
    has_fields_ = true;
    put_beast(head.framing(), ec);
    fields_ = head.fields();
    return head_ = head.size();
}

std::size_t http1_parser::put_beast(std::string_view bytes, error_code& ec) {
    constexpr auto over = "the head is over wire_params::max_head";
    begin_ = bytes.data();
    end_ = begin_ + bytes.size();
    bool const in_head = !is_header_done();
    auto const used = basic_parser::put(boost::asio::buffer(bytes.data(), bytes.size()), ec);
    if (ec == http::error::header_limit) refuse(over, ec, errc::response_too_large);
    else if (ec && ec != http::error::need_more) return used;
    if (!in_head) return used;
    // What is not used yet belongs to the head as well: Beast stops at its end.
    head_ += used;
    looked_at_ -= std::min(looked_at_, used);
    if (head_ + (is_header_done() ? 0 : bytes.size() - used) > limits_.max_head)
        refuse(over, ec, errc::response_too_large);
    else if (ec == http::error::need_more) look_ahead(bytes.substr(used), ec);
    return used;
}

/// A line or some data, RFC 9112, section 7.1.
std::size_t http1_parser::put_chunk(std::string_view bytes, error_code& ec) {
    ec = {};
    if (chunk_left_ > 0) {
        auto const data = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, bytes.size())));
        chunk_left_ -= data.size();
        return on_body_impl({data.data(), data.size()}, ec);
    }
    if (behind_chunk_ && !bytes.empty() && bytes.front() != '\r') {
        refuse("a chunk is longer than it says", ec);
        return 0;
    }
    auto const end = bytes.find('\n');
    if (end == bytes.npos) {
        ec = http::error::need_more;
        return 0;
    }
    auto const line = bytes.substr(0, end - (end > 0 ? 1 : 0));
    bool const control = std::any_of(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
    if (end == 0 || bytes[end - 1] != '\r') refuse("a line between chunks ends with a bare line feed", ec);
    else if (control) refuse("a line between chunks has a control character in it", ec);
    else if (last_chunk_) read_trailer(line, ec);
    else if (!behind_chunk_) read_chunk_size(line, ec);
    else if (!line.empty()) refuse("a chunk is longer than it says", ec);
    else behind_chunk_ = false;
    return end + 1;
}

void http1_parser::read_chunk_size(std::string_view line, error_code& ec) noexcept {
    std::uint64_t size = 0;
    auto const [digits_end, bad] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
    auto rest = line.substr(static_cast<std::size_t>(digits_end - line.data()));
    extensions_ += rest.size();
    // The grammar has blanks only in front of an extension; padded sizes ("2   ") come from servers that reserve room for them.
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (bad != std::errc() || !(rest.empty() || rest.front() == ';'))
        return refuse("a chunk's size is no hexadecimal number of 64 bits", ec);
    if (extensions_ > limits_.max_head)
        return refuse("the chunks' extensions are over wire_params::max_head", ec, errc::response_too_large);
    if (!streams() && size > limits_.max_body - std::min(chunks_, limits_.max_body))
        return refuse(over_max_body, ec, errc::response_too_large);
    chunks_ += size;
    chunk_left_ = size;
    behind_chunk_ = size > 0;
    last_chunk_ = size == 0;
}

/// Trailers say nothing that we use: whatever they are named they are counted, bounded, and dropped.
void http1_parser::read_trailer(std::string_view line, error_code& ec) {
    trailers_ += line.size() + 2;
    if (trailers_ > limits_.max_head)
        return refuse("the trailers are over wire_params::max_head", ec, errc::response_too_large);
    if (line.empty()) {
        done_ = true;
        return on_finish_impl(ec);
    }
    if (++fields_ > limits_.max_headers)
        return refuse("the headers are more than wire_params::max_headers", ec, errc::response_too_large);
    if (line.front() == ' ' || line.front() == '\t') return refuse("a header is folded over lines", ec);
    // Or it is the next answer, of a server that forgot the line that ends this one.
    auto const name = line.substr(0, line.find(':'));
    if (name.empty() || name.size() == line.size() || name.find_first_of(" \t") != name.npos)
        refuse("a trailer is no header", ec);
}

// Beast 1.81 looks at a head that came in pieces only when it saw its end, which something else than HTTP never has.
void http1_parser::look_ahead(std::string_view rest, error_code& ec) noexcept {
    constexpr std::string_view begin = "HTTP/1.";
    if (head_ == 0 && !begin.starts_with(rest.substr(0, begin.size())))
        return refuse("it does not begin with HTTP/1", ec);
    for (auto at = rest.find('\n', looked_at_); at != rest.npos; at = rest.find('\n', at + 1))
        if (at == 0 || rest[at - 1] != '\r') return refuse("a line of the head ends with a bare line feed", ec);
    looked_at_ = rest.size();
}

failure http1_parser::why(error_code const& ec) const {
    if (refused_ != nullptr) return {refused_as_, refused_};
    if (ec == http::error::body_limit) return {errc::response_too_large, over_max_body};
    return {errc::protocol_error, ec.message()};
}

// RFC 9112, section 5.2. Beast joins the lines in a buffer of its own, or skips those that are blank.
bool http1_parser::folded(string_view name, string_view value) const noexcept {
    std::less<> const before;
    auto const* const name_end = name.data() + name.size();
    if (before(value.data(), name_end) || before(end_, value.data() + value.size())) return true;
    return std::any_of(name_end, value.data(), [](char c) { return c == '\r' || c == '\n'; });
}

void http1_parser::count_field(string_view name, string_view value, error_code& ec) noexcept {
    if (++fields_ > limits_.max_headers)
        refuse("the headers are more than wire_params::max_headers", ec, errc::response_too_large);
    else if (folded(name, value)) refuse("a header is folded over lines", ec);
}

void http1_parser::on_response_impl(int code, string_view, int version, error_code& ec) {
    if (code < 100 || code > 599) refuse("the status is not one of HTTP", ec);
    http10_ = version < 11;
    out_.set_status(code);
}

void http1_parser::on_field_impl(field f, string_view name, string_view value, error_code& ec) {
    count_field(name, value, ec);
    if (ec) return;
    read_framing(f, std_view(value), ec);
    if (!ec && !has_fields_) out_.add_header(std_view(name), std_view(value));
}

void http1_parser::read_framing(field f, std::string_view value, error_code& ec) noexcept {
    switch (f) {
    case field::content_length:
        if (std::exchange(has_length_, true) || value.find(',') != value.npos)
            refuse("Content-Length stands twice", ec);
        break;
    case field::transfer_encoding:
        if (std::exchange(has_coding_, true)) refuse("Transfer-Encoding stands twice", ec);
        else if (!beast::iequals("chunked", {value.data(), value.size()}))
            refuse("the Transfer-Encoding is not chunked", ec);
        else if (http10_) refuse("HTTP/1.0 has no Transfer-Encoding", ec);
        break;
    case field::content_encoding: return body_.read_coding(value);
    case field::keep_alive: keep_alive_timeout_ = timeout_of(value); return;
    default: return;
    }
    if (!ec && has_length_ && has_coding_) refuse("both Content-Length and Transfer-Encoding are given", ec);
}

void http1_parser::on_header_impl(error_code& ec) {
    in_body_ = true;
    // It has no body, whatever the header says: but somebody who believes the header sees one.
    if (out_.status() == 204) doubtful_ = has_coding_ || content_length().value_or(0) > 0;
    if (out_.status() < 200 && (has_length_ || has_coding_)) refuse("an interim answer has a body", ec);
    else if (auto const problem = body_.begin(content_length().value_or(0))) refuse(problem, ec);
}

std::size_t http1_parser::on_body_impl(string_view body, error_code& ec) {
    if (auto const problem = body_.put(std_view(body))) refuse(problem, ec);
    return body.size();
}

void http1_parser::on_finish_impl(error_code& ec) {
    if (auto const problem = body_.finish()) refuse(problem, ec);
}

void http1_reader::begin(response& out, answer_expectation e) {
    out_ = &out;
    expected_ = e;
    parser_.emplace(out, limits_, e);
    kept_.clear();
    error_ = {};
    interim_ = 0;
    clean_ = closes_ = false;
}

std::size_t http1_reader::restore(char* to) const noexcept {
    std::copy(kept_.begin(), kept_.end(), to);
    return kept_.size();
}

http1_reader::step http1_reader::fail(failure f) {
    error_ = std::move(f);
    return step::failed;
}

http1_reader::step http1_reader::put(char const* data, std::size_t size) {
    std::size_t used = 0;
    while (used < size) {
        error_code ec;
        auto const n = parser_->put(data + used, size - used, ec);
        used += n;
        if (ec && ec != http::error::need_more) return fail(parser_->why(ec));
        if (parser_->is_done()) {
            if (parser_->status() >= 200) {
                closes_ = !parser_->keep_alive();
                clean_ = parser_->clean() && used == size;
                return step::done;
            }
            if (parser_->status() == 101)
                return fail({errc::protocol_error, "the server changed the protocol unasked"});
            if (++interim_ > max_interim) return fail({errc::protocol_error, "more than 8 interim answers"});
            out_->clear();
            parser_.emplace(*out_, limits_, expected_);
        } else if (ec || n == 0) {
            break;
        }
    }
    if (size - used > limits_.max_head)
        return fail({errc::response_too_large, "a chunk's line or the trailers are over wire_params::max_head"});
    // Bytes that come one by one must not be copied whole each time: all but the new ones are there already.
    if (used > 0) kept_.clear();
    kept_.insert(kept_.end(), data + used + kept_.size(), data + size);
    return step::more;
}

http1_reader::step http1_reader::end() {
    constexpr auto early = "the server closed the channel before its answer was whole";
    // Beast asserts that it has seen a byte, and without assertions takes what it has not seen for a whole answer.
    if (!parser_->got_some()) return fail({errc::channel_lost, early});
    error_code ec;
    parser_->put_eof(ec);
    if (ec) return fail(parser_->refused() ? parser_->why(ec) : failure(errc::channel_lost, early));
    closes_ = true;
    return step::done;
}

}  // namespace jirapool::detail
