#pragma once

#include <jirapool/pool/client.hpp>

namespace jirapool {

/** The same connections over several threads: N shards that share nothing, each with a thread, an io_context and channels of
    its own. A site belongs to one shard: no site outgrows a core. Calls come from any thread and resume their caller on its
    own executor. */
class runtime : public connections {
public:
    /// `threads` >= 1. Throws std::invalid_argument as client does.
    explicit runtime(unsigned threads, client_params p = {});
    /// Stops and joins. Not from one of its own threads.
    ~runtime();

private:
    class threads;
    std::unique_ptr<threads> threads_;
};

}  // namespace jirapool
