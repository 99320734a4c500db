#include "wire/http2_answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace jirapool::detail {

namespace {

// See http1_parser.
constexpr int max_interim = 8;

// RFC 9110, section 5.6.2, without what is upper-case (RFC 9113, section 8.2.1).
constexpr std::array<bool, 256> name_characters = [] {
    std::array<bool, 256> all{};
    for (unsigned c = '0'; c <= '9'; ++c) all[c] = true;
    for (unsigned c = 'a'; c <= 'z'; ++c) all[c] = true;
    for (char const c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
        all[static_cast<unsigned char>(c)] = true;
    return all;
}();

bool is_name(std::string_view name) noexcept {
    return !name.empty() &&
           std::all_of(name.begin(), name.end(), [](char c) { return name_characters[static_cast<unsigned char>(c)]; });
}

bool is_value(std::string_view value) noexcept {
    return std::none_of(value.begin(), value.end(), [](char c) {
        auto const u = static_cast<unsigned char>(c);
        return (u < 0x20 && u != '\t') || u == 0x7f;
    });
}

/// RFC 9113, section 8.2.2.
bool is_of_connection(std::string_view name) noexcept {
    return name == "connection" || name == "keep-alive" || name == "proxy-connection" || name == "transfer-encoding" ||
           name == "upgrade";
}

std::string_view without_blanks(std::string_view value) noexcept {
    constexpr auto blanks = " \t";
    value.remove_prefix(std::min(value.find_first_not_of(blanks), value.size()));
    return value.substr(0, value.find_last_not_of(blanks) + 1);
}

}  // namespace

http2_answer::http2_answer(response& out, answer_limits const& limits, answer_expectation e) noexcept
    : out_(out), limits_(limits), expected_(e), body_(out, limits, e) {}

bool http2_answer::refuse(char const* rule, errc code) {
    error_ = failure(code);
    error_ = failure(code, rule);
    return false;
}

bool http2_answer::has_no_body() const noexcept {
    return expected_.head_request || out_.status() == 204 || out_.status() == 304;
}

void http2_answer::begin_block() noexcept { has_status_ = in_fields_ = false; }

bool http2_answer::put_status(std::string_view value) {
    int status = 0;
    auto const [end, bad] = std::from_chars(value.data(), value.data() + value.size(), status);
    if (bad != std::errc() || end != value.data() + value.size() || value.size() != 3 || status < 100 || status > 599)
        return refuse("the status is not one of HTTP");
    if (status == 101) return refuse("the server changed the protocol unasked");
    has_status_ = true;
    out_.set_status(status);
    return true;
}

bool http2_answer::put_length(std::string_view value) {
    std::uint64_t length = 0;
    auto const [end, bad] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (bad != std::errc() || end != value.data() + value.size()) return refuse("the Content-Length is no number");
    if (length_) return refuse("Content-Length stands twice");
    length_ = length;
    return true;
}

bool http2_answer::put_field(std::string_view name, std::string_view value) {
    constexpr std::size_t separators = 4;  // as they would stand in a line
    head_size_ += name.size() + value.size() + separators;
    if (head_size_ > limits_.max_head)
        return refuse(has_head_ ? "the trailers are over wire_params::max_head"
                                : "the head is over wire_params::max_head",
                      errc::response_too_large);
    if (name.starts_with(':')) {
        if (has_head_) return refuse("the trailers have a pseudo-header");
        if (in_fields_) return refuse("a pseudo-header stands behind others");
        if (name != ":status") return refuse("the head has a pseudo-header that is none of an answer's");
        if (has_status_) return refuse("the status stands twice");
        return put_status(value);
    }
    in_fields_ = true;
    if (++fields_ > limits_.max_headers)
        return refuse("the headers are more than wire_params::max_headers", errc::response_too_large);
    if (!is_name(name)) return refuse("a header's name has a character that none may have");
    value = without_blanks(value);
    if (!is_value(value)) return refuse("a header's value has a control character in it");
    if (has_head_) return true;
    if (!has_status_) return refuse("the head has no status");
    if (is_of_connection(name)) return refuse("the head has a header of HTTP/1.1's connections");
    if (name == "content-length" && !put_length(value)) return false;
    if (name == "content-encoding") body_.read_coding(value);
    out_.add_header(name, value);
    return true;
}

bool http2_answer::end_block(bool last) {
    if (has_head_) return last || refuse("the trailers do not end the answer");
    if (!has_status_) return refuse("the head has no status");
    if (out_.status() < 200) {
        if (last || length_) return refuse("an interim answer has a body, or nothing behind it");
        if (++interim_ > max_interim) return refuse("more than 8 interim answers");
        out_.clear();
        body_ = answer_body(out_, limits_, expected_);
        head_size_ = 0;
        fields_ = 0;
        return true;
    }
    has_head_ = true;
    auto const problem = body_.begin(has_no_body() ? 0 : length_.value_or(0));
    return !problem || refuse(problem.rule, problem.code);
}

bool http2_answer::put_data(std::string_view bytes) {
    if (!has_head_) return refuse("the body comes before its head");
    if (bytes.empty()) return true;
    if (has_no_body()) return refuse("an answer that has no body has one");
    received_ += bytes.size();
    if (length_ && received_ > *length_) return refuse("the body is longer than its Content-Length");
    auto const problem = body_.put(bytes);
    return !problem || refuse(problem.rule, problem.code);
}

bool http2_answer::end() {
    if (!has_head_) return refuse("the answer ends before its head");
    if (length_ && !has_no_body() && received_ != *length_)
        return refuse("the body is shorter than its Content-Length");
    auto const problem = body_.finish();
    return !problem || refuse(problem.rule, problem.code);
}

}  // namespace jirapool::detail
