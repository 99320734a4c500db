#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace jirapool::detail {

namespace asio = boost::asio;

/// What a name has for addresses, or why not, in words.
struct resolved {
    std::vector<asio::ip::tcp::endpoint> endpoints;
    std::string problem;
};

/** Runs getaddrinfo, which blocks and cannot be interrupted, on threads that nobody has to wait for.

    Asio's resolver has one thread per io_context and joins it when the context is destroyed: one slow name server would hold up
    all dials of a shard, and a program's end by as long as the server takes. Here several names are looked up at once, who asks
    for a name that is being looked up shares the answer, and an answer that nobody waits for is dropped.

    @par Threads   Any. */
class name_resolver {
public:
    using function = std::function<resolved(std::string const& host)>;

    /// One lookup under way, or its answer; of one or more who wait.
    class lookup {
    public:
        /// nullptr: not yet.
        std::shared_ptr<resolved const> answer() const;
        /// Writes to the eventfd `descriptor`, of which it keeps a duplicate, when the answer is there; at once if it is.
        void notify(int descriptor);

    private:
        friend class name_resolver;
        class signal;
        void finish(resolved r);
        std::string host_;
        mutable std::mutex mutex_;
        std::shared_ptr<resolved const> answer_;
        std::shared_ptr<resolved> room_ =
            std::make_shared<resolved>();  // for it: the thread has nobody to tell of bad_alloc
        std::vector<std::shared_ptr<signal>> signals_;
    };

    /// `max_threads`: a name server that does not answer must not become a thread for each name.
    explicit name_resolver(function f, std::size_t max_threads = 16);

    /// Every call asks anew, unless the same name is being asked for at this moment. Throws when no thread can be had.
    std::shared_ptr<lookup> start(std::string const& host);

private:
    struct shared;
    static void work(std::shared_ptr<shared> s);
    std::shared_ptr<shared> shared_;
};

/// Over getaddrinfo, for port 443. One for the process.
name_resolver& system_resolver();

}  // namespace jirapool::detail
