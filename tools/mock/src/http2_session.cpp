#include "http2_session.hpp"

#include "app.hpp"
#include "clock.hpp"
#include "http2_faults.hpp"
#include "reply.hpp"
#include "text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace jirapool::mock {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::minutes never_answer_timeout{10};
/// What is written at a time: frames of all streams that have something to say by then.
constexpr std::size_t most_at_once = 256 * 1024;
/// One busy moment must not keep its memory for the life of the connection.
constexpr std::size_t worth_keeping = 64 * 1024;
constexpr std::size_t read_size = 16 * 1024;
/// How much of all requests' bodies together may be under way.
constexpr std::int32_t connection_window = 1 << 20;
constexpr std::int32_t no_last_stream = std::numeric_limits<std::int32_t>::max();
/// What a header field adds to the size of a head beside its name and value: ": " and the end of line, as HTTP/1.1 has it.
constexpr std::size_t field_overhead = 4;

/// A request as it comes, and its answer as it goes.
class exchange final : public header_lookup {
public:
    explicit exchange(std::int32_t id_) noexcept : id(id_) {}

    std::string_view find(std::string_view name) const override {
        if (same_name(name, "host")) return authority;
        for (auto const& [key, value] : fields) {
            if (same_name(key, name)) return value;
        }
        return {};
    }

    std::int32_t const id;
    std::string method;
    std::string target;
    std::string authority;
    std::vector<std::pair<std::string, std::string>> fields;
    std::size_t head_size = 0;
    std::string body;
    std::optional<http2_step> step;
    /// Nothing more of the request is wanted: it is whole, answered early or left alone.
    bool is_taken = false;
    /// The client has ended it.
    bool is_whole = false;

    reply answer;
    bool is_answering = false;
    std::size_t sent = 0;
    /// The answer's body is held there, and then the fault comes.
    std::optional<std::size_t> pause_at;
    /// Only so much of the body is sent, and then the connection ends.
    std::optional<std::size_t> cut_at;
    /// A slow body's next part waits for the timer.
    bool is_waiting = false;
    /// No answer comes, or none that ends.
    bool stays_open = false;
};

struct delete_session {
    void operator()(nghttp2_session* s) const noexcept { nghttp2_session_del(s); }
};
struct delete_option {
    void operator()(nghttp2_option* o) const noexcept { nghttp2_option_del(o); }
};
struct delete_callbacks {
    void operator()(nghttp2_session_callbacks* c) const noexcept { nghttp2_session_callbacks_del(c); }
};

nghttp2_nv field_of(std::string_view name, std::string_view value, bool is_kept_out_of_table = false) noexcept {
    // The library takes bytes that it does not change for changeable ones, and copies them.
    auto* const n = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
    auto* const v = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
    return {n, v, name.size(), value.size(),
            static_cast<std::uint8_t>(is_kept_out_of_table ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)};
}

/// Fields that HTTP/2 forbids, since they are of a connection in HTTP/1.1.
bool is_of_http1(std::string_view name) noexcept {
    return name == "connection" || name == "transfer-encoding" || name == "keep-alive" || name == "upgrade" ||
           name == "proxy-connection";
}

/// Differs from answer to answer: in the table it would only push out what repeats.
bool changes_each_time(std::string_view name) noexcept {
    return name == "atl-traceid" || name == "x-ratelimit-remaining";
}

class http2_session final : public guest {
public:
    http2_session(worker& host, tls_channel& channel)
        : guest(host), channel_(channel), timer_(host.io), over_(host.io), in_(read_size) {}

    asio::awaitable<void> run();

    void abort(bool reset) override {
        is_aborted_ = true;
        timer_.cancel();
        close_socket(socket(), reset);
    }
    void on_deadline() override;
    void play_now(http2_step const& s) override {
        if (is_ending()) return;
        tally().http2_fault_met(s.what);
        do_to_connection(s);
        write();
    }
    void on_http2_settings() override {
        if (is_ending()) return;
        submit_settings();
        write();
    }

private:
    /// How the connection ends as soon as what is in out_ is written.
    enum class ending : std::uint8_t { none, in_order, cut, reset };

