#include "wire/http1_channel.hpp"

#include "exchange/rate_floor.hpp"
#include "exchange/request_fields.hpp"
#include "exchange/sink_stream.hpp"
#include "exchange/source_stream.hpp"

#include <jirapool/core/secret.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <sys/socket.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace jirapool::detail {

using direction = timed_socket::direction;

namespace {

// A body up to this size travels in one write with the head; a larger one is not copied.
constexpr std::size_t inline_body = 16u << 10;

// A request must not meet the server's close on the wire: it takes time to get there, and clocks differ.
constexpr auto keep_alive_margin = std::chrono::seconds(1);

// What a channel's readiness says of it when it was used so lately is believed without a look.
constexpr auto trusted_for = std::chrono::seconds(1);

// A channel whose exchanges follow one another so closely keeps the memory that TLS reads and writes with.
constexpr auto busy_gap = std::chrono::milliseconds(100);

// A shard's turn: for so long an exchange for which there is always something to read keeps the thread to itself.
constexpr auto longest_turn = std::chrono::milliseconds(1);

// The same for what is sent to a peer that takes it at once, without a look at the clock: some 16 records of 10 to 20 us.
constexpr std::size_t most_sent_at_once = 256u << 10;

failure lost(std::string why) { return {errc::channel_lost, std::move(why)}; }

failure wait_failure(error_code const& ec) {
    if (ec == errc::timeout || ec == errc::cancelled || ec == errc::stopped) return {ec};
    return lost(ec.message());
}

/// Counts what a head takes.
class head_size {
public:
    void put(std::string_view text) noexcept { size_ += text.size(); }
    std::size_t size() const noexcept { return size_; }

private:
    std::size_t size_ = 0;
};

/// Writes it where there is room for it.
class head_writer {
public:
    explicit head_writer(char* to) noexcept : to_(to) {}
    void put(std::string_view text) noexcept { to_ = std::copy(text.begin(), text.end(), to_); }

private:
    char* to_;
};

template <class Out>
void put_field(Out& out, std::string_view name, std::string_view value) noexcept {
    out.put(name);
    out.put(": ");
    out.put(value);
    out.put("\r\n");
}

template <class Out>
void put_head(Out& out, exchange_input const& in, bool compression) noexcept {
    out.put(to_string(in.method));
    out.put(" ");
    out.put(in.base_path);
    out.put(in.target);
    out.put(" HTTP/1.1\r\n");
    put_field(out, "Host", in.host);
    for_each_field(in, compression,
                   [&](std::string_view name, std::string_view value, field_kind) { put_field(out, name, value); });
    if (auto const length = content_length_of(in)) {
        char digits[24];
        auto const end = std::to_chars(digits, digits + sizeof digits, *length).ptr;
        put_field(out, "Content-Length", {digits, end});
    }
    out.put("\r\n");
    if (in.body.size() <= inline_body) out.put(in.body);
}

}  // namespace

http1_channel::http1_channel(std::unique_ptr<timed_socket> socket, std::unique_ptr<tls_stream> tls, timers& t,
                             wire_params const& wire, read_scratch& scratch)
    : socket_(std::move(socket)),
      tls_(std::move(tls)),
      timers_(t),
      wire_(wire),
      scratch_(scratch),
      limits_{wire.max_head, wire.max_headers, wire.max_body, wire.max_ratio} {}

http1_channel::~http1_channel() { wipe(outgoing_); }

bool http1_channel::alive() noexcept {
    looked_ = false;
    // Most servers promise nothing, and a look at the clock is 30 ns.
    if (spoken_ || (usable_until != steady_time::max() && timers_.now() >= usable_until)) return false;
    // A system call less: behind the last answer nothing was left, and nothing was told since. That is to be trusted of what was in use
    // a moment ago: who does not run the executor for a while is told late.
    looked_ = drained_ && socket_->quiet() && timers_.now() - ended_ < trusted_for;
    if (looked_) return true;
    char byte;
    auto const n = ::recv(socket_->descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0) looked_ = errno == EAGAIN || errno == EWOULDBLOCK;
    else looked_ = n > 0 && silent();
    return looked_;
}

