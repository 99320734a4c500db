#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/core/time.hpp>
#include <jirapool/tools/json_writer.hpp>

#include <optional>
#include <string>

namespace jirapool::cli {

// What several commands' documents and lines are made of.

/// "2027-03-01T12:00:00Z".
std::string time_text(wall_time t);

/// A member that is null where there is no time.
void write_time(tools::json_writer& out, char const* name, std::optional<wall_time> const& t);
/// A member that is null where the text is empty.
void write_text(tools::json_writer& out, char const* name, std::string const& text);
/// Scopes with a space between two, as an array; null where there are none.
void write_scopes(tools::json_writer& out, std::string const& scopes);
/// An object of what is wrong with a connection of a file, or with the file: which field breaks which rule.
void write_problem(tools::json_writer& out, failure const& f);

}  // namespace jirapool::cli
