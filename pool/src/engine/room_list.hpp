#pragma once

#include "exchange/channel.hpp"

#include <cstddef>
#include <cstdint>

namespace jirapool::detail {

/// Channels that are leased and may have one more exchange, in the order in which they are to be filled. Needs no memory.
class room_list {
public:
    std::size_t size() const noexcept { return size_; }
    /// nullptr: there is none.
    channel* first() const noexcept { return first_; }

    void enter_first(channel& c) noexcept {
        c.next = first_;
        (first_ != nullptr ? first_->previous : last_) = &c;
        first_ = &c;
        entered(c);
    }
    void enter_last(channel& c) noexcept {
        c.previous = last_;
        (last_ != nullptr ? last_->next : first_) = &c;
        last_ = &c;
        entered(c);
    }
    void leave(channel& c) noexcept {
        (c.previous != nullptr ? c.previous->next : first_) = c.next;
        (c.next != nullptr ? c.next->previous : last_) = c.previous;
        c.previous = c.next = nullptr;
        c.has_room = false;
        --size_;
    }

private:
    void entered(channel& c) noexcept {
        c.has_room = true;
        ++size_;
    }

    channel* first_ = nullptr;
    channel* last_ = nullptr;
    std::uint32_t size_ = 0;
};

}  // namespace jirapool::detail
