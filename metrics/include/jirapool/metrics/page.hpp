#pragma once

#include <prometheus/collectable.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::metrics {

/// What a client of the listener asks of a page.
struct page_request {
    std::string path;  ///< as it was sent, without the query
    /// The query's parameters in their order, decoded; one without `=` has an empty value. Their bytes are what the client likes.
    std::vector<std::pair<std::string, std::string>> parameters;
    std::string accept;  ///< the `Accept` header, empty without one

    /// The first parameter of that name.
    std::optional<std::string_view> parameter(std::string_view name) const noexcept;
};

/// What a page says to that. A status that is no final answer with a body (200 to 599 but 204 and 304), or a content type with control
/// characters, makes it a 500. The listener compresses it for clients that can read gzip, and leaves the body out for a HEAD.
struct page_answer {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};

/// A page of the listener. Other methods than GET and HEAD never reach it.
struct page {
    std::string path;  ///< "/sites"; the whole path must be the same
    /// Called on the listener's thread, one call at a time; while it runs the listener answers nobody else. What it throws is a status 500.
    std::function<page_answer(page_request const&)> answer;
};

/** The page `/metrics`.
    @param what  not null. A `collector` is served in the format that a client asks for (exposition.hpp). Of anything else prometheus-cpp
                 knows the text format 0.0.4 only. */
page metrics_page(std::shared_ptr<prometheus::Collectable> what);

}  // namespace jirapool::metrics