void http1_channel::rest() noexcept {
    if (!std::exchange(busy_, false)) return;
    tls_->keep_buffers(false);
}

bool http1_channel::silent() noexcept {
    // Session tickets are fine; a close_notify or anything of HTTP is not, as it belongs to nothing we asked.
    char byte;
    std::size_t got = 0;
    // Each ticket may come by itself; who sends more than a few has nothing good in mind, and is not waited for.
    constexpr int most = 8;
    auto status = tls_status::again;
    for (int i = 0; i < most && status == tls_status::again; ++i) status = tls_->read(&byte, 1, got);
    spoken_ = status != tls_status::want_read;
    return !spoken_;
}

/// After a whole answer: may the channel have another request?
void http1_channel::keep(steady_time now, exchange_report* report) noexcept {
    bool const soon = report->written - ended_ < busy_gap;
    ended_ = now;
    // To free and allocate them for each exchange costs some 5 % of it.
    if (soon && !std::exchange(busy_, true)) tls_->keep_buffers(true);
    report->announced = reader_.closes();
    report->reusable = reader_.clean() && (!tls_->has_pending() || silent());
    drained_ = tls_->drained();
    usable_until = steady_time::max();
    if (auto const patience = reader_.keep_alive_timeout()) {
        usable_until = now + *patience - keep_alive_margin;
        report->reusable = report->reusable && *patience > keep_alive_margin;
        report->announced = report->announced || *patience <= keep_alive_margin;
    }
}

failure http1_channel::late(error_code const& ec, steady_time deadline, char const* limit) const {
    if (ec == errc::timeout && timers_.now() < deadline) return {errc::timeout, limit};
    return wait_failure(ec);
}

/// TLS will not go on: why, in a sentence that ends with `when`.
failure http1_channel::ended(tls_status status, char const* when) const {
    if (status == tls_status::flooded) return {errc::protocol_error, tls_flooded};
    return lost(tls_->what_happened() + when);
}

void http1_channel::compose(exchange_input const& in) {
    bool const compression = offers_compression(in, wire_);
    // All of it at once: a string that grows leaves the credential behind in the memory that it gave up.
    head_size size;
    put_head(size, in, compression);
    outgoing_.resize(size.size());
    head_writer writer(outgoing_.data());
    put_head(writer, in, compression);
}

/// As much as goes at once, taken off `data`. `done`: all of it. `again`: enough for one turn.
tls_status http1_channel::send_some(std::string_view& data, exchange_report* report) noexcept {
    auto const enough = report->sent + most_sent_at_once;
    while (!data.empty()) {
        if (report->sent >= enough) return tls_status::again;
        std::size_t n = 0;
        auto const status = tls_->write(data.data(), data.size(), n);
        // OpenSSL may have handed a part of the record to the system: Jira may know of the request, unless it failed at once.
        if (!over(status)) report->unprocessed = false;
        if (status != tls_status::done) return status;
        report->sent += n;
        data.remove_prefix(n);
    }
    return tls_status::done;
}

/// The rest, behind a first send_some.
asio::awaitable<bool> http1_channel::send(tls_status status, std::string_view data, steady_time deadline,
                                          steady_time until, exchange_report* report) {
    for (;;) {
        if (status == tls_status::done) co_return true;
        if (over(status)) {
            report->error = ended(status, " while the request was sent").at(stage::write);
            co_return false;
        }
        auto const last = std::min(deadline, until);
        error_code ec;
        if (timers_.now() >= last) ec = errc::timeout;
        else if (status == tls_status::again) ec = co_await socket_->give_way();
        else ec = co_await socket_->wait(status == tls_status::want_read ? direction::read : direction::write, last);
        if (ec) {
            report->error =
                late(ec, deadline, "the request was not taken within wire_params::write_timeout").at(stage::write);
            co_return false;
        }
        status = send_some(data, report);
    }
}

