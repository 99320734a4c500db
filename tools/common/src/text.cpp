#include <jirapool/tools/text.hpp>

#include <cstddef>

namespace jirapool::tools {
namespace {

unsigned byte_at(std::string_view text, std::size_t i) noexcept {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
}

bool continues(std::string_view text, std::size_t i) noexcept { return (byte_at(text, i) & 0xc0u) == 0x80u; }

/// Bytes of the character at `i`, 0 if there is none: no overlong form, surrogate, or number above U+10FFFF.
std::size_t character_size(std::string_view text, std::size_t i) noexcept {
    unsigned const lead = byte_at(text, i);
    unsigned const second = byte_at(text, i + 1);
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return continues(text, i + 1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;
        return continues(text, i + 1) && continues(text, i + 2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;
        return continues(text, i + 1) && continues(text, i + 2) && continues(text, i + 3) ? 4 : 0;
    }
    return 0;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        std::size_t const size = character_size(text, i);
        if (size == 0) out += "\xef\xbf\xbd";
        else out += text.substr(i, size);
        i += size == 0 ? 1 : size;
    }
    return out;
}

std::string printable(std::string_view text) {
    std::string out = valid_utf8(text);
    for (std::size_t i = 0; i < out.size(); ++i) {
        auto const c = static_cast<unsigned char>(out[i]);
        // U+0080 to U+009F, control characters as well, are C2 80 to C2 9F.
        if (c == 0xc2 && byte_at(out, i + 1) < 0xa0) out.replace(i, 2, "?");
        else if (c < 0x20 || c == 0x7f) out[i] = '?';
    }
    return out;
}

}  // namespace jirapool::tools
