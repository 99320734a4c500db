#include "exchange/source_stream.hpp"

#include "exchange/caller_wait.hpp"

#include <algorithm>
#include <utility>

namespace jirapool::detail {

namespace {

// Owns what it uses: see wait_for_caller.
asio::awaitable<result<std::size_t>> read_piece(std::shared_ptr<body_source> source, std::shared_ptr<char[]> to,
                                                std::size_t max) {
    result<std::size_t> got = co_await source->read(to.get(), max);
    co_return got;
}

failure why_bad(result<std::size_t> const& got, std::size_t max) {
    if (!got) return got.error().code() ? got.error() : failure(errc::source_failed);
    if (*got == 0) return {errc::source_failed, "the call's source ended before its size"};
    if (*got > max) return {errc::source_failed, "the call's source gave more than it was asked for"};
    return {};
}

}  // namespace

source_stream::source_stream(std::shared_ptr<body_source> s, timers& t, asio::any_io_executor ex)
    : source_(std::move(s)), timers_(t), executor_(std::move(ex)), size_(source_->size()), left_(size_) {}

asio::awaitable<source_stream::piece> source_stream::next(steady_time deadline) {
    if (!buffer_) buffer_ = std::make_shared<char[]>(most_piece);
    auto const max = static_cast<std::size_t>(std::min<std::uint64_t>(left_, most_piece));
    used_ = true;
    auto reading = read_piece(source_, buffer_, max);
    result<std::size_t> got = std::size_t{0};
    failure problem = co_await wait_for_caller(&timers_, executor_, std::move(reading), deadline, errc::source_failed,
                                               &got);
    // No code: it has come to an end of its own.
    bool const of_caller = !problem.code() || problem.code() == errc::source_failed;
    if (!problem.code()) problem = why_bad(got, max);
    piece next;
    if (problem.code()) {
        next.step = {std::move(problem).at(stage::write), of_caller};
        co_return next;
    }
    left_ -= *got;
    next.data = {buffer_.get(), *got};
    co_return next;
}

bool source_stream::rewind() noexcept {
    if (!used_) return true;
    if (!source_->rewind()) return false;
    used_ = false;
    left_ = size_;
    return true;
}

}  // namespace jirapool::detail