void http1_channel::forget_outgoing() noexcept {
    wipe(outgoing_.data(), outgoing_.size());
    outgoing_.clear();
    if (outgoing_.capacity() > inline_body) outgoing_.shrink_to_fit();
}

/// The next exchange of the shard reads into the same bytes, but until then they would hold a token.
void http1_channel::forget_incoming(exchange_input const& in) noexcept {
    if (in.secret_answer) wipe(scratch_.data(), scratch_.size());
}

/// A step of a body that streams: how it went is how the exchange did.
bool http1_channel::goes_on(stream_step step, exchange_report* report) noexcept {
    if (step.goes_on()) return true;
    report->error = std::move(step.error);
    report->caller_failed = step.of_caller;
    return false;
}

/// Of the source of the body.
asio::awaitable<bool> http1_channel::next_piece(exchange_input const* in, std::string_view* piece,
                                                exchange_report* report) {
    auto next = co_await in->source->next(in->deadline);
    *piece = next.data;
    co_return goes_on(std::move(next.step), report);
}

/// What there is of the body, to its sink.
asio::awaitable<bool> http1_channel::pass_on(exchange_input const* in, response* out, bool last,
                                             exchange_report* report) {
    stream_step passed = co_await in->sink->pass(out, reader_.coding(), last, in->deadline);
    co_return goes_on(std::move(passed), report);
}

/// What did not go with the head. `piece`: what was read of the source already.
asio::awaitable<bool> http1_channel::write_body(exchange_input const* in, std::string_view piece, steady_time until,
                                                exchange_report* report) {
    bool sent = true;
    if (in->body.size() > inline_body) {
        auto body = in->body;
        auto const status = send_some(body, report);
        sent = co_await send(status, body, in->deadline, until, report);
    }
    while (sent && !piece.empty()) {
        auto const status = send_some(piece, report);
        sent = co_await send(status, piece, in->deadline, deadline_after(timers_.now(), wire_.write_timeout), report);
        if (!sent || in->source->left() == 0) break;
        sent = co_await next_piece(in, &piece, report);
    }
    co_return sent;
}

// Who refuses a body (413, 401) says so before it has all of it, and takes no more: that is there to be read, and says more than
// that the request was not taken.
asio::awaitable<bool> http1_channel::read_early_answer(exchange_input const* in, response* out,
                                                       exchange_report* report) {
    auto const ec = report->error.code();
    auto now = timers_.now();
    bool const not_taken = ec == errc::channel_lost || (ec == errc::timeout && now < in->deadline);
    if (!not_taken || report->unprocessed || report->caller_failed) co_return false;
    reader_.begin(*out, expectation_of(*in));
    auto turn_ends = now + longest_turn;
    auto next = http1_reader::step::more;
    while (next == http1_reader::step::more && now < in->deadline) {
        if (now >= turn_ends) {
            auto const interrupted = co_await socket_->give_way();
            if (interrupted) break;
            turn_ends = timers_.now() + longest_turn;
        }
        auto const kept = reader_.restore(scratch_.data());
        std::size_t got = 0;
        auto const status = tls_->read(scratch_.data() + kept, scratch_.size() - kept, got);
        if (status != tls_status::done && status != tls_status::again) break;
        now = timers_.now();
        if (status == tls_status::again) continue;
        report->read = true;
        report->received += got;
        next = reader_.put(scratch_.data(), kept + got);
    }
    if (next != http1_reader::step::done || out->status() < 400) {
        out->clear();
        co_return false;
    }
    report->error = {};
    report->announced = true;
    report->written = report->first_byte = now;
    co_return true;
}

