#pragma once

#include "exchange/channel.hpp"
#include "exchange/content_decoder.hpp"
#include "wait/timers.hpp"

#include <jirapool/pool/streams.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <memory>

namespace jirapool::detail {

/// Who is told of each piece that a sink took, as so much may be sent ahead again.
class room_watch {
public:
    /// `bytes`: as they were on the wire.
    virtual void on_room(std::size_t bytes) noexcept = 0;

protected:
    ~room_watch() = default;
};

/** A call's sink, as the channel sees it: takes the body as it was on the wire out of the response, decodes it, and gives it
    to the caller's sink in pieces of bounded size.

    @par Threads   Its shard's. */
class sink_stream {
public:
    /// The channel passes on what it has when it has so much: with a TLS record more it is still one piece.
    static constexpr std::size_t enough = 48u << 10;

    /// Whether the body of an answer with this head is the sink's. The others stay in the response.
    using takes_body = bool (*)(response const& head) noexcept;

    sink_stream(std::shared_ptr<body_sink> s, takes_body takes, timers& t, asio::any_io_executor ex,
                std::uint32_t max_ratio);

    takes_body takes() const noexcept { return takes_; }

    /// Before each exchange.
    void restart() noexcept;
    /** Passes on, and takes away, what `out` holds of the body. `last`: the body ends there. Not past the deadline, which is
        the call's. `room` may be null. */
    asio::awaitable<stream_step> pass(response* out, content_coding coding, bool last, steady_time deadline,
                                      room_watch* room = nullptr);
    /// The body may come (again) from its start.
    bool may_restart() const noexcept { return !wrote_ || sink_->can_restart(); }

private:
    static constexpr std::size_t most_piece = 64u << 10;

    stream_step begin(response const& head, content_coding coding);
    asio::awaitable<stream_step> decode(steady_time deadline, room_watch* room);
    asio::awaitable<stream_step> write(steady_time deadline, room_watch* room);
    asio::awaitable<stream_step> end(steady_time deadline);

    std::shared_ptr<body_sink> sink_;
    takes_body takes_;
    timers& timers_;
    asio::any_io_executor executor_;
    std::unique_ptr<content_decoder> decoder_;
    padded_buffer raw_;  // as it was on the wire, when that is to be decoded
    std::shared_ptr<padded_buffer> piece_ = std::make_shared<padded_buffer>();  // the sink may outlast us with it
    std::uint32_t max_ratio_;
    bool begun_ = false;
    bool wrote_ = false;  // in an exchange before as well
};

}  // namespace jirapool::detail