    app& application() const noexcept { return host_.application; }
    mock::tally& tally() const noexcept { return application().tally(); }
    tcp::socket& socket() noexcept { return channel_.socket(); }
    bool is_ending() const noexcept { return is_aborted_ || is_over_ || ending_ != ending::none; }

    static nghttp2_session_callbacks const* callbacks();
    void open_session();
    void submit_settings();
    bool receive(std::size_t size);

    // Writing.
    void write();
    void fill();
    void written(error_code ec);
    void finish_if_done();
    void end_reading();
    void renew_deadline();

    // A request's way.
    exchange* find(std::int32_t id) noexcept {
        auto const it = exchanges_.find(id);
        return it == exchanges_.end() ? nullptr : it->second.get();
    }
    void begin(std::int32_t id);
    void add_field(exchange& e, std::string_view name, std::string_view value);
    void head_read(exchange& e);
    void add_body(exchange& e, std::string_view part);
    void request_read(exchange& e);
    void refuse(exchange& e, int status);
    void close(std::int32_t id);

    // Its answer's.
    void wait_for(exchange const& e, milliseconds t);
    void arm();
    void on_due();
    void answer(exchange& e);
    void submit_answer(exchange& e);
    void tear_head(exchange& e, std::size_t size);
    void answered(exchange& e);
    void leave_open(exchange& e);
    ssize_t next_part(exchange& e, std::size_t most, std::uint32_t& flags);

    // Faults.
    void leave_alone(exchange& e);
    bool do_before_answer(exchange& e);
    void do_in_body(exchange& e);
    void do_to_connection(http2_step const& s);
    void go_away(std::int32_t last);
    void go_away_gracefully();
    void break_off(http2_error code);
    void goaway_sent(std::int32_t last, std::uint32_t code);
    void reset_sent(std::int32_t id, std::uint32_t code);
    std::int32_t last_touched() const noexcept {
        return std::min(last_accepted_, nghttp2_session_get_last_proc_stream_id(session_.get()));
    }
    void reset(std::int32_t id, http2_error code) {
        nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(code));
    }

    // What nghttp2 calls.
    static http2_session& self(void* p) noexcept { return *static_cast<http2_session*>(p); }
    static int on_begin_headers(nghttp2_session*, nghttp2_frame const*, void*) noexcept;
    static int on_header(nghttp2_session*, nghttp2_frame const*, std::uint8_t const*, std::size_t, std::uint8_t const*,
                         std::size_t, std::uint8_t, void*) noexcept;
    static int on_data_chunk(nghttp2_session*, std::uint8_t, std::int32_t, std::uint8_t const*, std::size_t,
                             void*) noexcept;
    static int on_frame(nghttp2_session*, nghttp2_frame const*, void*) noexcept;
    static int on_sent(nghttp2_session*, nghttp2_frame const*, void*) noexcept;
    static int on_close(nghttp2_session*, std::int32_t, std::uint32_t, void*) noexcept;
    static ssize_t on_padding(nghttp2_session*, nghttp2_frame const*, std::size_t, void*) noexcept;
    static ssize_t on_read(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t, std::uint32_t*,
                           nghttp2_data_source*, void*) noexcept;
    static int on_send_data(nghttp2_session*, nghttp2_frame*, std::uint8_t const*, std::size_t, nghttp2_data_source*,
                            void*) noexcept;

    tls_channel& channel_;
    asio::steady_timer timer_;
    /// Cancelled when a handler is done.
    asio::steady_timer over_;
    std::unique_ptr<nghttp2_session, delete_session> session_;
    std::vector<char> in_;
    std::string out_;
    /// Whole frames that go past the library, before its own.
    std::string raw_;
    std::unordered_map<std::int32_t, std::unique_ptr<exchange>> exchanges_;
    /// What waits for its time: an answer, or the next part of a slow one.
    std::multimap<steady_time, std::int32_t> due_;
    std::optional<steady_time> armed_for_;
    std::uint64_t requests_ = 0;
    /// No stream above it is touched.
    std::int32_t last_accepted_ = no_last_stream;
    /// The stream whose body goes on when GOAWAY is sent.
    std::optional<std::int32_t> held_;
    std::size_t open_for_long_ = 0;
    /// Handlers of writes and timers that are still to come: they refer to this object.
    std::size_t handlers_ = 0;
    ending ending_ = ending::none;
    bool is_aborted_ = false;
    bool is_writing_ = false;
    /// The last frame in out_ is a part of a header block, which nothing may come between.
    bool is_within_head_ = false;
    bool is_leaving_ = false;
    bool is_breaking_off_ = false;
    /// Nothing of the client is taken any more.
    bool is_over_ = false;
    bool is_silent_ = false;
    bool is_stalled_ = false;
};