/** Reads the answer, step by step; the exchange's coroutine does the waiting between them. */
class http1_channel::answer_reading {
public:
    answer_reading(http1_channel& c, exchange_input const& in, response& out, exchange_report& report)
        : channel_(c),
          in_(in),
          out_(out),
          report_(report),
          until_(deadline_after(report.written, c.wire_.first_byte_timeout)),
          slow_at_(in.slow != nullptr ? later(report.written, in.slow_after) : steady_time::max()),
          rate_(0, {}, report.written),
          now_(report.written),
          turn_ends_(now_ + longest_turn) {
        c.reader_.begin(out, expectation_of(in));
    }

    /// A part of the body is there that its sink should have now.
    bool has_for_sink() const noexcept {
        auto const unpassed = channel_.reader_.streams() ? out_.body().size() : 0;
        return unpassed >= sink_stream::enough || (waits_ && unpassed > 0);
    }
    /// The server is not to blame for the time that the sink took.
    void on_passed(steady_time begun) noexcept {
        now_ = channel_.timers_.now();
        rate_.extend(now_ - begun);
        until_ = deadline_after(now_, channel_.wire_.body_timeout);
    }

    /// Also while there is always something to read: what keeps coming hides no deadline, and holds up nobody else's call.
    error_code over() const noexcept {
        if (channel_.interrupted_) return errc::cancelled;
        if (now_ >= last()) return errc::timeout;
        return {};
    }
    bool waits() const noexcept { return waits_; }
    direction waits_for() const noexcept { return wait_for_; }
    steady_time wake_at() const noexcept { return std::min({last(), rate_.look_at(), slow_at_}); }
    bool turn_is_over() const noexcept { return now_ >= turn_ends_; }
    void on_woken() noexcept {
        now_ = channel_.timers_.now();
        turn_ends_ = now_ + longest_turn;
    }

    /// Whether there is something to read now, something to wait for, or the end.
    enum class next : std::uint8_t { read, look_again, end };

    /// `ec`: of the wait.
    next judge(error_code const& ec) {
        if (ec == errc::timeout && now_ >= slow_at_ && !report_.read && now_ < last()) {
            slow_at_ = steady_time::max();
            in_.slow->on_slow();
        }
        if (ec && (ec != errc::timeout || now_ >= last())) {
            fail(channel_.late(ec, in_.deadline, limit_));
            return next::end;
        }
        if (rate_.too_slow(now_)) {
            fail({errc::timeout, "the answer comes slower than wire_params::min_rate"});
            return next::end;
        }
        return ec ? next::look_again : next::read;
    }

    /// What is there, a record at the most.
    next read() {
        auto& reader = channel_.reader_;
        auto& scratch = channel_.scratch_;
        auto const kept = reader.restore(scratch.data());
        std::size_t got = 0;
        auto const status = channel_.tls_->read(scratch.data() + kept, scratch.size() - kept, got);
        waits_ = status == tls_status::want_read || status == tls_status::want_write;
        if (waits_) {
            wait_for_ = status == tls_status::want_read ? direction::read : direction::write;
            return next::look_again;
        }
        auto step = http1_reader::step::more;
        if (status == tls_status::done) {
            on_bytes(got);
            step = reader.put(scratch.data(), kept + got);
        } else if (status == tls_status::closed) {
            // Only close_notify proves that a body without a length is whole.
            step = reader.end();
        } else if (status != tls_status::again) {
            fail(channel_.ended(status, " before the answer was whole"));
            return next::end;
        }
        if (step == http1_reader::step::more) {
            now_ = channel_.timers_.now();
            return next::look_again;
        }
        if (step == http1_reader::step::failed) {
            fail(failure(reader.error()));
        } else {
            channel_.keep(now_, &report_);
            whole_ = true;
        }
        return next::end;
    }

    /// What is left of the body is its sink's.
    bool ends_in_sink() const noexcept { return whole_ && channel_.reader_.streams(); }

private:
    steady_time last() const noexcept { return std::min(in_.deadline, until_); }

    void fail(failure f) { report_.error = std::move(f).at(report_.read ? stage::body : stage::first_byte); }

