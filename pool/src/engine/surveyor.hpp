#pragma once

#include "engine/connection_list.hpp"
#include "engine/shard_context.hpp"
#include "engine/site_state.hpp"

#include <jirapool/core/overview.hpp>
#include <jirapool/core/time.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

namespace jirapool::detail {

/** Where what a shard saw last is found by other threads, and where they ask for more. It may outlive its shard.

    @par Threads   Any. The lock is held to swap pointers; no call takes it. */
class survey_board {
public:
    /// What somebody waits for.
    struct ticket {
        std::uint64_t number = 0;  ///< of the survey that is awaited
        bool begins = false;       ///< the caller is to have the shard begin
    };
    /// `all`: with all sites; who asks for them waits with wait_for_all.
    ticket ask(bool all, steady_time now) noexcept;
    /// The shard is gone: what was seen last is there at once.
    ticket ask_in_vain(bool all) noexcept;
    /// The shard cannot be asked: whoever waits waits no more.
    void give_up() noexcept;
    /// What was seen last, once that is of the ticket, or patience is over; null: nothing was seen yet.
    std::shared_ptr<survey const> wait(ticket t, std::chrono::milliseconds patience) const;
    /// All sites, in no order; null: they did not come in time.
    std::shared_ptr<std::vector<site_snapshot> const> wait_for_all(ticket t, std::chrono::milliseconds patience);
    overview::shard_pace pace(steady_time now) const noexcept;

    // For the shard.
    /// It runs on this thread, at least now: there nobody waits for a survey, which would wait for itself.
    void on_shards_thread() noexcept;
    /// @return whether all sites are wanted.
    bool begin(steady_time now) noexcept;
    /// @return whether the next one is asked for already. Null: there was no memory for it.
    bool end(std::shared_ptr<survey const> seen, std::shared_ptr<std::vector<site_snapshot> const> all,
             steady_time now) noexcept;

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable news_;
    std::shared_ptr<survey const> last_;
    // There may be a million: whoever waited for them destroys them, and not the shard.
    std::shared_ptr<std::vector<site_snapshot> const> all_sites_;
    std::size_t wait_for_all_ = 0;
    std::uint64_t begun_ = 0;  // surveys
    std::uint64_t done_ = 0;
    std::thread::id thread_;  // the shard's, in the last survey
    bool running_ = false;    // asked for, or under way
    bool again_ = false;      // asked for since it began
    bool all_ = false;
    steady_time asked_{};
    bool waits_ = false;  // since asked_, for its begin
    steady_duration lag_{};
    steady_time ended_{};  // the last survey
};

/** Looks at all connections and sites of a shard, a piece at a time: for metrics and pages, which visit no shard otherwise. It decides
    which sites are followed (site_tracks): those of the list that params have, and those in most trouble.

    @par Threads   Its shard's. */
class surveyor {
public:
    /// Keeps references: to what the owner has.
    surveyor(shard_context& c, connection_list& l);
    surveyor(surveyor const&) = delete;
    surveyor& operator=(surveyor const&) = delete;
    ~surveyor();

    std::shared_ptr<survey_board> const& board() const noexcept { return board_; }

    /// Begins to look, or goes on: a piece. True: there is more to do, soon.
    bool go_on() noexcept;
    /// Does not go on: who waits has what was seen before.
    void drop() noexcept;

private:
    struct seen_site;
    struct round;

    void look_at(std::shared_ptr<connection_entry> const& e, steady_time now);
    void look_at_end(std::shared_ptr<connection_entry> const& e);
    void look_at_site(std::shared_ptr<connection_entry> const& e, std::shared_ptr<site_state> const& known,
                      steady_time now);
    /// Another app's points at a site that was seen already.
    void note_less(site_state const& s, budget_left const& points);
    bool end_round() noexcept;
    /// Gives tracks to those that were chosen, and takes those of the others.
    void follow(round& r);
    void leave_room_for_others(round& r);
    std::size_t most_connections() const noexcept;

    shard_context& context_;
    connection_list& connections_;
    std::shared_ptr<survey_board> const board_;
    std::unique_ptr<round> round_;
    std::unordered_set<std::string_view> const listed_;  // of params
    std::vector<std::weak_ptr<site_state>> followed_;
    std::uint16_t number_ = 0;  // of the round, over and over
};

}  // namespace jirapool::detail