nghttp2_session_callbacks const* http2_session::callbacks() {
    static std::unique_ptr<nghttp2_session_callbacks, delete_callbacks> const all = [] {
        nghttp2_session_callbacks* c = nullptr;
        nghttp2_session_callbacks_new(&c);
        nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(c, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
        nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
        nghttp2_session_callbacks_set_select_padding_callback(c, on_padding);
        nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
        return std::unique_ptr<nghttp2_session_callbacks, delete_callbacks>(c);
    }();
    return all.get();
}

void http2_session::open_session() {
    nghttp2_option* made = nullptr;
    nghttp2_option_new(&made);
    std::unique_ptr<nghttp2_option, delete_option> const option(made);
    // Bodies that stand still are a fault that the mock plays.
    nghttp2_option_set_no_auto_window_update(option.get(), 1);
    nghttp2_option_set_max_send_header_block_length(option.get(), std::size_t{32} << 20);
    // A client under test may cancel as fast as it likes.
    nghttp2_option_set_stream_reset_rate_limit(option.get(), 1'000'000, 1'000'000);
    if (!application().settings().get_http2().index_headers) {
        nghttp2_option_set_max_deflate_dynamic_table_size(option.get(), 0);
    }
    nghttp2_session* session = nullptr;
    nghttp2_session_server_new2(&session, callbacks(), this, option.get());
    session_.reset(session);
    submit_settings();
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, connection_window);
}

void http2_session::submit_settings() {
    http2_settings const s = application().settings().get_http2();
    std::array<nghttp2_settings_entry, 4> const entries{{
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s.max_concurrent_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, s.initial_window},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, s.header_table},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, s.max_frame},
    }};
    nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, entries.data(), entries.size());
}

asio::awaitable<void> http2_session::run() {
    error_code ec;
    auto into_ec = asio::redirect_error(asio::use_awaitable, ec);
    open_session();
    renew_deadline();
    write();
    while (true) {
        std::size_t const size = co_await channel_.stream.async_read_some(asio::buffer(in_), into_ec);
        if (ec || is_aborted_ || is_over_) break;
        if (is_silent_ || ending_ != ending::none) continue;
        if (!receive(size)) {
            abort(false);
            break;
        }
        renew_deadline();
        write();
        finish_if_done();
    }
    // A client that has ended the connection takes nothing more.
    if (is_writing_) abort(false);
    bool const is_in_order = !is_aborted_;
    is_over_ = true;
    timer_.cancel();
    while (handlers_ > 0) {
        over_.expires_at(steady_time::max());
        co_await over_.async_wait(into_ec);
    }
    if (!is_in_order) co_return;
    expire_after(shutdown_timeout);
    co_await channel_.stream.async_shutdown(into_ec);
    // What the client sent before it knew is read: else the close would become a reset, which may overtake the last answers.
    socket().shutdown(tcp::socket::shutdown_send, ec);
    do {
        co_await socket().async_read_some(asio::buffer(in_), into_ec);
    } while (!ec);
    close_socket(socket(), false);
}

void http2_session::on_deadline() {
    deadline_ = steady_time::max();
    if (exchanges_.empty() && !is_silent_ && !is_writing_ && !is_ending()) {
        nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
        expire_after(shutdown_timeout);
        write();
    } else {
        abort(false);
    }
}

/// False: it cannot go on.
bool http2_session::receive(std::size_t size) {
    auto const* const bytes = reinterpret_cast<std::uint8_t const*>(in_.data());
    ssize_t const n = nghttp2_session_mem_recv(session_.get(), bytes, size);
    if (n >= 0) return true;
    tally().unreadable_request();
    return false;
}

