#include "wire/http2_channel.hpp"

#include "exchange/rate_floor.hpp"
#include "exchange/request_fields.hpp"
#include "exchange/sink_stream.hpp"
#include "exchange/source_stream.hpp"
#include "wire/http2_answer.hpp"
#include "wire/http2_session.hpp"

#include <jirapool/core/secret.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::detail {

namespace {

// A channel whose exchanges follow one another so closely keeps the memory that TLS reads and writes with.
constexpr auto busy_gap = std::chrono::milliseconds(100);

// A shard's turn: for so long a channel on which there is always something to read keeps the thread to itself.
constexpr auto longest_turn = std::chrono::milliseconds(1);

// The same for what is sent to a peer that takes it at once: some 16 records of 10 to 20 us.
constexpr std::size_t most_sent_at_once = 256u << 10;

// What fits one record of TLS.
constexpr std::size_t record = 16u << 10;

/// Callers' headers that say the same with each call, and no secret.
bool is_well_known(std::string_view name) noexcept {
    constexpr std::string_view all[] = {"accept",
                                        "accept-encoding",
                                        "accept-language",
                                        "content-type",
                                        "x-atlassian-token",
                                        "x-experimentalapi",
                                        "x-force-accept-language"};
    return std::any_of(std::begin(all), std::end(all), [&](std::string_view n) { return is_called(name, n); });
}

http2_limits limits_of(wire_params const& wire, std::uint32_t first_stream, told_streams const& streams) noexcept {
    http2_limits l{wire.stream_window, wire.channel_window, wire.max_head,
                   wire.max_headers,   wire.max_streams,    first_stream};
    if (streams && *streams != 0) l.expected_streams = *streams;
    return l;
}

/// Where there is no memory for the words the code stands alone.
failure worded(errc code, std::string_view first, std::string_view second = {}, std::string_view third = {}) noexcept {
    try {
        return {code, std::string(first).append(second).append(third)};
    } catch (std::bad_alloc const&) {
        return code;
    }
}

failure copied(failure const& f) noexcept {
    try {
        return f;
    } catch (std::bad_alloc const&) {
        return f.code();
    }
}

}  // namespace

/** The connection, which the channel has, and each of its exchanges as long as it runs.

    @par Threads   The shard's. */
