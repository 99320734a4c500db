#pragma once

#include <string>
#include <string_view>

namespace jirapool::detail {

/** A body's bytes as valid UTF-8, without the byte order marks in front. UTF-16 is known by its mark; what is no UTF-8 is taken for
    Windows-1252 when `content_type` says so, else each byte that begins no character becomes U+FFFD.

    @return a view of `bytes` when `room` is empty then, else of `room`. */
std::string_view to_utf8(std::string_view bytes, std::string_view content_type, std::string& room);

}  // namespace jirapool::detail
