#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace jirapool::mock {

/** Events that happen at a site, one after the other, and are delivered to each enabled webhook of it: a POST, signed with its secret
    (core/doc/jira-cloud.md, 7.2). A webhook's URL says the path and the host that is named; the port of 127.0.0.1 that is
    connected to, without TLS, is said here. What is answered with 408, 409, 425, 429 or 5xx, or not at all, comes again behind all
    others, up to five times. */
struct delivery_request {
    /// Index into world::sites().
    std::size_t site = 0;
    /// Where the receiver listens: 1 to 65,535.
    std::uint32_t port = 0;
    /// How many events, 1 to 100,000. Each happened a millisecond behind the last one, as their timestamps tell, and set the issue's
    /// summary to its number: "Change 17".
    std::uint32_t events = 1;
    /// They are of PROJ-1 to PROJ-`issues`, 1 to 10,000, by chance.
    std::uint32_t issues = 10;
    /// The share that is delivered once more although it was answered well, as if Jira had not got the answer. 0 to 1.
    double repeats = 0;
    /// By how many places a delivery may come late, and a repeat behind its first. 0, all in order, to 100,000.
    std::uint32_t disorder = 0;
    /// The same figures give the same events, identifiers and order. nullopt: each time others.
    std::optional<std::uint64_t> seed;
};

/// "delivery_request::events must be 1 to 100,000", or nullptr. Whether the site exists is server::deliver's to see.
char const* why_invalid(delivery_request const& r) noexcept;

/// What became of all deliveries so far.
struct delivery_stats {
    std::uint64_t events = 0;              ///< for each webhook that they were for
    std::uint64_t repeats = 0;             ///< of them, that are to be delivered twice
    std::uint64_t pending = 0;             ///< that are still to come, repeats included
    std::uint64_t retries = 0;             ///< that were sent again for what was answered, or as nothing was
    std::uint64_t unanswered = 0;          ///< that got no answer
    std::uint64_t given_up = 0;            ///< with the sixth try, or as the server stopped
    std::map<int, std::uint64_t> answers;  ///< by status
};

}  // namespace jirapool::mock