class http2_channel::connection final : public std::enable_shared_from_this<connection>,
                                        private ready_watch,
                                        private timed {
public:
    connection(std::unique_ptr<timed_socket> socket, std::unique_ptr<tls_stream> tls, timers& t,
               asio::any_io_executor ex, wire_params const& wire, read_scratch& scratch, conduct_report on_conduct,
               std::uint32_t first_stream, told_streams streams)
        : socket_(std::move(socket)),
          tls_(std::move(tls)),
          timers_(t),
          executor_(std::move(ex)),
          wire_(wire),
          scratch_(scratch),
          limits_{wire.max_head, wire.max_headers, wire.max_body, wire.max_ratio},
          on_conduct_(std::move(on_conduct)),
          told_streams_(std::move(streams)),
          session_(limits_of(wire, first_stream, told_streams_), t.now()),
          room_(std::in_place, t, static_cast<timed&>(*this)),
          now_(t.now()) {}

    /// Once it is shared.
    void start(http2_channel& owner) noexcept {
        owner_ = &owner;
        told_capacity_ = session_.max_streams();
        socket_->watch_by(*this);
        tls_->on_more();  // it may have been, before this watched
        turn_later();
    }
    /// The channel is destroyed.
    void close() noexcept;

    timers& clock() const noexcept { return timers_; }
    asio::any_io_executor const& executor() const noexcept { return executor_; }
    wire_params const& wire() const noexcept { return wire_; }
    answer_limits const& limits() const noexcept { return limits_; }
    http2_session& session() noexcept { return session_; }
    /// Of the turn.
    steady_time turn_began() const noexcept { return now_; }
    /// Whether the system has, or may get, what begins at this byte of the session.
    bool may_send(std::uint64_t begin) const noexcept {
        bool const writes = !over_ && !write_failure_;
        return begin != http2_stream::never && (begin < handed_ || writes);
    }

    bool takes_more() const noexcept { return !over_ && !write_failure_ && !replaced_ && session_.may_begin(); }
    /// It does not.
    failure why_not() const noexcept {
        if (error_.code()) return copied(error_);
        if (session_.told_to_leave())
            return worded(errc::channel_lost, "the server takes no more requests on this channel (",
                          session_.parting_words(), ")");
        if (replaced_) return worded(errc::channel_lost, "HTTP/1.1 is spoken to the server in place of HTTP/2");
        return worded(errc::channel_lost, "the channel takes no more requests");
    }
    std::size_t capacity() const noexcept { return session_.max_streams(); }

    /// May throw bad_alloc: nothing was begun then. False: none may begin.
    bool begin(running& r, steady_time now);
    void end(running& r) noexcept;
    void interrupt(response const& out) noexcept;
    void rest() noexcept {
        if (std::exchange(busy_, false) && tls_) tls_->keep_buffers(false);
        session_.rest();
    }
    /// What there is to send goes out behind all that is ready to run.
    void turn_later() noexcept;
    void on_woken() noexcept { woke_ = true; }
    void on_request_taken(running& r) noexcept { ending_.push_back(&r); }  // has room
    void report(http2_conduct c) noexcept;

private:
    void on_ready(poller::readiness r) noexcept override;
    void on_time() override;
    void on_stop() override {}

    void run_turn() noexcept;
    void read() noexcept;
    void flush() noexcept;
    bool write_unsent() noexcept;
    void note_written() noexcept;
    void look_alive() noexcept;
    steady_duration patience() const noexcept;
    void fail(failure f) noexcept;
    failure lost(tls_status status, char const* when) const noexcept;
    void tell_change() noexcept;
    void refuse_unsent() noexcept;

    std::unique_ptr<timed_socket> socket_;
    std::unique_ptr<tls_stream> tls_;
    timers& timers_;
    asio::any_io_executor const executor_;
    wire_params const& wire_;
    read_scratch& scratch_;
    answer_limits const limits_;
    conduct_report const on_conduct_;
    told_streams const told_streams_;
    http2_session session_;
    std::optional<timer_room> room_;
    http2_channel* owner_ = nullptr;
    std::vector<running*> running_;
    std::vector<running*> ending_;     // whose requests were taken, and not yet written; as much room as running_
    std::vector<http2_field> fields_;  // of one request, while it begins
    std::string unsent_;               // taken, and not taken by the system; may hold a credential
    std::uint64_t handed_ = 0;         // bytes of the session that the system has, or may have
    std::uint64_t written_ = 0;        // that it has
    std::size_t told_capacity_ = 0;
    std::size_t secrets_ = 0;  // exchanges whose answers are some
    steady_time now_;
    steady_time heard_{};  // when something came last, or was waited for first
    steady_time ended_{};  // the last exchange
    failure error_;
    std::optional<failure> write_failure_;  // what came before is still to be read
    bool over_ = false;
    bool readable_ = true;  // or it may be: not yet known to be empty
    bool write_blocked_ = false;
    bool posted_ = false;
    bool by_alarm_ = false;  // a turn that could not be posted
    bool woke_ = false;      // an exchange, in this turn
    bool pinged_ = false;
    bool busy_ = false;
    bool told_dead_ = false;
    bool told_good_ = false;
    bool left_ = false;      // what the server's GOAWAY means is done
    bool replaced_ = false;  // by channels of HTTP/1.1
};

/** One exchange. It lives in its coroutine, which does the waiting; the connection tells it what comes. With it the coroutine's frame is
    just of a kilobyte, up to which malloc is fast. */
