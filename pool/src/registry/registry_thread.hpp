#pragma once

#include "registry/file_events.hpp"
#include "registry/secret_round.hpp"

#include <jirapool/core/registry_ledger.hpp>
#include <jirapool/pool/connections_watch.hpp>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace jirapool::detail {

/** The thread of a watch, and what it shares with the watch's handle. It may outlive the handle while a file system does not answer. */
class registry_thread : public std::enable_shared_from_this<registry_thread> {
public:
    registry_thread(std::weak_ptr<engine> e, std::string path, watch_params p);

    /// Throws std::system_error when there is no thread.
    void start();
    void reload() noexcept { events_.wake(); }
    bool wait_for_first(std::chrono::milliseconds at_most);
    std::shared_ptr<reload_report const> last() const;
    void stop() noexcept;

private:
    void run() noexcept;
    bool stopped() const;
    /// Until nothing changes any more.
    void settle();
    reload_report read_once();
    std::vector<std::string> files_to_read(std::vector<registry_problem>& problems) const;
    std::vector<read_file_of_connections> read(std::vector<std::string> const& files, secret_round::secrets& given);
    void carry_out(registry_ledger::plan plan, reload_report& report);
    /// @return whether the registry has it now. What is wrong is in the report, and `stopped` there when the client is.
    bool carry_out(engine& e, registry_step& s, reload_report& report);
    void remove(engine& e, std::string const& id);
    /// @return 0, or the errno of what cannot be looked at.
    int look_at(std::vector<std::string> const& files);
    void tell(std::shared_ptr<reload_report const> report);

    std::weak_ptr<engine> const engine_;
    std::string const path_;
    watch_params const params_;
    bool const is_directory_;
    file_events events_;

    // The thread's alone.
    registry_ledger ledger_;
    std::set<std::string> secret_files_;
    // What the watch added: the program may have another under its id. Without a value: of an id that is being added.
    std::map<std::string, std::optional<connection>, std::less<>> added_;
    bool client_stopped_ = false;
    bool provider_failed_ = false;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::shared_ptr<reload_report const> last_;
    std::shared_ptr<secret_round> round_;
    bool stopped_ = false;
    bool ended_ = false;
    bool telling_ = false;
    std::thread::id id_;
};

}  // namespace jirapool::detail
