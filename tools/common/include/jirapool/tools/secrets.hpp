#pragma once

#include <jirapool/core/connections_file.hpp>

#include <string>

namespace jirapool::tools {

/// A connections file, and what is to be said about how it is kept.
struct guarded_connections {
    result<connections_report> report;
    /// "FILE holds secrets, and its mode 0644 lets others read it: chmod 600"; empty when all is well.
    std::string warning;
};

/** As load_connections. Warns as ssh does for its keys: of a regular file that holds secrets itself, and that its group or all
    may read. Files that it refers to are not looked at: containers mount those with a mode of their own. */
guarded_connections load_guarded(std::string const& path);

}  // namespace jirapool::tools