class http2_channel::running final : public http2_stream, private room_watch {
public:
    /// The coroutine has the connection.
    running(connection& c, exchange_input const& in, response& out)
        : connection_(c),
          in_(in),
          out_(out),
          answer_(out, c.limits(), expectation_of(in)),
          point_(c.clock(), c.executor()),
          rate_(0, {}, {}) {}
    ~running() { connection_.end(*this); }
    running(running const&) = delete;
    running& operator=(running const&) = delete;

    /// False: it ended before it began.
    bool begin() {
        if (in_.source == nullptr) piece_ = in_.body;
        now_ = connection_.clock().now();
        write_until_ = deadline_after(now_, connection_.wire().write_timeout);
        if (in_.slow == nullptr) slow_told_ = true;
        if (connection_.begin(*this, now_)) return true;
        fail(connection_.why_not());
        return false;
    }

    // The coroutine's

    wait_point& point() noexcept { return point_; }
    /// The answer is whole, or there will be none.
    bool settled() const noexcept { return whole_ || failed_; }
    bool has_for_sink() const noexcept { return answer_.streams() && !out_.body().empty(); }
    bool wants_piece() const noexcept { return wants_piece_; }
    /// What is left of the body is its sink's, which went on so far.
    bool ends_in_sink() const noexcept { return whole_ && !failed_ && answer_.streams(); }
    bool lacked_memory() const noexcept { return lacked_memory_; }
    bool interrupted() const noexcept { return interrupted_; }
    response const& out() const noexcept { return out_; }
    exchange_input const& in() const noexcept { return in_; }

    // Coroutines of their own, as most exchanges have no streams and are the smaller for it. False: it is over.

    /// The first piece of the body. Before anything is sent: most sources that fail do so at once, as a file that is not there.
    asio::awaitable<bool> ask_source() {
        auto next = co_await in_.source->next(in_.deadline);
        piece_ = next.data;
        co_return goes_on(std::move(next.step));
    }
    /// What is there to its sink, else the next piece from its source.
    asio::awaitable<bool> stream_on() {
        if (!has_for_sink()) co_return on_piece(co_await in_.source->next(in_.deadline));
        auto const begun = connection_.clock().now();
        if (!goes_on(co_await in_.sink->pass(&out_, answer_.coding(), false, in_.deadline, this))) co_return false;
        now_ = connection_.clock().now();
        // The server is not to blame for the time that the sink took.
        rate_.extend(now_ - begun);
        body_until_ = deadline_after(now_, connection_.wire().body_timeout);
        co_return judge(wake::notified);
    }
    /// What is left of the body, and that it ends there.
    asio::awaitable<void> end_sink() { goes_on(co_await in_.sink->pass(&out_, answer_.coding(), true, in_.deadline)); }
    bool on_piece(source_stream::piece next) {
        if (settled()) return false;
        if (!goes_on(std::move(next.step))) return false;
        piece_ = next.data;
        wants_piece_ = false;
        now_ = connection_.clock().now();
        write_until_ = deadline_after(now_, connection_.wire().write_timeout);
        connection_.session().resume(*this);
        connection_.turn_later();
        return judge(wake::notified);
    }
    bool on_woken(wake why) {
        now_ = connection_.clock().now();
        return judge(why);
    }
    bool goes_on(stream_step step) {
        if (step.goes_on()) return true;
        report_.error = std::move(step.error);
        report_.caller_failed = step.of_caller;
        failed_ = true;
        return false;
    }

    /// When to look at the time again, as far as is known: a request that is not written yet may be at any moment.
    steady_time wake_at() const noexcept {
        auto const& wire = connection_.wire();
        auto at = in_.deadline;
        if (!written_) at = std::min(at, write_until_);
        if (report_.read) return std::min({at, body_until_, rate_.look_at()});
        auto const since = written_ ? report_.written : now_;
        at = std::min(at, deadline_after(since, wire.first_byte_timeout));
        if (!slow_told_) at = std::min(at, deadline_after(since, in_.slow_after));
        return at;
    }

