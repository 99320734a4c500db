#include <jirapool/tools/json_writer.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace jirapool::tools {

json_writer& json_writer::begin_object() {
    before_value();
    out_ += '{';
    ++depth_;
    first_ = true;
    return *this;
}

json_writer& json_writer::end_object() {
    --depth_;
    if (!first_) newline();
    out_ += '}';
    first_ = false;
    return *this;
}

json_writer& json_writer::begin_array() {
    before_value();
    out_ += '[';
    ++depth_;
    first_ = true;
    return *this;
}

json_writer& json_writer::end_array() {
    --depth_;
    if (!first_) newline();
    out_ += ']';
    first_ = false;
    return *this;
}

json_writer& json_writer::key(std::string_view name) {
    before_value();
    quote(name);
    out_ += ": ";
    after_key_ = true;
    return *this;
}

json_writer& json_writer::value(std::string_view text) {
    before_value();
    quote(text);
    return *this;
}

json_writer& json_writer::value(double number) {
    return literal(std::isfinite(number) ? fmt::format("{}", number) : "null");
}

json_writer& json_writer::literal(std::string_view text) {
    before_value();
    out_ += text;
    return *this;
}

std::string json_writer::take() {
    out_ += '\n';
    return std::exchange(out_, {});
}

void json_writer::before_value() {
    if (std::exchange(after_key_, false)) return;
    if (!std::exchange(first_, false)) out_ += ',';
    if (depth_ > 0) newline();
}

void json_writer::newline() {
    out_ += '\n';
    out_.append(static_cast<std::size_t>(depth_) * 2, ' ');
}

void json_writer::quote(std::string_view text) {
    out_ += '"';
    for (char const c : valid_utf8(text)) {
        switch (c) {
        case '"': out_ += "\\\""; break;
        case '\\': out_ += "\\\\"; break;
        case '\n': out_ += "\\n"; break;
        case '\r': out_ += "\\r"; break;
        case '\t': out_ += "\\t"; break;
        default:
            if (static_cast<unsigned char>(c) < 0x20) out_ += fmt::format("\\u{:04x}", static_cast<int>(c));
            else out_ += c;
        }
    }
    out_ += '"';
}

}  // namespace jirapool::tools
