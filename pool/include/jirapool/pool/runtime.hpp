#pragma once

#include <jirapool/pool/client.hpp>

namespace jirapool {

/** Jira connections over several threads: N shards that share nothing, each with a thread, an io_context and channels of
    its own. A site belongs to one shard: no site outgrows a core. Calls come from any thread and resume their caller on its
    own executor.

    @par Lifetime   Handles, calls and their signals may outlive the runtime; it may be destroyed from any handler, on its own threads
                    too, and behind main, if the program itself did not use OpenSSL before it. What is in flight ends
                    with `stopped`; later calls likewise. A handler that begins the next call must look for `stopped`: one
                    that always begins another never returns, and the destructor waits for it.
    @par Exceptions What a handler throws on a thread of the runtime's is caught, and reported as event::kind::handler_threw. */
class runtime : public connections {
public:
    /// Starts `threads` threads, 1 to 1024. Throws std::invalid_argument as client does.
    explicit runtime(unsigned threads, client_params p = {});
    /// Stops the runtime and joins its threads, within a second, whatever is under way: a sink, a source or a coroutine on a shard that has not ended
    /// after half a second is destroyed where it waits. Only for a handler that is running, and a thread that it blocks, is
    /// waited longer; from one of its own threads, not for that one.
    ~runtime();

private:
    class threads;
    std::unique_ptr<threads> threads_;
};

}  // namespace jirapool