    exchange_report& report() noexcept { return report_; }
    /// What the report says of the end.
    void finish() noexcept {
        report_.sent = sent();
        report_.received = received();
        report_.unprocessed = !whole_ && (!connection_.may_send(begins_at()) || (refused_ && !report_.read));
        report_.announced = connection_.session().told_to_leave();
        report_.refused = report_.unprocessed && (refused_ || report_.announced);
        report_.turned_away = report_.refused && connection_.session().ends_in_order();
        report_.reusable = connection_.takes_more();
        if (whole_ && !written_) report_.written = report_.first_byte;
    }

    // The connection's

    void on_written(steady_time now) noexcept {
        written_ = true;
        report_.written = now;
    }
    void on_lost(failure const& why) noexcept {
        if (!settled()) fail(copied(why));
    }
    void interrupt() noexcept {
        interrupted_ = true;
        point_.notify();
    }

    // What both give stays where it is: the first makes room for the second.
    std::string_view path() {
        if (in_.base_path.empty()) return in_.target;
        head_text_.reserve(in_.base_path.size() + in_.target.size() + most_digits);
        head_text_.append(in_.base_path).append(in_.target);
        return head_text_;
    }
    std::string_view digits(std::uint64_t n) {
        std::array<char, most_digits> text;
        auto const size = static_cast<std::size_t>(std::to_chars(text.begin(), text.end(), n).ptr - text.begin());
        return std::string_view(head_text_.append(text.data(), size)).substr(head_text_.size() - size);
    }

    std::size_t index = 0;  ///< among those of the connection

private:
    static constexpr std::size_t most_digits = 20;

    stage where() const noexcept {
        if (report_.read) return stage::body;
        return written_ ? stage::first_byte : stage::write;
    }
    void fail(failure f) noexcept {
        if (settled()) return;
        failed_ = true;
        report_.error = std::move(f).at(where());
        notify();
    }
    void notify() noexcept {
        connection_.on_woken();
        point_.notify();
    }
    verdict refused() noexcept {
        auto const& why = answer_.error();
        bool const malformed = why.code() == errc::protocol_error;
        fail(copied(why));
        if (malformed) connection_.report(http2_conduct::broken);
        return malformed ? verdict::malformed : verdict::unwanted;
    }

    /// @return false: it is over.
    bool judge(wake why) {
        // What happened before the interruption counts.
        if (settled()) return false;
        if (interrupted_) fail(errc::cancelled);
        else if (why == wake::cancelled) fail(connection_.clock().stopped() ? errc::stopped : errc::cancelled);
        else if (now_ >= in_.deadline) fail(errc::timeout);
        else judge_time();
        return !failed_;
    }
    void judge_time() {
        auto const& wire = connection_.wire();
        if (!written_ && now_ >= write_until_)
            return fail({errc::timeout, connection_.session().held_back(*this)
                                            ? "the request was not taken within wire_params::write_timeout, as the "
                                              "server gives it no room (flow control)"
                                            : "the request was not taken within wire_params::write_timeout"});
        if (report_.read) {
            if (now_ >= body_until_)
                return fail({errc::timeout, "the answer was not whole within wire_params::body_timeout"});
            rate_.add(received() - std::exchange(rated_, received()));
            if (rate_.too_slow(now_)) fail({errc::timeout, "the answer comes slower than wire_params::min_rate"});
            return;
        }
        if (!written_) return;
        if (now_ >= deadline_after(report_.written, wire.first_byte_timeout))
            return fail({errc::timeout, "no answer began within wire_params::first_byte_timeout"});
        if (slow_told_ || now_ < deadline_after(report_.written, in_.slow_after)) return;
        slow_told_ = true;
        in_.slow->on_slow();
    }

    /// As its sink goes on: a server that was given room for much at once would fill it at once, and whoever is behind would wait.
    void on_room(std::size_t bytes) noexcept override {
        connection_.session().give_back(*this, bytes);
        connection_.turn_later();
    }

    // The session's

