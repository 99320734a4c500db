#pragma once

#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>

namespace jirapool {

struct loose_number {
    double value;           ///< never NaN; infinite when it is beyond all doubles
    std::string_view rest;  ///< of the text, behind the number
};

/// The number at the front of `text`, as people and their programs spell it: "+3", "-0.5", "299.997", "1e3", ".5", "3.". Nothing
/// when it begins with none.
inline std::optional<loose_number> read_loose_number(std::string_view text) noexcept {
    if (text.starts_with('+')) text.remove_prefix(1);
    auto const unsigned_text = text.substr(text.starts_with('-') ? 1 : 0);
    // from_chars takes "inf" and "nan" as well.
    if (unsigned_text.empty() || unsigned_text.find_first_of("0123456789.") != 0) return std::nullopt;
    double value = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec == std::errc::result_out_of_range) {
        // Too large, or so small that it is nothing.
        auto const whole = unsigned_text.substr(0, unsigned_text.find_first_not_of("0123456789"));
        auto const exponent = text.substr(0, static_cast<std::size_t>(end - text.data())).find_first_of("eE");
        bool const tiny = exponent != text.npos ? text[exponent + 1] == '-'
                                                : whole.find_first_not_of('0') == whole.npos;
        value = tiny ? 0 : std::numeric_limits<double>::infinity();
        if (text.starts_with('-')) value = -value;
    } else if (ec != std::errc()) {
        return std::nullopt;
    }
    return loose_number{value, text.substr(static_cast<std::size_t>(end - text.data()))};
}

}  // namespace jirapool