void http2_session::write() {
    if (is_writing_ || is_aborted_ || is_over_ || is_silent_) return;
    fill();
    if (out_.empty()) {
        if (ending_ != ending::none) written({});
        return;
    }
    is_writing_ = true;
    ++handlers_;
    asio::async_write(channel_.stream, asio::buffer(out_), [this](error_code ec, std::size_t) {
        --handlers_;
        is_writing_ = false;
        over_.cancel();
        if (!is_over_ && !is_aborted_) written(ec);
    });
}

void http2_session::fill() {
    out_.clear();
    out_.swap(raw_);
    while (ending_ == ending::none && (out_.size() < most_at_once || is_within_head_)) {
        std::uint8_t const* bytes = nullptr;
        ssize_t const n = nghttp2_session_mem_send(session_.get(), &bytes);
        // A cut comes in the middle of a body: what the library has found since then is not sent.
        if (n <= 0 || ending_ == ending::cut || ending_ == ending::reset) break;
        out_.append(reinterpret_cast<char const*>(bytes), static_cast<std::size_t>(n));
        bool const is_head = bytes[3] == NGHTTP2_HEADERS || bytes[3] == NGHTTP2_CONTINUATION;
        is_within_head_ = is_head && (bytes[4] & NGHTTP2_FLAG_END_HEADERS) == 0;
    }
}

void http2_session::written(error_code ec) {
    if (ec) return abort(false);
    // What it ends with may have come while this was written.
    if (raw_.empty()) {
        switch (ending_) {
        case ending::none: break;
        case ending::in_order: return end_reading();
        case ending::cut: return abort(false);
        case ending::reset: return abort(true);
        }
    }
    if (out_.capacity() > worth_keeping) std::string().swap(out_);
    renew_deadline();
    write();
    finish_if_done();
}

void http2_session::finish_if_done() {
    if (is_ending() || is_writing_ || is_silent_ || !raw_.empty()) return;
    if (nghttp2_session_want_read(session_.get()) != 0 || nghttp2_session_want_write(session_.get()) != 0) return;
    end_reading();
}

void http2_session::end_reading() {
    is_over_ = true;
    error_code ignored;
    socket().cancel(ignored);
}

void http2_session::renew_deadline() {
    if (is_silent_ || is_stalled_ || open_for_long_ > 0) return expire_after(never_answer_timeout);
    if (exchanges_.empty()) return expire_after(application().params().idle_timeout);
    std::chrono::nanoseconds wait = transfer_timeout;
    if (!due_.empty()) wait += std::max(due_.rbegin()->first - read_clock().steady, std::chrono::nanoseconds{0});
    expire_after(wait);
}

void http2_session::begin(std::int32_t id) {
    if (id > last_accepted_) {
        tally().stream_opened(exchanges_.size());
        tally().stream_untouched();
        return;
    }
    exchanges_.emplace(id, std::make_unique<exchange>(id));
    tally().stream_opened(exchanges_.size());
}

void http2_session::add_field(exchange& e, std::string_view name, std::string_view value) {
    e.head_size += name.size() + value.size() + field_overhead;
    // What is above the limit is refused when its head has ended, and not kept.
    if (e.head_size > max_header) return;
    if (name == ":method") e.method = value;
    else if (name == ":path") e.target = value;
    else if (name == ":authority") e.authority = value;
    else if (name == "host" && e.authority.empty()) e.authority = value;
    else if (!name.starts_with(':')) e.fields.emplace_back(name, value);
}

void http2_session::head_read(exchange& e) {
    e.step = application().http2_script().next();
    if (e.step) tally().http2_fault_met(e.step->what);
    if (e.step && leaves_untouched(e.step->what)) return leave_alone(e);
    if (e.step && answers_early(e.step->what)) return refuse(e, 413);
    if (e.step && (e.step->what == http2_fault::stall_uploads || e.step->what == http2_fault::zero_window)) {
        do_to_connection(*e.step);
    }
    if (e.head_size > max_header) return refuse(e, 431);
    std::size_t const most = application().params().max_body_bytes;
    auto const length = to_number(e.find("content-length"));
    if (length && *length > most) return refuse(e, 413);
    if (length) e.body.reserve(*length);
    if (!e.is_whole && same_name(e.find("expect"), "100-continue")) {
        nghttp2_nv const status = field_of(":status", "100");
        nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, e.id, nullptr, &status, 1, nullptr);
    }
}