    verdict on_block() override {
        answer_.begin_block();
        if (report_.read) return verdict::good;
        auto const& wire = connection_.wire();
        auto const now = connection_.turn_began();
        report_.read = true;
        report_.first_byte = now;
        body_until_ = deadline_after(now, wire.body_timeout);
        rate_ = rate_floor(wire.min_rate, saturated(wire.min_rate_window), now);
        notify();
        return verdict::good;
    }
    verdict on_field(std::string_view name, std::string_view value) override {
        return answer_.put_field(name, value) ? verdict::good : refused();
    }
    verdict on_block_end(bool last) override { return answer_.end_block(last) ? verdict::good : refused(); }
    verdict on_data(std::string_view bytes) override {
        if (!answer_.put_data(bytes)) return refused();
        if (!answer_.streams()) return verdict::taken;
        notify();
        return verdict::good;
    }
    verdict on_end() override {
        if (!answer_.end()) return refused();
        whole_ = true;
        connection_.report(http2_conduct::good);
        notify();
        return verdict::good;
    }
    void on_closed(std::uint32_t code, bool by_server) noexcept override {
        if (settled()) return;
        if (!by_server) {
            connection_.report(http2_conduct::broken);
            return fail(worded(errc::protocol_error, "the answer broke HTTP/2 (", http2_error_name(code), ")"));
        }
        refused_ = code == http2_refused_stream;
        if (code == http2_http_1_1_required) connection_.report(http2_conduct::wants_http1);
        fail(worded(errc::channel_lost,
                    refused_ ? "the server did not act on the request (" : "the server reset the stream (",
                    http2_error_name(code), ")"));
    }
    void on_lack_of_memory() noexcept override {
        lacked_memory_ = true;
        fail(errc::channel_lost);
    }
    std::size_t read_body(char* to, std::size_t room, bool& last) noexcept override {
        auto const n = std::min(room, piece_.size());
        std::memcpy(to, piece_.data(), n);
        piece_.remove_prefix(n);
        if (!piece_.empty()) return n;
        last = in_.source == nullptr || in_.source->left() == 0;
        if (!last && !std::exchange(wants_piece_, true)) notify();
        return n;
    }
    void on_request_taken() noexcept override { connection_.on_request_taken(*this); }

    connection& connection_;
    exchange_input const& in_;
    response& out_;
    exchange_report report_;
    http2_answer answer_;
    wait_point point_;
    rate_floor rate_;
    std::uint64_t rated_ = 0;  // bytes that rate_ has
    std::string_view piece_;   // of the body, to be sent
    std::string head_text_;    // of the request's fields
    steady_time now_{};
    steady_time write_until_{};
    steady_time body_until_{};
    bool written_ = false;
    bool whole_ = false;
    bool failed_ = false;
    bool refused_ = false;
    bool interrupted_ = false;
    bool lacked_memory_ = false;
    bool wants_piece_ = false;
    bool slow_told_ = false;
};

// The connection

void http2_channel::connection::close() noexcept {
    owner_ = nullptr;
    // A last word, where nothing stands in its way (RFC 9113, section 5.4.1, asks for one).
    if (!over_ && running_.empty() && !write_blocked_ && !write_failure_) {
        session_.leave();
        flush();
    }
    fail(worded(errc::channel_lost, "the channel was closed"));
    timers_.cancel(*this);
    room_.reset();
    tls_.reset();
    socket_.reset();
}

