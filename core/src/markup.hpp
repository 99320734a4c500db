#pragma once

#include <string>
#include <string_view>
#include <vector>

// Of a page of HTML or XML what a log should have. A page is never wrong: what cannot be made sense of is left out or taken as text.

namespace jirapool::detail {

/// Whether a text is to be read by its tags.
bool is_markup(std::string_view text) noexcept;

struct page {
    bool is_html = false;               ///< or it is XML
    std::vector<std::string> headings;  ///< the texts of the first `<title>` and the first `<h1>`, when they are there
    std::string text;                   ///< without headings: all that is between the tags
};
page read_page(std::string_view markup);

}  // namespace jirapool::detail
