#pragma once

#include <string>
#include <string_view>

namespace jirapool::mock {

class reply;

std::string gzip(std::string_view text);
std::string brotli(std::string_view text);

/// Compresses the body as Jira's edge does, if the client offers to understand it: br rather than gzip.
void compress(reply& r, std::string_view accept_encoding);

}  // namespace jirapool::mock
