#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::mock {

class world;

/** The query of a request to the admin port, read strictly: what is misspelled or told twice would go unnoticed.

    The first thing that is wrong is kept as one line that names the field and its rule. A field that is wrong reads as absent. */
class admin_fields {
public:
    admin_fields(std::string_view query, std::initializer_list<std::string_view> names);

    std::optional<std::string> text(std::string_view name) const;
    std::optional<double> number(std::string_view name, double most);
    std::optional<std::uint64_t> whole(std::string_view name, std::uint64_t least, std::uint64_t most);
    /// Index of a site by its host, and of a connection by its id.
    std::optional<std::size_t> site(std::string_view name, world const& w);
    std::optional<std::size_t> connection(std::string_view name, world const& w);

    /// That of the caller's rules which field breaks.
    void refuse(std::string_view name, std::string_view rule);
    /// Empty: nothing is wrong.
    std::string const& problem() const noexcept { return problem_; }

private:
    std::string_view query_;
    std::string problem_;
};

}  // namespace jirapool::mock