void http2_session::add_body(exchange& e, std::string_view part) {
    if (e.is_taken) return;
    if (e.body.size() + part.size() > application().params().max_body_bytes) return refuse(e, 413);
    e.body += part;
}

void http2_session::request_read(exchange& e) {
    e.is_taken = true;
    std::string const host = host_of_authority(e.authority);
    request_view r;
    r.method = e.method;
    r.target = e.target;
    r.host = host;
    r.sni = channel_.sni;
    r.body = e.body;
    r.connection = channel_.number;
    r.request = ++requests_;
    r.stream = static_cast<std::uint32_t>(e.id);
    r.headers = &e;
    e.answer = application().handle(r, read_clock());
    if (e.answer.scripted && e.answer.scripted->http2) {
        e.step = e.answer.scripted->http2;
        tally().http2_fault_met(e.step->what);
        if (leaves_untouched(e.step->what)) return leave_alone(e);
    }
    std::string().swap(e.body);
    if (e.answer.delay > milliseconds{0}) wait_for(e, e.answer.delay);
    else answer(e);
}

void http2_session::refuse(exchange& e, int status) {
    e.is_taken = true;
    e.answer = application().refuse_unreadable(status);
    std::string().swap(e.body);
    answer(e);
}

void http2_session::close(std::int32_t id) {
    auto const it = exchanges_.find(id);
    if (it == exchanges_.end()) return;
    if (it->second->stays_open) --open_for_long_;
    exchanges_.erase(it);
}

void http2_session::wait_for(exchange const& e, milliseconds t) {
    due_.emplace(read_clock().steady + t, e.id);
    arm();
}

void http2_session::arm() {
    if (due_.empty() || is_over_ || is_aborted_) return;
    steady_time const first = due_.begin()->first;
    if (armed_for_ && *armed_for_ <= first) return;
    armed_for_ = first;
    ++handlers_;
    timer_.expires_at(first);
    timer_.async_wait([this](error_code ec) {
        --handlers_;
        over_.cancel();
        // Else an earlier time has taken this one's place.
        if (!ec && !is_over_ && !is_aborted_) on_due();
    });
}

void http2_session::on_due() {
    armed_for_.reset();
    steady_time const now = read_clock().steady;
    while (!due_.empty() && due_.begin()->first <= now) {
        std::int32_t const id = due_.begin()->second;
        due_.erase(due_.begin());
        exchange* const e = find(id);
        if (!e) continue;
        if (!e->is_answering) {
            answer(*e);
        } else {
            e->is_waiting = false;
            nghttp2_session_resume_data(session_.get(), id);
        }
    }
    arm();
    renew_deadline();
    write();
}

void http2_session::answer(exchange& e) {
    e.is_answering = true;
    auto const& scripted = e.answer.scripted;
    if (scripted && scripted->never_answer) return leave_open(e);
    e.answer.exchange.end();
    if (scripted && scripted->raw) {
        raw_ += *scripted->raw;
        leave_open(e);
        return answered(e);
    }
    if (e.step && !do_before_answer(e)) return;
    submit_answer(e);
}

void http2_session::submit_answer(exchange& e) {
    reply const& r = e.answer;
    std::string_view const body = body_of(r);
    std::string lines;
    append_fields(r, read_clock().wall, lines);
    if (needs_length(r)) lines += "content-length: " + std::to_string(body.size()) + "\r\n";
    if (e.step && e.step->what == http2_fault::large_headers) {
        constexpr std::size_t line_size = 1000;
        for (std::size_t i = 0; i < (e.step->size + line_size - 1) / line_size; ++i) {
            std::string line = "x-large-" + std::to_string(i) + ": ";
            line.resize(line_size - 2, 'x');
            lines += line + "\r\n";
        }
    }
    if (auto const most = r.scripted ? r.scripted->close_after_bytes : std::nullopt) {
        // As many as in HTTP/1.1, so that the same script meets the same part of an answer.
        std::string http1;
        render(r, true, true, read_clock().wall, http1);
        if (*most < http1.size()) return tear_head(e, *most);
        if (*most - http1.size() < body.size()) e.cut_at = *most - http1.size();
    }
    std::string const status = std::to_string(status_of(r));
    std::vector<nghttp2_nv> fields{field_of(":status", status)};
    for (std::size_t at = 0; at < lines.size();) {
        std::size_t const end = std::min(lines.find("\r\n", at), lines.size());
        std::size_t const colon = lines.find(':', at);
        if (colon < end) {
            for (std::size_t i = at; i < colon; ++i) {
                if (lines[i] >= 'A' && lines[i] <= 'Z') lines[i] = static_cast<char>(lines[i] - 'A' + 'a');
            }
            std::string_view const name = std::string_view(lines).substr(at, colon - at);
            std::string_view value = std::string_view(lines).substr(colon + 1, end - colon - 1);
            value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
            if (!is_of_http1(name)) fields.push_back(field_of(name, value, changes_each_time(name)));
        }
        at = end + 2;
    }
    bool const has_body = e.method != "HEAD" && !has_no_body(status_of(r)) && (!body.empty() || e.cut_at);
    if (!has_body && e.pause_at) do_in_body(e);
    nghttp2_data_provider const provider{{.ptr = &e}, on_read};
    nghttp2_submit_response(session_.get(), e.id, fields.data(), fields.size(), has_body ? &provider : nullptr);
}

