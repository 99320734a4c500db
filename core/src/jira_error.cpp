#include <jirapool/core/jira_error.hpp>

#include "ascii.hpp"
#include "charset.hpp"
#include "markup.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

namespace jirapool {

namespace {

using namespace std::string_view_literals;
using detail::is;
namespace dom = simdjson::dom;

constexpr std::size_t max_read = 256u << 10;
constexpr std::size_t max_name = 256;  // of a field; of a header's value
constexpr int max_lines = 4;
constexpr int max_depth = 8;  // deeper than any shape; what is below is told as JSON

constexpr auto blanks = " \t\r\n\f\v"sv;

/// How many bytes the first character of valid UTF-8 has.
constexpr std::size_t character_size(std::string_view text) noexcept {
    auto const lead = static_cast<std::uint8_t>(text.front());
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/// White space and control characters, U+0080 to U+009F included, and Unicode's separators of lines and paragraphs.
constexpr bool is_blank(std::string_view character) noexcept {
    auto const lead = static_cast<std::uint8_t>(character.front());
    if (character.size() == 1) return lead <= 0x20 || lead == 0x7f;
    if (lead == 0xc2) return static_cast<std::uint8_t>(character[1]) < 0xa0;
    return character == "\u2028" || character == "\u2029";
}

/// The longest beginning of at most that size that cuts no character of UTF-8.
std::string_view beginning(std::string_view text, std::size_t size) noexcept {
    if (size >= text.size()) return text;
    auto const is_tail = [&](std::size_t i) { return (static_cast<std::uint8_t>(text[i]) & 0xc0) == 0x80; };
    auto const least = size - std::min<std::size_t>(size, 3);  // of what is no UTF-8 no more is taken away
    while (size > least && is_tail(size)) --size;
    return text.substr(0, size);
}

/// Fills an error within its limits.
class collector {
public:
    explicit collector(jira_error& e) noexcept : e_(&e) {}

    std::string header(response const& r, std::string_view name) { return take(one_line(r.header(name), max_name)); }

    /// `where` is a beginning of ours, "element 3: " or nothing.
    void add_message(std::string const& where, std::string_view text) {
        auto line = one_line(text, jira_error::max_text);
        if (line.empty()) return;
        line.insert(0, where);
        auto& all = e_->messages;
        if (std::find(all.begin(), all.end(), line) != all.end()) return;
        if (is_full(all.size())) return;
        line = take(std::move(line));
        if (!line.empty()) all.push_back(std::move(line));
    }

    void add_field(std::string const& where, std::string_view name, std::string_view text) {
        auto line = one_line(name, max_name);
        if (line.empty()) return add_message(where, text);
        if (is_full(e_->fields.size())) return;
        line = take(where + line);
        if (line.empty()) return;
        auto error = take(one_line(text, jira_error::max_text));
        e_->fields.emplace_back(std::move(line), std::move(error));
    }

    void say_truncated() noexcept { e_->truncated = true; }

private:
    bool is_full(std::size_t entries) noexcept {
        bool const full = entries >= jira_error::max_entries || left_ == 0;
        if (full) say_truncated();
        return full;
    }

    /// What of a line still fits. Behind one that was cut nothing does: not the first letter of the next.
    std::string take(std::string line) {
        auto part = beginning(line, left_);
        bool const whole = part.size() == line.size();
        if (!whole) say_truncated();
        if (part.ends_with(' ')) part.remove_suffix(1);
        left_ = whole ? left_ - part.size() : 0;
        line.resize(part.size());
        return line;
    }

    /// At most `max` bytes of what may be no UTF-8: simdjson unescapes "\udc00" to half a character.
    std::string one_line(std::string_view bytes, std::size_t max) {
        std::string room;
        auto text = detail::to_utf8(bytes, {}, room);
        std::string line;
        bool blank_before = false;
        for (std::string_view c; !text.empty(); text.remove_prefix(c.size())) {
            c = text.substr(0, character_size(text));
            if (is_blank(c)) {
                blank_before = !line.empty();
                continue;
            }
            if (c == "\ufeff") continue;
            if (line.size() + c.size() + (blank_before ? 1 : 0) > max) {
                say_truncated();
                break;
            }
            if (blank_before) line.push_back(' ');
            blank_before = false;
            line.append(c);
        }
        return line;
    }

    jira_error* e_;
    std::size_t left_ = jira_error::max_size;
};

/// The shapes that an error has in JSON.
class json_reader {
public:
    explicit json_reader(collector& out) noexcept : out_(&out) {}

    /// Whatever may stand for an error or several.
    void read(dom::element const& value, std::string const& where = {}, int depth = 0) {
        dom::array all;
        dom::object object;
        if (value.is_null() || value.is_bool()) return;  // {"error":true,"message":"…"}
        if (depth < max_depth && !value.get(all)) {
            for (dom::element const one : all) read(one, where, depth + 1);
            return;
        }
        bool const told = !value.get(object) &&
                          (object.size() == 0 || (depth < max_depth && read_object(object, where, depth)));
        if (!told) out_->add_message(where, text_of(value));
    }

    /// False when it has no elementErrors.
    bool read_element(dom::element const& value) {
        dom::object object;
        return !value.get(object) && !object["elementErrors"].error() && read_object(object, {}, 0);
    }

private:
    /// False when no member says of an error.
    bool read_object(dom::object const& object, std::string const& where, int depth) {
        bool known = false;
        auto const element = element_name(object);
        for (dom::key_value_pair const member : object) {
            if (is(member.key, "errors")) {
                read_errors(member.value, where, depth + 1);
            } else if (is(member.key, "elementerrors")) {
                read(member.value, element, depth + 1);
            } else if (has_message(member.key)) {
                read(member.value, where, depth + 1);
            } else {
                continue;
            }
            known = true;
        }
        return known;
    }

    static bool has_message(std::string_view key) noexcept {
        constexpr std::array names = {"errormessages"sv, "errormessage"sv, "message"sv,
                                      "messages"sv,      "error"sv,        "error_description"sv,
                                      "title"sv,         "detail"sv,       "warningmessages"sv};
        return std::any_of(names.begin(), names.end(), [&](auto name) { return is(key, name); });
    }

    static std::string element_name(dom::object const& object) {
        std::uint64_t number = 0;
        return object["failedElementNumber"].get(number) ? std::string() : "element " + std::to_string(number) + ": ";
    }

    /// Texts by field, or a list of errors.
    void read_errors(dom::element const& errors, std::string const& where, int depth) {
        dom::object by_field;
        if (errors.get(by_field)) return read(errors, where, depth);
        for (dom::key_value_pair const member : by_field) {
            dom::array all;
            if (member.value.get(all)) {
                out_->add_field(where, member.key, text_of(member.value));
            } else {
                for (dom::element const one : all) out_->add_field(where, member.key, text_of(one));
            }
        }
    }

    /// What is no text is told as JSON.
    static std::string text_of(dom::element const& value) {
        std::string_view text;
        if (!value.get(text)) return std::string(text);
        return value.is_null() ? std::string() : simdjson::minify(value);
    }

    collector* out_;
};

/// Nothing when it is no JSON. What it gives lives as long as the parser. `padded`: there is simdjson's padding behind the text.
std::optional<dom::element> parse(dom::parser& parser, std::string_view text, bool padded) {
    dom::element doc;
    auto const error = parser.parse(text.data(), text.size(), !padded).get(doc);
    if (error == simdjson::MEMALLOC) throw std::bad_alloc();
    return error ? std::nullopt : std::optional(doc);
}

/// Its first lines, each line break a blank at last.
void read_text(std::string_view text, collector& out) {
    std::size_t end = 0;
    for (int lines = 0; lines < max_lines && end < text.size();) {
        auto const line = text.substr(end, text.find('\n', end) - end);
        if (line.find_first_not_of(blanks) != line.npos) ++lines;
        end = std::min(end + line.size() + 1, text.size());
    }
    if (text.find_first_not_of(blanks, end) != text.npos) out.say_truncated();
    out.add_message({}, text.substr(0, end));
}

error_source read_body(std::string_view text, bool padded, collector& out) {
    if (!text.empty() && "{[\""sv.find(text.front()) != text.npos) {
        dom::parser parser;
        if (auto const doc = parse(parser, text, padded)) {
            json_reader(out).read(*doc);
            return error_source::jira;
        }
    }
    if (!detail::is_markup(text)) {
        read_text(text, out);
        return error_source::unknown;
    }
    auto const page = detail::read_page(text);
    for (auto const& heading : page.headings) out.add_message({}, heading);
    if (page.headings.empty()) read_text(page.text, out);
    return page.is_html ? error_source::edge : error_source::unknown;
}

/// What a bulk answer says of the elements that failed.
error_source read_partial_errors(std::string_view text, bool padded, collector& out) {
    if (text.find("\"elementErrors\"") == text.npos) return error_source::unknown;
    dom::parser parser;
    dom::array errors;
    auto const doc = parse(parser, text, padded);
    if (!doc || (*doc)["errors"].get(errors)) return error_source::unknown;
    bool any = false;
    json_reader reader(out);
    for (dom::element const one : errors) any = reader.read_element(one) || any;
    return any ? error_source::jira : error_source::unknown;
}

}  // namespace

char const* to_string(error_source s) noexcept {
    switch (s) {
    case error_source::unknown: return "unknown";
    case error_source::jira: return "jira";
    case error_source::edge: return "edge";
    }
    return "unknown";
}

jira_error read_jira_error(response const& r) {
    jira_error e;
    collector out(e);
    e.status = r.status();
    for (auto const name : {"atl-traceid"sv, "atl-request-id"sv, "x-arequestid"sv})
        if (e.trace_id.empty()) e.trace_id = out.header(r, name);
    e.failure_category = out.header(r, "x-failure-category");
    e.login_reason = out.header(r, "x-seraph-loginreason");

    std::string_view const body = r.body();
    bool const redirects = r.status() >= 300 && r.status() < 400;
    bool const cut = body.size() > max_read;
    if (redirects || (cut && r.ok())) return e;
    if (cut) out.say_truncated();
    std::string room;
    auto text = detail::to_utf8(beginning(body, max_read), r.header("content-type"), room);
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    bool const padded = room.empty();
    e.source = r.ok() ? read_partial_errors(text, padded, out) : read_body(text, padded, out);
    return e;
}

std::string jira_error::text() const {
    std::string all;
    auto const begin_entry = [&] { all.append(all.empty() ? "" : "; "); };
    for (auto const& message : messages) {
        begin_entry();
        all.append(message);
    }
    for (auto const& [field, error] : fields) {
        begin_entry();
        all.append(field).append(": ").append(error);
    }
    return all;
}

std::string jira_error::describe() const {
    auto line = std::to_string(status);
    if (!empty()) line.append(": ").append(text());
    char const* separator = " (";
    auto const add = [&](char const* what, std::string_view value) {
        line.append(std::exchange(separator, ", ")).append(what).append(value);
    };
    if (source == error_source::edge) add("from the edge", {});
    if (truncated) add("cut", {});
    if (!failure_category.empty()) add("", failure_category);
    if (!login_reason.empty()) add("login ", login_reason);
    if (!trace_id.empty()) add("trace ", trace_id);
    if (separator[0] == ',') line.push_back(')');
    return line;
}

}  // namespace jirapool
