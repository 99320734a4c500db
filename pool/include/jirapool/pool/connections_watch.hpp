#pragma once

#include <jirapool/core/connections_file.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/secret.hpp>
#include <jirapool/pool/client.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace jirapool {

namespace detail {
class registry_thread;
}

/// What a reading of the watched files changed.
struct reload_report {
    std::size_t added = 0;
    std::size_t replaced = 0;  ///< connections with another secret, account or option
    std::size_t moved =
        0;  ///< connections of another kind or site: handles to the old ones are dead (connection_removed)
    std::size_t removed = 0;
    std::size_t unchanged = 0;
    std::size_t kept = 0;  ///< connections that stay as they were, as what a file says of them now cannot be used
    /// What cannot be used, and why. A file's name, and the failure, which names line and column, or connection, field and rule. When
    /// the failure is `stopped`, the client was.
    std::vector<registry_problem> problems;

    /// In one line, fit for logs: "2 added, 1 replaced, 2997 unchanged; 1 problem: connections.json: connection 'acme': …".
    std::string describe() const;
};

/** Asks whoever keeps secrets, a vault as a rule, for the secret under a name. Its failure is told in the report as it is: it must quote
    no secret. It is a coroutine on the client's executor, or on that of
    a runtime's first shard, and must not block. What it throws is an error of that secret. It is cancelled (terminal) when it takes too
    long. */
using secret_provider = std::function<asio::awaitable<result<secret>>(std::string name)>;

/// How files of connections are watched.
struct watch_params {
    /// For how long nothing may change before the files are read: who writes several writes them one after the other.
    /// At most ten times as long, if changes do not end. 0 to 60 s.
    std::chrono::milliseconds settle{200};
    /// How often the files are read again without a sign of a change, and providers are asked again: not every file system tells of
    /// changes that another machine makes. 0: never. At most a day.
    std::chrono::seconds reread_every{300};
    /// How `{"env":…}` and `{"file":…}` become secrets; null: system_secrets(). It is asked on the watch's thread, and may block. What it
    /// throws is an error of that secret. Files that it is asked for are watched as well.
    std::shared_ptr<secret_source const> secrets;
    /// Who has the secrets of `{"provider":"NAME"}`. Without one such a connection is a problem. It is asked for all of them at each
    /// reading.
    secret_provider provider;
    /// Behind a reading for which the provider did not give all secrets there is another one after this, doubled each time up to five
    /// minutes. Greater than 0, at most an hour.
    std::chrono::milliseconds provider_retry{5'000};
    /// The most that may be asked at the same time in one reading; one that ignores its cancellation may be left over from an earlier
    /// one. 1 to 1,000.
    std::size_t provider_parallel = 16;
    /// How long the provider has for all secrets of a reading. Those that it did not give are problems. Greater than 0, at most an hour.
    std::chrono::milliseconds provider_timeout{30'000};
    /// A function that is told of each reading, the first one as well. It is called on the watch's thread, and may call anything of the
    /// watch and the client. What it throws is ignored.
    std::function<void(reload_report const&)> on_reload;
};

/// Checks the params. @return nullptr, or the rule that is broken: "watch_params::settle must be 0 to 60 s".
char const* why_invalid(watch_params const& p) noexcept;

/** Keeps a client's connections as a file, or the `*.json` files of a directory, say: those that come are added, those that go are removed,
    those whose secret, account or options change are replaced. The others keep their channels and tokens.

    @par Files    Of a directory all `*.json` files that do not begin with a dot, none below it; of a connection in two of them the first
                  by name has it. They are regular files, or links to some: what can be read only once cannot be watched. A relative
                  path, also of a `{"file":"PATH"}`, begins at the process's working directory.
    @par Changes  The files, and those that `{"file":"PATH"}` names, are watched by inotify, also where they are reached by symbolic
                  links that are set anew, as Kubernetes does it, and where a directory above them comes later. They are read when
                  nothing changed for watch_params::settle.
    @par Faults   A file that cannot be used changes nothing: what it said before stays, and reload_report::problems tells why, with line
                  and column. So does a connection with a fault; the other connections of its file go on to change, but none is removed
                  while one has no id that can be read. A file that is gone is such a fault; in a directory it was taken away, and
                  its connections with it. A directory that is gone, or holds no such file any more, is a fault.
    @par Rotation A call that has begun ends with the secret that it began with, so two secrets are live while calls are in flight. An OAuth
                  token that is valid is used until the new secret is exchanged.
    @par Whose    Only connections that the watch added are changed by it. One that the program added itself, and that a file names too,
                  is a problem (duplicate_id). What the program does to a watched one stands until its file says something else of it.
                  Two watches on one client, one behind the other or at once, are strangers to each other in this too.
    @par Pace     Reading and comparing are done on a thread of the watch's own. Changes go to the shards in portions of 16, so that
                  calls come between.
    @par Memory   The watch keeps the configurations, secrets included, to compare.
    @par Threads  All functions may be called from any thread.
    @par Lifetime Watch and client may be destroyed in any order, from any handler and from on_reload. When the client is stopped, the watch
                  ends. */
class connections_watch {
public:
    /// Begins to watch, and reads the files at once, in the background. Whether the path is a directory is looked at here; a path that does
    /// not exist yet is a file's. Throws std::invalid_argument when why_invalid(p) names a rule or the path is empty or has a NUL, and
    /// std::system_error when there is no thread or descriptor for it.
    connections_watch(connections& registry, std::string path, watch_params p = {});
    /// Ends the watch, as `stop` does. A file system that does not answer is not waited for.
    ~connections_watch();
    connections_watch(connections_watch const&) = delete;
    connections_watch& operator=(connections_watch const&) = delete;

    /// The files are read again, and providers asked again, as after a change. It may be called in a signal handler, for SIGHUP.
    void reload() noexcept;

    /// Waits until the files were read, for the first time or since; at once when they were. Behind it `last` has what came of it. Where
    /// providers are asked it must not be called on the client's thread, which they need.
    /// @return false when that took longer, or the watch ended before. True says nothing of problems.
    bool wait_for_first(std::chrono::milliseconds at_most);

    /// What the last reading changed; null before the first one.
    std::shared_ptr<reload_report const> last() const;

    /// Ends the watch: nothing is changed any more, and on_reload is not called again once this has returned, so one that is running is
    /// waited for, unless this is it. The connections stay.
    void stop() noexcept;

private:
    std::shared_ptr<detail::registry_thread> const thread_;
};

}  // namespace jirapool
