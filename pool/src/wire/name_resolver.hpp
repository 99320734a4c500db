#pragma once

#include <jirapool/core/time.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace jirapool::detail {

namespace asio = boost::asio;

/// What a name has for addresses, or why there are none.
class resolved {
public:
    enum class outcome : std::uint8_t {
        found,
        no_address,  ///< an answer: the name does not exist, or has no address
        failed,      ///< the name servers failed, or could not be asked
        timeout,     ///< they were silent
        cancelled,   ///< the operation, or the shard stops
    };
    outcome how = outcome::failed;
    std::vector<asio::ip::tcp::endpoint> endpoints;
    /// Of no_address and failed, in words that live as long as the program.
    char const* problem = "";
};

/** Turns names into addresses.

    @par Threads   Its shard's. */
class name_resolver {
public:
    virtual ~name_resolver() = default;
    /// With the origin's port. Ends by the deadline, on cancellation, and when the shard stops. Throws bad_alloc.
    virtual asio::awaitable<resolved> resolve(std::string host, steady_time deadline) = 0;
};

}  // namespace jirapool::detail
