#include "exchange/sink_stream.hpp"

#include "exchange/caller_wait.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::detail {

namespace {

// They own what they use: see wait_for_caller.

asio::awaitable<error_code> write_piece(std::shared_ptr<body_sink> sink, std::shared_ptr<padded_buffer> body,
                                        std::size_t begin, std::size_t size) {
    error_code const ec = co_await sink->write({body->data() + begin, size});
    co_return ec;
}

asio::awaitable<error_code> write_end(std::shared_ptr<body_sink> sink) {
    error_code const ec = co_await sink->end();
    co_return ec;
}

/// The end of one step of the sink.
stream_step settle(failure interrupted, error_code const& of_sink, body_sink const& sink) {
    if (!interrupted.code() && !of_sink) return {};
    bool const of_caller = !interrupted.code() || interrupted.code() == errc::sink_failed;
    if (!interrupted.code()) {
        std::string why;
        try {
            why = sink.why();
        } catch (...) {
            why.clear();  // the code stands without it
        }
        if (why.empty()) why = "the call's sink did not take the body";
        interrupted = failure(of_sink).with_rule(std::move(why));
    }
    return {std::move(interrupted).at(stage::body), of_caller};
}

stream_step refused(content_decoder::problem const& p) { return {failure(p.code, p.rule).at(stage::body), false}; }

}  // namespace

sink_stream::sink_stream(std::shared_ptr<body_sink> s, takes_body takes, timers& t, asio::any_io_executor ex,
                         std::uint32_t max_ratio)
    : sink_(std::move(s)), takes_(takes), timers_(t), executor_(std::move(ex)), max_ratio_(max_ratio) {}

void sink_stream::restart() noexcept {
    decoder_.reset();
    begun_ = false;
}

asio::awaitable<stream_step> sink_stream::pass(response* out, content_coding coding, bool last, steady_time deadline,
                                               room_watch* room) {
    auto& taken = coding == content_coding::identity ? *piece_ : raw_;
    taken.clear();
    std::swap(taken, out->mutable_body());
    stream_step step;
    if (!begun_) step = begin(*out, coding);
    if (!step.goes_on()) co_return step;
    if (decoder_) step = co_await decode(deadline, room);
    else step = co_await write(deadline, room);
    if (step.goes_on() && last) {
        out->mutable_body() = padded_buffer();
        step = co_await end(deadline);
    }
    co_return step;
}

stream_step sink_stream::begin(response const& head, content_coding coding) {
    begun_ = true;
    if (coding != content_coding::identity) {
        auto const unlimited = std::numeric_limits<std::uint64_t>::max();
        decoder_ = std::make_unique<content_decoder>(coding, content_decoder::limits{unlimited, max_ratio_});
        piece_->clear();
        piece_->reserve(most_piece);
    }
    failure thrown;
    error_code ec;
    try {
        ec = sink_->begin(head);
    } catch (...) {
        thrown = what_failed(errc::sink_failed, std::current_exception());
    }
    return settle(std::move(thrown), ec, *sink_);
}

asio::awaitable<stream_step> sink_stream::decode(steady_time deadline, room_watch* room) {
    std::string_view left(raw_.data(), raw_.size());
    do {
        piece_->clear();
        auto const before = left.size();
        if (auto const problem = decoder_->put_some(left, *piece_, most_piece)) co_return refused(problem);
        stream_step written = co_await write(deadline, nullptr);
        if (!written.goes_on()) co_return written;
        if (room != nullptr) room->on_room(before - left.size());
    } while (decoder_->has_more());
    co_return stream_step();
}

asio::awaitable<stream_step> sink_stream::write(steady_time deadline, room_watch* room) {
    // Over HTTP/2 there may be as much as the server had room for.
    for (std::size_t at = 0; at < piece_->size(); at += most_piece) {
        wrote_ = true;
        auto const size = std::min(most_piece, piece_->size() - at);
        auto writing = write_piece(sink_, piece_, at, size);
        error_code of_sink;
        failure interrupted = co_await wait_for_caller(&timers_, executor_, std::move(writing), deadline,
                                                       errc::sink_failed, &of_sink);
        stream_step step = settle(std::move(interrupted), of_sink, *sink_);
        if (!step.goes_on()) co_return step;
        if (room != nullptr) room->on_room(size);
    }
    co_return stream_step();
}

asio::awaitable<stream_step> sink_stream::end(steady_time deadline) {
    if (decoder_)
        if (auto const problem = decoder_->finish()) co_return refused(problem);
    auto ending = write_end(sink_);
    error_code of_sink;
    failure interrupted = co_await wait_for_caller(&timers_, executor_, std::move(ending), deadline, errc::sink_failed,
                                                   &of_sink);
    co_return settle(std::move(interrupted), of_sink, *sink_);
}

}  // namespace jirapool::detail