/// So much of a frame that the client cannot read it.
void http2_session::tear_head(exchange& e, std::size_t size) {
    // HEADERS of 100 bytes that begin with `:status: 200`.
    constexpr std::string_view head("\x00\x00\x64\x01\x04", 5);
    auto const id = static_cast<std::uint32_t>(e.id);
    std::string torn(head);
    for (int shift = 24; shift >= 0; shift -= 8) torn += static_cast<char>(static_cast<unsigned char>(id >> shift));
    torn += '\x88';
    raw_ += torn.substr(0, size);
    ending_ = e.answer.scripted->reset ? ending::reset : ending::cut;
    leave_open(e);
}

/// Its last frame is in out_, or in raw_.
void http2_session::answered(exchange& e) {
    auto const& scripted = e.answer.scripted;
    if (scripted && (scripted->reset || scripted->close_after_bytes)) {
        ending_ = scripted->reset ? ending::reset : ending::cut;
    } else if (e.answer.close_silently) {
        tally().injected_close();
        ending_ = ending::in_order;
    } else if (scripted && scripted->close) {
        ending_ = ending::in_order;
    } else if (!e.is_whole && !(e.step && e.step->what == http2_fault::early_answer_open)) {
        reset(e.id, http2_error::no_error);
    }
}

void http2_session::leave_open(exchange& e) {
    e.stays_open = true;
    ++open_for_long_;
}

ssize_t http2_session::next_part(exchange& e, std::size_t most, std::uint32_t& flags) {
    if (e.is_waiting) return NGHTTP2_ERR_DEFERRED;
    std::size_t const size = body_of(e.answer).size();
    if (e.pause_at && e.sent >= *e.pause_at) {
        do_in_body(e);
        return NGHTTP2_ERR_DEFERRED;
    }
    if (e.cut_at && e.sent >= *e.cut_at) {
        answered(e);
        return NGHTTP2_ERR_DEFERRED;
    }
    std::size_t n = std::min(most, e.cut_at.value_or(size) - e.sent);
    if (e.pause_at) n = std::min(n, *e.pause_at - e.sent);
    if (e.step && e.step->what == http2_fault::slow_body) {
        n = std::min<std::size_t>(n, e.step->size);
        e.is_waiting = true;
        wait_for(e, e.step->wait);
    }
    flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (e.sent + n == size) flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
}

/// As if it had not come.
void http2_session::leave_alone(exchange& e) {
    e.is_taken = true;
    tally().stream_untouched();
    bool const is_refused = e.step->what == http2_fault::refuse || e.id < last_touched();
    if (is_refused) reset(e.id, http2_error::refused_stream);
    if (e.step->what == http2_fault::refuse) return;
    // A later stream was touched already when an intercept says so: then that one is the last.
    go_away(is_refused ? last_touched() : std::max(e.id - 2, 0));
}

