#pragma once

#include <jirapool/metrics/page.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace jirapool::metrics {

/// The head of a request, as far as the listener looks at it.
struct http_request {
    std::string_view method;
    page_request page;
    std::string accept_encoding;                    ///< empty without one
    std::optional<std::string_view> authorization;  ///< a credential: it is not copied
};

/** Reads a head that ends with an empty line.
    @return nothing when it is not HTTP/1, or may be understood in two ways: a folded line, a second Authorization, a name before a
            space, half a percent sign. Views are of `head`. */
std::optional<http_request> parse_http_request(std::string_view head);

}  // namespace jirapool::metrics
