#pragma once

#include <string>
#include <string_view>

namespace jirapool::detail {

/// What is wrong with it as a webhook's callback URL, a literal: https, absolute, a host that is a name or an address, no user info, a
/// port that there is. nullptr: nothing. Jira's variables (`${issue.key}`) may stand in its path and query.
char const* why_invalid_callback_url(std::string_view url);

/// A segment of a path, percent-encoded (RFC 3986, 3.3).
std::string encoded_segment(std::string_view text);

}  // namespace jirapool::detail
