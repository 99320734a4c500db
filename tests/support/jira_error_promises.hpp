#pragma once

#include <jirapool/core/jira_error.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::test {

/// The code points of UTF-8; nothing when it is none (RFC 3629). Written by other means than the library's own check.
inline std::optional<std::u32string> code_points(std::string_view text) {
    std::u32string out;
    for (std::size_t i = 0; i < text.size();) {
        auto const lead = static_cast<std::uint8_t>(text[i++]);
        if (lead < 0x80) {
            out.push_back(lead);
            continue;
        }
        int tails = 0;
        for (auto rest = static_cast<std::uint8_t>(lead << 1); (rest & 0x80) != 0;
             rest = static_cast<std::uint8_t>(rest << 1))
            ++tails;
        if (tails < 1 || tails > 3) return std::nullopt;
        char32_t c = lead & (0x3f >> tails);
        for (int k = 0; k < tails; ++k) {
            if (i == text.size() || (static_cast<std::uint8_t>(text[i]) & 0xc0) != 0x80) return std::nullopt;
            c = c << 6 | (static_cast<std::uint8_t>(text[i++]) & 0x3f);
        }
        constexpr char32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (c < least[tails] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return std::nullopt;
        out.push_back(c);
    }
    return out;
}

/// One line of UTF-8 without control characters and marks.
inline bool is_fit_for_a_log(std::string_view text) {
    auto const all = code_points(text);
    if (!all) return false;
    for (char32_t const c : *all)
        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff) return false;
    return true;
}

/// Which of its promises a jira_error breaks; nothing when it keeps them all.
inline std::string broken_promise(jira_error const& e) {
    std::size_t size = 0;
    bool fit = true;
    bool trimmed = true;
    auto const look = [&](std::string_view text, std::size_t max) {
        size += text.size();
        fit = fit && is_fit_for_a_log(text) && text.size() <= max;
        trimmed = trimmed && !text.starts_with(' ') && !text.ends_with(' ') && text.find("  ") == text.npos;
    };
    constexpr std::size_t element = sizeof "element 18446744073709551615: ";
    for (auto const& m : e.messages) {
        look(m, jira_error::max_text + element);
        if (m.empty()) return "a message is empty";
    }
    for (auto const& [field, text] : e.fields) {
        look(field, 256 + element);
        look(text, jira_error::max_text);
        if (field.empty()) return "a field has no name";
    }
    for (auto const& header : {e.trace_id, e.failure_category, e.login_reason}) look(header, 256);
    if (!fit) return "a text is too long or not fit for a log";
    if (!trimmed) return "a text has needless blanks";
    if (size > jira_error::max_size) return "the texts are too large";
    if (e.messages.size() > jira_error::max_entries) return "too many messages";
    if (e.fields.size() > jira_error::max_entries) return "too many fields";
    if (!is_fit_for_a_log(e.text())) return "its text is not fit for a log";
    if (!is_fit_for_a_log(e.describe())) return "its description is not fit for a log";
    return {};
}

}  // namespace jirapool::test