bool http2_channel::connection::begin(running& r, steady_time now) {
    if (!takes_more()) return false;
    auto const& in = r.in();
    if (running_.size() == running_.capacity()) running_.reserve(std::max<std::size_t>(8, 2 * running_.size()));
    ending_.reserve(running_.capacity());
    fields_.clear();
    fields_.push_back({":method", to_string(in.method), true});
    fields_.push_back({":scheme", "https", true});
    fields_.push_back({":authority", in.host, true});
    fields_.push_back({":path", r.path(), true});
    for_each_field(in, offers_compression(in, wire_), [&](std::string_view name, std::string_view value, field_kind k) {
        bool const kept = k == field_kind::stable || (k == field_kind::of_caller && is_well_known(name));
        fields_.push_back({name, value, false, kept});
    });
    auto const length = content_length_of(in);
    if (length) fields_.push_back({"content-length", r.digits(*length), true});
    if (!session_.begin(r, fields_, length.value_or(0) > 0)) return false;
    r.index = running_.size();
    running_.push_back(&r);
    if (in.secret_answer) {
        ++secrets_;
        tls_->wipe_what_was_read();
    }
    // To free and allocate them for each exchange costs some 5 % of it.
    if ((running_.size() > 1 || now - ended_ < busy_gap) && !std::exchange(busy_, true)) tls_->keep_buffers(true);
    if (running_.size() == 1) heard_ = std::max(heard_, now);
    if (!scheduled() && wire_.tcp_keep_alive_idle.count() > 0)
        timers_.set(*this, deadline_after(now, wire_.tcp_keep_alive_idle));
    turn_later();
    if (!session_.may_begin()) tell_change();
    return true;
}

void http2_channel::connection::end(running& r) noexcept {
    std::erase(ending_, &r);
    if (r.index >= running_.size() || running_[r.index] != &r) return;
    running_.back()->index = r.index;
    std::swap(running_[r.index], running_.back());
    running_.pop_back();
    if (r.in().secret_answer) --secrets_;
    if (over_) return;
    ended_ = now_;
    if (!r.open()) return;
    session_.end(r);
    turn_later();
}

void http2_channel::connection::interrupt(response const& out) noexcept {
    auto const found = std::find_if(running_.begin(), running_.end(), [&](auto const* r) { return &r->out() == &out; });
    if (found != running_.end()) (*found)->interrupt();
}

void http2_channel::connection::report(http2_conduct c) noexcept {
    bool const good = c == http2_conduct::good;
    if ((std::exchange(told_good_, good) && good) || !on_conduct_) return;
    try {
        replaced_ = on_conduct_(c) || replaced_;
    } catch (std::bad_alloc const&) {
        told_good_ = false;  // it is told again
    }
}

void http2_channel::connection::tell_change() noexcept {
    auto const capacity = session_.max_streams();
    bool const dead = !takes_more();
    bool const other_capacity = std::exchange(told_capacity_, capacity) != capacity;
    if (other_capacity && told_streams_) *told_streams_ = std::max(1u, session_.max_streams());
    bool const changed = std::exchange(told_dead_, dead) != dead || other_capacity;
    if (changed && owner_ != nullptr && owner_->watch != nullptr) owner_->watch->on_change(*owner_);
}

failure http2_channel::connection::lost(tls_status status, char const* when) const noexcept {
    if (status == tls_status::flooded) return worded(errc::protocol_error, tls_flooded);
    try {
        auto why = tls_->what_happened();
        if (session_.told_to_leave()) why += " (" + session_.parting_words() + ")";
        return {errc::channel_lost, why + when};
    } catch (std::bad_alloc const&) {
        return errc::channel_lost;
    }
}

/// Nothing more is read or written. What the server broke is the error of the exchange whose answer it was in; to all others it is no
/// more than that their channel is lost, so that they may be sent again.
void http2_channel::connection::fail(failure f) noexcept {
    if (std::exchange(over_, true)) return;
    if (f.code() == errc::protocol_error) report(http2_conduct::broken);
    error_ = worded(errc::channel_lost, f.rule());
    wipe(unsent_);
    for (auto* const r : running_) r->on_lost(session_.blames(*r) ? f : error_);
    tell_change();
}

void http2_channel::connection::turn_later() noexcept {
    if (posted_ || over_) return;
    posted_ = true;
    try {
        asio::post(executor_, [self = shared_from_this()] { self->run_turn(); });
    } catch (std::bad_alloc const&) {
        by_alarm_ = true;
        timers_.set(*this, timers_.now());
    }
}