/// False: this is all that the client gets.
bool http2_session::do_before_answer(exchange& e) {
    http2_step const& s = *e.step;
    std::size_t const half = body_of(e.answer).size() / 2;
    switch (s.what) {
    case http2_fault::reset: reset(e.id, s.code); return false;
    case http2_fault::reset_mid_body:
    case http2_fault::goaway_mid_body:
    case http2_fault::goaway_cut: e.pause_at = half; return true;
    case http2_fault::informational:
        for (std::uint32_t i = 0; i < s.count; ++i) {
            std::array<nghttp2_nv, 2> const fields{field_of(":status", "103"),
                                                   field_of("link", "</style.css>; rel=preload")};
            nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, e.id, nullptr, fields.data(), fields.size(),
                                   nullptr);
        }
        return true;
    case http2_fault::stall_uploads:
    case http2_fault::zero_window: return true;  // Done when its head was read.
    case http2_fault::unknown_frame: do_to_connection(s); return true;
    default: break;
    }
    std::string frames = raw_frames(s, static_cast<std::uint32_t>(e.id));
    if (!frames.empty()) raw_ += frames;
    else do_to_connection(s);
    if (!replaces_answer(s.what)) return true;
    leave_open(e);
    return false;
}

/// In the middle of the answer's body.
void http2_session::do_in_body(exchange& e) {
    e.pause_at.reset();
    http2_step const& s = *e.step;
    if (s.what == http2_fault::goaway_mid_body) {
        held_ = e.id;
        e.is_waiting = true;
        return go_away(last_touched());
    }
    if (s.what == http2_fault::reset_mid_body) reset(e.id, s.code);
    else break_off(s.code);
    leave_open(e);
}

void http2_session::do_to_connection(http2_step const& s) {
    nghttp2_session* const session = session_.get();
    switch (s.what) {
    case http2_fault::goaway: go_away_gracefully(); break;
    case http2_fault::goaway_error: break_off(s.code); break;
    case http2_fault::unknown_frame: {
        nghttp2_settings_entry const unknown{0xf0f0, 1};
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &unknown, 1);
        raw_ += raw_frames(s, 0);
        break;
    }
    case http2_fault::stall_uploads: is_stalled_ = true; break;
    case http2_fault::zero_window: {
        nghttp2_settings_entry const zero{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &zero, 1);
        is_stalled_ = true;
        break;
    }
    case http2_fault::silence: is_silent_ = true; break;
    case http2_fault::ping_flood:
        for (std::uint32_t i = 0; i < s.count; ++i) nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, nullptr);
        break;
    case http2_fault::settings_flood:
        for (std::uint32_t i = 0; i < s.count; ++i) submit_settings();
        break;
    default: raw_ += raw_frames(s, 0); break;
    }
}

/// Streams up to `last` are answered, and then the connection ends.
void http2_session::go_away(std::int32_t last) {
    is_leaving_ = true;
    last_accepted_ = std::min(last_accepted_, last);
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, last_accepted_, NGHTTP2_NO_ERROR, nullptr, 0);
}

/// Nothing is answered any more.
void http2_session::break_off(http2_error code) {
    is_breaking_off_ = true;
    nghttp2_session_terminate_session2(session_.get(), last_touched(), static_cast<std::uint32_t>(code));
}

void http2_session::go_away_gracefully() {
    if (std::exchange(is_leaving_, true)) return;
    nghttp2_submit_shutdown_notice(session_.get());
}

void http2_session::goaway_sent(std::int32_t last, std::uint32_t code) {
    tally().goaway_sent();
    // By the library: of what came, something was wrong.
    if (code != NGHTTP2_NO_ERROR && !is_breaking_off_) tally().unreadable_request();
    // When it has come back, so have all requests that were sent before the client knew.
    if (last == no_last_stream) nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
    if (!held_) return;
    if (exchange* const e = find(*held_)) e->is_waiting = false;
    nghttp2_session_resume_data(session_.get(), *held_);
    held_.reset();
}

void http2_session::reset_sent(std::int32_t id, std::uint32_t code) {
    tally().reset_sent();
    exchange const* const e = find(id);
    bool const is_meant = code == NGHTTP2_NO_ERROR || code == NGHTTP2_REFUSED_STREAM || (e && e->step);
    if (!is_meant) tally().unreadable_request();
}

int http2_session::on_begin_headers(nghttp2_session*, nghttp2_frame const* f, void* p) noexcept {
    if (f->headers.cat == NGHTTP2_HCAT_REQUEST) self(p).begin(f->hd.stream_id);
    return 0;
}

