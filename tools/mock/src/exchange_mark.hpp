#pragma once

#include <cstddef>
#include <utility>

namespace jirapool::mock {

class tally;

/// While it lives, a token exchange counts as in flight.
class exchange_mark {
public:
    exchange_mark() = default;
    exchange_mark(tally& owner, std::size_t connection) noexcept : owner_(&owner), connection_(connection) {}
    exchange_mark(exchange_mark&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), connection_(other.connection_) {}
    exchange_mark& operator=(exchange_mark&& other) noexcept {
        std::swap(owner_, other.owner_);
        std::swap(connection_, other.connection_);
        return *this;
    }
    ~exchange_mark() { end(); }
    void end() noexcept;

private:
    tally* owner_ = nullptr;
    std::size_t connection_ = 0;
};

}  // namespace jirapool::mock
