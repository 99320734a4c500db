#pragma once

#include "token_file.hpp"

#include <jirapool/metrics/page.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool::metrics {

/** What the listener answers: from the head of a request to the bytes of its answer, without a socket.

    @par Threads   One at a time. */
class page_table {
public:
    /// @param token  whoever does not show it gets 401; while it has none everybody gets 503. None: whoever comes is served.
    explicit page_table(std::vector<page> pages, std::optional<token_file> token = std::nullopt)
        : pages_(std::move(pages)), token_(std::move(token)) {}

    /// The whole answer to a request whose head is whole. What comes behind the head is not looked at.
    std::string answer(std::string_view head);
    /// The answer to a head that is too long.
    static std::string answer_to_too_long();

private:
    std::vector<page> pages_;
    std::optional<token_file> token_;
};

}  // namespace jirapool::metrics