int http2_session::on_header(nghttp2_session*, nghttp2_frame const* f, std::uint8_t const* name, std::size_t name_size,
                             std::uint8_t const* value, std::size_t value_size, std::uint8_t, void* p) noexcept {
    exchange* const e = self(p).find(f->hd.stream_id);
    // Trailers say nothing that the mock would go by.
    if (e && f->headers.cat == NGHTTP2_HCAT_REQUEST) {
        self(p).add_field(*e, {reinterpret_cast<char const*>(name), name_size},
                          {reinterpret_cast<char const*>(value), value_size});
    }
    return 0;
}

int http2_session::on_data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t id, std::uint8_t const* bytes,
                                 std::size_t size, void* p) noexcept {
    http2_session& s = self(p);
    if (exchange* const e = s.find(id)) s.add_body(*e, {reinterpret_cast<char const*>(bytes), size});
    if (!s.is_stalled_) nghttp2_session_consume(session, id, size);
    return 0;
}

int http2_session::on_frame(nghttp2_session*, nghttp2_frame const* f, void* p) noexcept {
    http2_session& s = self(p);
    if (f->hd.type == NGHTTP2_RST_STREAM) s.tally().reset_received();
    if (f->hd.type == NGHTTP2_PING && (f->hd.flags & NGHTTP2_FLAG_ACK) != 0 && s.is_leaving_ &&
        s.last_accepted_ == no_last_stream) {
        s.go_away(s.last_touched());
    }
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) return 0;
    exchange* const e = s.find(f->hd.stream_id);
    if (!e) return 0;
    e->is_whole = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST) s.head_read(*e);
    if (e->is_whole && !e->is_taken) s.request_read(*e);
    return 0;
}

int http2_session::on_sent(nghttp2_session*, nghttp2_frame const* f, void* p) noexcept {
    http2_session& s = self(p);
    if (f->hd.type == NGHTTP2_GOAWAY) s.goaway_sent(f->goaway.last_stream_id, f->goaway.error_code);
    if (f->hd.type == NGHTTP2_RST_STREAM) s.reset_sent(f->hd.stream_id, f->rst_stream.error_code);
    bool const is_answer = f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA;
    if (!is_answer || (f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    if (exchange* const e = s.find(f->hd.stream_id)) s.answered(*e);
    return 0;
}

int http2_session::on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* p) noexcept {
    self(p).close(id);
    return 0;
}

ssize_t http2_session::on_padding(nghttp2_session*, nghttp2_frame const* f, std::size_t most, void* p) noexcept {
    exchange const* const e = self(p).find(f->hd.stream_id);
    if (!e || !e->step || e->step->what != http2_fault::padding) return static_cast<ssize_t>(f->hd.length);
    // One byte says how many they are.
    return static_cast<ssize_t>(std::min<std::size_t>(most, f->hd.length + e->step->size + 1));
}

ssize_t http2_session::on_read(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t most, std::uint32_t* flags,
                               nghttp2_data_source* source, void* p) noexcept {
    return self(p).next_part(*static_cast<exchange*>(source->ptr), most, *flags);
}

int http2_session::on_send_data(nghttp2_session*, nghttp2_frame* f, std::uint8_t const* head, std::size_t size,
                                nghttp2_data_source* source, void* p) noexcept {
    http2_session& s = self(p);
    if (s.out_.size() >= most_at_once || s.ending_ != ending::none) return NGHTTP2_ERR_WOULDBLOCK;
    exchange& e = *static_cast<exchange*>(source->ptr);
    constexpr std::size_t frame_head = 9;
    s.out_.append(reinterpret_cast<char const*>(head), frame_head);
    std::size_t const padding = f->data.padlen;
    if (padding > 0) s.out_ += static_cast<char>(static_cast<unsigned char>(padding - 1));
    s.out_ += body_of(e.answer).substr(e.sent, size);
    if (padding > 1) s.out_.append(padding - 1, '\0');
    e.sent += size;
    return 0;
}

}  // namespace

asio::awaitable<void> serve_http2(worker* host, tls_channel* channel) {
    http2_session s(*host, *channel);
    co_await s.run();
}

}  // namespace jirapool::mock
