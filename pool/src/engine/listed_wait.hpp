#pragma once

#include "wait/wait_point.hpp"

#include <vector>

namespace jirapool::detail {

/// In the list for as long as it lives: also when its coroutine is destroyed in the middle of the wait.
class listed_wait {
public:
    listed_wait(std::vector<wait_point*>& l, timers& t, asio::any_io_executor ex) : point(t, std::move(ex)), list_(l) {
        list_.push_back(&point);
    }
    ~listed_wait() { std::erase(list_, &point); }
    listed_wait(listed_wait const&) = delete;
    listed_wait& operator=(listed_wait const&) = delete;
    wait_point point;

private:
    std::vector<wait_point*>& list_;
};

}  // namespace jirapool::detail
