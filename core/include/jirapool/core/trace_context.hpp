#pragma once

#include <string_view>

namespace jirapool {

/** Whether the text may be sent as `traceparent` (https://www.w3.org/TR/trace-context/, section 3.2): "00-", the trace id of 32
    hexadecimal digits, "-", the parent id of 16, "-" and the flags of 2, all in lower case, neither id all zeros. Never allocates.

    @return nullptr when it may, else the broken rule (a literal): "traceparent must be of version 00". */
char const* why_invalid_traceparent(std::string_view text) noexcept;

/** The same for `tracestate` (section 3.3): at most 32 members `key=value` with commas between them, no key twice, keys of lower-case
    letters, digits and _ - * / @ that begin with a letter or digit, values of printable ASCII without comma and equals sign, both of at
    most 256 characters. Members that are empty count as none. */
char const* why_invalid_tracestate(std::string_view text) noexcept;

}  // namespace jirapool