    void on_bytes(std::size_t n) noexcept {
        auto const& wire = channel_.wire_;
        if (!report_.read) {
            report_.first_byte = now_;
            until_ = deadline_after(now_, wire.body_timeout);
            limit_ = "the answer was not whole within wire_params::body_timeout";
            rate_ = rate_floor(wire.min_rate, saturated(wire.min_rate_window), now_);
        }
        report_.read = true;
        report_.received += n;
        rate_.add(n);
    }

    http1_channel& channel_;
    exchange_input const& in_;
    response& out_;
    exchange_report& report_;
    steady_time until_;
    char const* limit_ = "no answer began within wire_params::first_byte_timeout";
    steady_time slow_at_;
    rate_floor rate_;
    // Nothing can be there yet: wait first, and save a system call that would say so.
    direction wait_for_ = direction::read;
    bool waits_ = true;
    bool whole_ = false;
    steady_time now_;
    steady_time turn_ends_;
};

void http1_channel::interrupt(response const&) noexcept {
    interrupted_ = true;
    socket_->point().notify();
}

asio::awaitable<exchange_report> http1_channel::exchange(exchange_input const* in, response* out) {
    exchange_report report;
    interrupted_ = false;
    out->clear();
    if (in->sink != nullptr) in->sink->restart();
    // Before anything is sent: most sources that fail do so at once, as a file that is not there.
    std::string_view piece;
    if (in->source != nullptr && in->source->left() > 0) {
        bool const there = co_await next_piece(in, &piece, &report);
        if (!there) co_return report;
        looked_ = false;
    }
    // Between two answers nobody may say anything: a byte that is there now would be taken for this request's answer.
    bool const open = exchanges == 0 || looked_ || alive();
    looked_ = false;
    ++exchanges;
    if (!open) {
        report.error = lost("the server closed the channel, or spoke unasked, while it was idle").at(stage::write);
        co_return report;
    }
    if (in->secret_answer) tls_->wipe_what_was_read();
    compose(*in);
    std::string_view head(outgoing_);
    // Nearly always all of it goes at once.
    auto const status = send_some(head, &report);
    bool written = status == tls_status::done;
    bool const more = in->body.size() > inline_body || !piece.empty();
    steady_time until{};
    if (!written || more) until = deadline_after(timers_.now(), wire_.write_timeout);
    if (!written) written = co_await send(status, head, in->deadline, until, &report);
    forget_outgoing();
    if (written && more) written = co_await write_body(in, piece, until, &report);
    if (!written) {
        co_await read_early_answer(in, out, &report);
        forget_incoming(*in);
        co_return report;
    }
    report.written = timers_.now();
    answer_reading answer(*this, *in, *out, report);
    // Here, and not in a coroutine of its own: each call is in here for nearly all of its time.
    for (auto next = answer_reading::next::look_again; next != answer_reading::next::end;) {
        if (answer.has_for_sink()) {
            auto const begun = timers_.now();
            bool const passed = co_await pass_on(in, out, false, &report);
            if (!passed) break;
            answer.on_passed(begun);
        }
        error_code ec = answer.over();
        if (!ec && answer.waits()) {
            if (!socket_->begin(answer.waits_for())) {
                auto const state = co_await asio::this_coro::cancellation_state;
                wake why = wake::cancelled;
                if (socket_->point().begin(state, while_exchanging))
                    why = co_await socket_->point().until(answer.wake_at());
                ec = socket_->end(answer.waits_for(), why);
            }
            answer.on_woken();
        } else if (!ec && answer.turn_is_over()) {
            ec = co_await socket_->give_way();
            answer.on_woken();
        }
        next = answer.judge(ec);
        if (next == answer_reading::next::read) next = answer.read();
    }
    if (answer.ends_in_sink()) co_await pass_on(in, out, true, &report);
    forget_incoming(*in);
    co_return report;
}

}  // namespace jirapool::detail
