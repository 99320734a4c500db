#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connections_file.hpp>
#include <jirapool/core/result.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool {

/// What was read of one file of connections.
struct read_file_of_connections {
    std::string file;
    result<connections_report> said;
};

/// One change of the registry.
struct registry_step {
    enum class kind : std::uint8_t {
        remove,   ///< the connection is named no more
        move,     ///< it is of another kind or site now: it is removed, and another one added under its id
        replace,  ///< its secret, its account or its options changed
        add,      ///< it is new
    };
    kind what;
    std::string id;
    std::string file;
    std::optional<connection_config> config;  ///< but for remove
};

/** What of the registry came from files, and what a new reading of them changes in it. A fault in a file loses nothing: what the file
    said before stays. */
class registry_ledger {
public:
    struct plan {
        /// In the order in which they are to be carried out.
        std::vector<registry_step> steps;
        std::vector<registry_problem> problems;
        std::size_t unchanged = 0;
        std::size_t kept = 0;  ///< those whose file, or what it says of them, cannot be used
    };

    /** What a reading changes. Of files that name the same connection the first one has it.

        A connection that is named no more is removed, unless it may only have become unreadable: its file cannot be used as a whole,
        or something in it has no id that could be read. */
    plan compare(std::vector<read_file_of_connections> files);

    /// The registry has this connection, of that file. Does not throw where it takes another one's place.
    void book(connection_config c, std::string file);
    /// The registry has no connection of that id.
    void forget(std::string_view id) noexcept;

    std::size_t size() const noexcept { return entries_.size(); }

private:
    struct entry {
        std::string file;
        connection_config config;
    };
    std::map<std::string, entry, std::less<>> entries_;
};

}  // namespace jirapool
