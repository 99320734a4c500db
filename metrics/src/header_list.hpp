#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace jirapool::metrics {

/// One element of an `Accept` or `Accept-Encoding` header.
struct header_choice {
    std::string_view what;  ///< "text/plain", "gzip"
    /// The value of its parameter of that name, without quotes; none when it has no such parameter.
    std::optional<std::string_view> parameter(std::string_view name) const noexcept;
    double weight = 1;                                                      ///< its `q`, 0 to 1
    std::vector<std::pair<std::string_view, std::string_view>> parameters;  ///< but `q`
};

/// The elements of such a header, in order, as RFC 9110, 5.6 and 12.4.2, has them. What cannot be read is left out.
std::vector<header_choice> parse_choices(std::string_view header);

/// As HTTP compares names: without regard to the case of ASCII letters.
bool same_name(std::string_view a, std::string_view b) noexcept;

/// Without spaces and tabs around it.
std::string_view trimmed(std::string_view text) noexcept;

/// Whether an `Accept-Encoding` header takes gzip: by name, or by a wildcard that no `gzip;q=0` takes back.
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace jirapool::metrics
