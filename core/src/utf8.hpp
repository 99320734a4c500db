#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jirapool {

/// Where the first byte stands that begins no character of UTF-8 (RFC 3629: no overlong form, no surrogate, nothing above
/// U+10FFFF); npos when all is well.
constexpr std::size_t first_invalid_utf8(std::string_view text) noexcept {
    auto const byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        std::uint8_t const lead = byte(i);
        std::size_t const size = lead < 0x80   ? 1
                                 : lead < 0xc2 ? 0
                                 : lead < 0xe0 ? 2
                                 : lead < 0xf0 ? 3
                                 : lead < 0xf5 ? 4
                                               : 0;
        if (size == 0 || text.size() - i < size) return i;
        for (std::size_t k = 1; k < size; ++k)
            if ((byte(i + k) & 0xc0) != 0x80) return i;
        if (size > 2) {
            std::uint8_t const second = byte(i + 1);
            bool const overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
            bool const beyond = (lead == 0xed && second >= 0xa0) || (lead == 0xf4 && second >= 0x90);
            if (overlong || beyond) return i;
        }
        i += size;
    }
    return std::string_view::npos;
}

}  // namespace jirapool
