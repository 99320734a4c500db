#pragma once

#include "programs_ledger.hpp"

#include <jirapool/mock/server.hpp>
#include <jirapool/pool/runtime.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace jirapool::border_test {

using namespace std::chrono_literals;

/// A context of the user's with the threads that run it.
class user_context {
public:
    enum class kind : std::uint8_t { polled, one_thread, two_threads, pool };
    static constexpr std::uint8_t kind_count = 4;

    user_context(world& w, std::size_t index, kind k);
    ~user_context();

    /// Runs what is ready when it has no threads of its own.
    void poll();
    asio::any_io_executor const& plain() const noexcept { return state_->plain; }
    asio::any_io_executor const& serial() const noexcept { return state_->serial; }
    /// The program's thread runs it, and so may touch what belongs to it at any time.
    bool is_polled() const noexcept { return io_ && threads_.empty(); }
    bool plain_is_serial() const noexcept { return plain_is_serial_; }
    std::shared_ptr<context_state> const& state() const noexcept { return state_; }

private:
    void run();
    /// An exception left this function of io_context: only the user's may.
    void left(char const* function, std::exception_ptr e) const;

    world& world_;
    std::shared_ptr<context_state> state_ = std::make_shared<context_state>();
    std::unique_ptr<asio::io_context> io_;
    std::unique_ptr<asio::thread_pool> pool_;
    bool plain_is_serial_ = false;
    std::vector<std::thread> threads_;
};

/// Somebody is at work in a world, maybe on a thread that nobody joins: that of a runtime which its own handler destroys.
class visit {
public:
    explicit visit(world& w);
    ~visit();
    visit(visit const&) = delete;
    visit& operator=(visit const&) = delete;

private:
    world& world_;
};

/// A client or a runtime.
class host {
public:
    host(world& w, user_context& c, bool serial, client_params p);
    host(world& w, unsigned threads, client_params p);
    ~host();
    connections& operator*() const noexcept { return client_ ? static_cast<connections&>(*client_) : *runtime_; }
    connections* operator->() const noexcept { return &**this; }
    std::shared_ptr<context_state> const& base() const noexcept { return base_; }

private:
    visit const at_work_;
    world& world_;
    std::shared_ptr<context_state> base_;
    std::unique_ptr<client> client_;
    std::unique_ptr<runtime> runtime_;
};

/// What all programs of a process share: a Jira, an address that refuses, and one that never answers.
class surroundings {
public:
    surroundings();
    client_params const& params() const noexcept { return params_; }
    connection_config config(std::size_t which) const;
    std::size_t connections() const noexcept { return jira_.world().connections().size(); }
    mock::server& jira() noexcept { return jira_; }

private:
    mock::server jira_;
    asio::io_context io_;
    asio::ip::tcp::acceptor silent_;
    std::shared_ptr<void> ca_;
    client_params params_;
};

/// One program's slots, and the ledger of its calls.
class world {
public:
    world(surroundings& s, progress& p) : around(s), report(p) {}
    /// Ends what the program left, and holds the ledger against the rules.
    ~world();

    struct handle {
        std::optional<connection> c;
        std::weak_ptr<border_test::host> owner;
        std::shared_ptr<context_state> base;
    };
    struct signal {
        std::unique_ptr<asio::cancellation_signal> s = std::make_unique<asio::cancellation_signal>();
        std::shared_ptr<ticket> user;
    };

    std::shared_ptr<border_test::host> host_at(std::size_t i) const;
    void put_host(std::size_t i, std::shared_ptr<border_test::host> h);
    handle handle_at(std::size_t i) const;
    void put_handle(std::size_t i, handle h);

    /// Signals 1 to 3 belong to the contexts' serial executors, 0 and 4 to the thread of the program.
    user_context* owner_of_signal(std::size_t i) const;
    /// Does it there; at once when that is this thread, or may be and is wanted so.
    void at_signal(std::size_t i, bool at_once, std::function<void()> f);
    /// The slot of a signal for a call that begins now; none while another call has it.
    asio::cancellation_slot take_slot(std::size_t i, std::shared_ptr<ticket> const& t);

    std::shared_ptr<ticket> new_ticket(char const* what, handle const& h, std::shared_ptr<context_state> own,
                                       std::uint8_t reaction);
    void react(ticket const& t, std::uint8_t reaction);
    void end_host(std::shared_ptr<border_test::host> h);
    void check_place(ticket const& t, bool at_once, std::string const& with);
    void complain(std::string const& text);

    void poll();
    std::size_t open_calls() const;
    /// Until the condition holds, running what has no threads. False: it never did.
    bool wait(std::chrono::milliseconds limit, std::function<bool()> const& condition);

    surroundings& around;
    progress& report;
    std::array<std::unique_ptr<user_context>, context_slots> contexts;
    std::array<signal, signal_slots> signals;
    std::atomic<int> streams{0};  ///< sinks and sources that exist
    std::atomic<int> visits{0};

private:
    mutable std::mutex mutex_;
    std::array<std::shared_ptr<border_test::host>, host_slots> hosts_;
    std::array<handle, handle_slots> handles_;
    std::vector<std::shared_ptr<ticket>> tickets_;
    std::thread::id const main_ = std::this_thread::get_id();
};

/// Starts one call: form, shape, reaction, signal, context, manner and place are numbers of step::with.
bool start_call(world& w, step const& s);
bool start_drain(world& w, step const& s);
/// What a handler starts in its turn: without a signal, on no other executor than its own.
void call_again(world& w, ticket const& t);
body_streams make_streams(world& w, std::shared_ptr<ticket> const& t, bool source, bool sink, std::uint8_t manner);

}  // namespace jirapool::border_test
