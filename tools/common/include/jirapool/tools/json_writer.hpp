#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace jirapool::tools {

/** Writes one JSON document, two spaces an indent. The caller keeps the shape: a key before each value in an object.

    Numbers that JSON has no word for (infinity, NaN) become null; text that is not UTF-8 has each bad byte replaced. */
class json_writer {
public:
    json_writer& begin_object();
    json_writer& end_object();
    json_writer& begin_array();
    json_writer& end_array();
    json_writer& key(std::string_view name);

    json_writer& value(std::string_view text);
    json_writer& value(char const* text) { return value(std::string_view(text)); }
    json_writer& value(double number);
    template <std::integral T>
    json_writer& value(T number) {
        if constexpr (std::same_as<T, bool>) return literal(number ? "true" : "false");
        else return literal(std::to_string(number));
    }
    json_writer& null() { return literal("null"); }

    template <class T>
    json_writer& member(std::string_view name, T const& v) {
        return key(name).value(v);
    }

    /// The document, a newline behind it.
    std::string take();

private:
    json_writer& literal(std::string_view text);
    void before_value();
    void newline();
    void quote(std::string_view text);

    std::string out_;
    int depth_ = 0;
    bool first_ = true;
    bool after_key_ = false;
};

}  // namespace jirapool::tools
