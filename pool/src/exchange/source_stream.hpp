#pragma once

#include "exchange/channel.hpp"
#include "wait/timers.hpp"

#include <jirapool/pool/streams.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

namespace jirapool::detail {

/** A call's source, as the channel sees it.

    @par Threads   Its shard's. */
class source_stream {
public:
    source_stream(std::shared_ptr<body_source> s, timers& t, asio::any_io_executor ex);

    std::uint64_t size() const noexcept { return size_; }
    /// Bytes that were not read yet.
    std::uint64_t left() const noexcept { return left_; }
    struct piece {
        std::string_view data;  ///< stays until the next one
        stream_step step;
    };
    /// The next piece, while there is something left. Not past the deadline, which is the call's.
    asio::awaitable<piece> next(steady_time deadline);
    /// The body can be sent (again) from its start.
    bool rewind() noexcept;

private:
    static constexpr std::size_t most_piece = 64u << 10;

    std::shared_ptr<body_source> source_;
    timers& timers_;
    asio::any_io_executor executor_;
    std::shared_ptr<char[]> buffer_;  // the source may outlast us with it
    std::uint64_t size_;
    std::uint64_t left_;
    bool used_ = false;
};

}  // namespace jirapool::detail