void http2_channel::connection::run_turn() noexcept {
    posted_ = woke_ = false;
    if (over_) return;
    now_ = timers_.now();
    flush();
    if (over_ || !readable_) return;
    read();
    turn_later();
}

void http2_channel::connection::on_ready(poller::readiness r) noexcept {
    if (over_) return;
    readable_ = readable_ || r.to_read;
    if (r.to_read) tls_->on_more();
    if (r.to_write) write_blocked_ = false;
    now_ = timers_.now();
    if (readable_) read();
    // Who was woken may have something to send: it goes out with what there is already.
    if (readable_ || std::exchange(woke_, false)) turn_later();
    else if (!posted_ && !over_) flush();
}

void http2_channel::connection::read() noexcept {
    auto const turn_ends = now_ + longest_turn;
    while (readable_ && !over_ && now_ < turn_ends) {
        std::size_t got = 0;
        auto const status = tls_->read(scratch_.data(), scratch_.size(), got);
        if (status == tls_status::done) {
            heard_ = now_;
            pinged_ = false;
            session_.put({scratch_.data(), got}, now_);
            if (session_.take_wants_http1()) report(http2_conduct::wants_http1);
            if (secrets_ > 0) wipe(scratch_.data(), got);
            readable_ = socket_->over() || !tls_->drained();
        } else if (status != tls_status::again) {
            readable_ = false;
            if (over(status))
                fail(write_failure_ ? *std::move(write_failure_) : lost(status, " before the answer was whole"));
        }
        if (session_.error().code()) readable_ = false;
        else now_ = timers_.now();
    }
    if (over_) return;
    if (write_failure_ && !readable_) return fail(*std::move(write_failure_));
    if (session_.told_to_leave() && !std::exchange(left_, true)) refuse_unsent();
    tell_change();
}

/// What waits for room on this channel gets none any more. The streams that began the server has answered for itself.
void http2_channel::connection::refuse_unsent() noexcept {
    for (auto* const r : running_) {
        if (r->begins_at() != http2_stream::never) continue;
        session_.end(*r);
        r->on_lost(why_not());
    }
}

void http2_channel::connection::note_written() noexcept {
    if (ending_.empty()) return;
    auto const now = timers_.now();
    std::erase_if(ending_, [&](running* r) {
        if (r->ends_at() > written_) return false;
        r->on_written(now);
        return true;
    });
}

void http2_channel::connection::flush() noexcept {
    std::size_t sent = 0;
    while (!write_blocked_ && !write_failure_) {
        std::string_view chunk(unsent_);
        bool const fresh = chunk.empty();
        if (fresh) chunk = {scratch_.data(), session_.take(scratch_.data(), record)};
        if (chunk.empty()) break;
        auto const size = chunk.size();
        auto status = tls_status::done;
        while (!chunk.empty() && status == tls_status::done) {
            std::size_t n = 0;
            status = tls_->write(chunk.data(), chunk.size(), n);
            // OpenSSL may have handed a part of the record to the system: Jira may know of the requests, unless it failed at once.
            if (!over(status)) handed_ = std::max(handed_, written_ + (n > 0 ? n : chunk.size()));
            written_ += n;
            chunk.remove_prefix(n);
        }
        sent += size - chunk.size();
        write_blocked_ = status == tls_status::want_write || status == tls_status::want_read;
        if (over(status)) write_failure_ = lost(status, " while the request was sent");
        try {
            if (fresh) unsent_.assign(chunk);
            else unsent_.erase(0, size - chunk.size());
        } catch (std::bad_alloc const&) {
            return fail(worded(errc::channel_lost, "there was no memory for what was to be sent"));
        }
        if (fresh) wipe(scratch_.data(), size);
        else if (unsent_.empty()) wipe(unsent_);
        note_written();
        if (status == tls_status::again || sent >= most_sent_at_once) {
            turn_later();
            break;
        }
    }
    if (session_.error().code()) return fail(copied(session_.error()));
    if (!write_failure_ || owner_ == nullptr) return;
    // Who refuses requests says so before he closes: that is there to be read, and says more.
    readable_ = true;
    turn_later();
    tell_change();
}

