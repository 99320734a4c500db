#pragma once

#include "timers.hpp"
#include "wait_point.hpp"

#include <jirapool/core/quota.hpp>
#include <jirapool/core/secret.hpp>
#include <jirapool/core/token_fsm.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::detail {

class shard;
struct connection_entry;

/// An access token as it is sent: immutable, shared by the calls that carry it, wiped with the last of them.
class bearer {
public:
    bearer(secret const& token, token_generation g) : generation(g) {
        line_.append("Authorization: Bearer ").append(token.reveal()).append("\r\n");
    }
    ~bearer() { wipe(line_); }
    bearer(bearer const&) = delete;
    bearer& operator=(bearer const&) = delete;

    std::string_view line() const noexcept { return line_; }
    token_generation const generation;

private:
    std::string line_;
};

/// One OAuth credential's token in its shard: the state machine, the token, who waits, and the timer that renews ahead.
class token_source final : public timed {
public:
    token_source(token_params const& p, shard& s, connection_entry& e);
    ~token_source() override = default;

    token_fsm fsm;
    std::uint64_t app = 0;  ///< what Jira counts points by: a hash of the client id
    std::unique_ptr<points_quota> quota_at_site;
    std::shared_ptr<bearer const> current;
    std::string last_failure;  ///< why the last refresh failed; never a secret
    bool retired = false;      ///< the connection was removed: renewed no more, and no token is kept

    void retire() noexcept;
    /// Looks again when the next refresh is due.
    void schedule();
    asio::awaitable<wake> wait(steady_time deadline);
    /// The state changed: each waiting call looks again.
    void wake_all();

private:
    void on_time() override;
    void on_stop() override {}

    shard& shard_;
    connection_entry& entry_;                            // whose this is
    std::unique_ptr<std::vector<wait_point*>> waiting_;  // hardly ever does anybody wait
};

}  // namespace jirapool::detail
