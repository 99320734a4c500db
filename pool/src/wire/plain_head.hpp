#pragma once

#include <jirapool/core/response.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jirapool::detail {

/** The head of an answer, where there is nothing to judge: whole, each line ending with CR LF, each name a token with a colon behind
    it, nothing folded, no control characters. Nearly every head is of this kind, and Beast, which goes through it byte by byte, takes
    three times as long for it.

    It decides nothing: the status line and all headers that say where the answer ends, or what is to be done with its body, are
    put together for Beast, in their order. What is not plain is Beast's as a whole, and the error with it. */
class plain_head {
public:
    /// Adds all headers to `out`, which must be empty. @return false: it is not plain, and `out` is empty.
    bool read(std::string_view bytes, std::size_t max_size, std::uint32_t max_fields, response& out);

    /// Its bytes, with the empty line behind it.
    std::size_t size() const noexcept { return size_; }
    std::uint32_t fields() const noexcept { return fields_; }
    /// A head that means the same: without the headers that are only delivered.
    std::string_view framing() const noexcept { return {framing_.data(), framing_size_}; }

private:
    bool read_fields(std::string_view bytes, std::uint32_t max_fields, response& out);
    bool keep(std::string_view line) noexcept;

    std::array<char, 512> framing_;
    std::size_t framing_size_ = 0;
    std::size_t size_ = 0;
    std::uint32_t fields_ = 0;
};

}  // namespace jirapool::detail