steady_duration http2_channel::connection::patience() const noexcept {
    if (wire_.tcp_user_timeout.count() > 0) return saturated(wire_.tcp_user_timeout);
    return saturated(wire_.tcp_keep_alive_interval) * wire_.tcp_keep_alive_probes;
}

void http2_channel::connection::on_time() {
    if (std::exchange(by_alarm_, false)) run_turn();
    else look_alive();
    if (!over_ && !scheduled() && !running_.empty() && wire_.tcp_keep_alive_idle.count() > 0)
        timers_.set(*this, later(timers_.now(), wire_.tcp_keep_alive_idle));
}

/// TCP's probes reach the other end's kernel; a ping reaches who speaks HTTP/2 there. Servers dislike those that come while nothing is
/// asked of them.
void http2_channel::connection::look_alive() noexcept {
    if (over_ || running_.empty()) return;
    auto const now = timers_.now();
    auto const quiet_at = later(heard_, wire_.tcp_keep_alive_idle);
    if (now < quiet_at) return timers_.set(*this, quiet_at);
    if (pinged_)
        return fail(worded(errc::channel_lost, "the server answered no PING within ",
                           wire_.tcp_user_timeout.count() > 0 ? "wire_params::tcp_user_timeout"
                                                              : "wire_params::tcp_keep_alive_interval x probes"));
    pinged_ = true;
    session_.ping();
    turn_later();
    timers_.set(*this, deadline_after(now, patience()));
}

// The channel

http2_channel::http2_channel(std::unique_ptr<timed_socket> socket, std::unique_ptr<tls_stream> tls, timers& t,
                             asio::any_io_executor ex, wire_params const& wire, read_scratch& scratch,
                             conduct_report on_conduct, std::uint32_t first_stream, told_streams streams)
    : connection_(std::make_shared<connection>(std::move(socket), std::move(tls), t, std::move(ex), wire, scratch,
                                               std::move(on_conduct), first_stream, std::move(streams))) {
    multiplexes = true;  // also where the server allows one exchange at a time
    connection_->start(*this);
}

http2_channel::~http2_channel() { connection_->close(); }

void http2_channel::interrupt(response const& out) noexcept { connection_->interrupt(out); }

std::size_t http2_channel::capacity() const noexcept { return connection_->capacity(); }

bool http2_channel::alive() noexcept { return connection_->takes_more(); }

void http2_channel::rest() noexcept { connection_->rest(); }

asio::awaitable<exchange_report> http2_channel::exchange(exchange_input const* in, response* out) {
    ++exchanges;
    return exchange_on(connection_, in, out);
}

/// The channel may be gone before it begins, and behind each suspension.
asio::awaitable<exchange_report> http2_channel::exchange_on(std::shared_ptr<connection> c, exchange_input const* in,
                                                            response* out) {
    out->clear();
    if (in->sink != nullptr) in->sink->restart();
    running r(*c, *in, *out);
    if (in->source != nullptr && in->source->left() > 0 && !co_await r.ask_source()) {
        r.report().reusable = c->takes_more();
        co_return std::move(r.report());
    }
    bool goes_on = r.begin();
    while (goes_on && !r.settled()) {
        if (r.has_for_sink() || r.wants_piece()) {
            goes_on = co_await r.stream_on();
        } else {
            auto const state = co_await asio::this_coro::cancellation_state;
            wake why = wake::cancelled;
            if (r.point().begin(state, while_exchanging)) why = co_await r.point().until(r.wake_at());
            goes_on = r.on_woken(why);
        }
    }
    if (r.lacked_memory()) throw std::bad_alloc();
    r.finish();
    if (r.ends_in_sink()) {
        co_await r.end_sink();
        r.report().reusable = c->takes_more();
    }
    co_return std::move(r.report());
}

}  // namespace jirapool::detail
