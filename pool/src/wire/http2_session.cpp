#include "wire/http2_session.hpp"

#include <jirapool/core/secret.hpp>

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace jirapool::detail {

namespace {

std::size_t size_of(void const* block) noexcept {
    std::size_t size = 0;
    std::memcpy(&size, block, sizeof size);
    return size;
}

}  // namespace

// Each block has its size before it.

constexpr std::size_t block_head = alignof(std::max_align_t);

void* http2_memory::allocate(std::size_t size) noexcept {
    auto const kind = kind_of(size);
    char* block = nullptr;
    if (kind < spares_.size() && spares_[kind] != nullptr) {
        block = reinterpret_cast<char*>(spares_[kind]);
        spares_[kind] = spares_[kind]->next;
    } else {
        // Of a whole kind, so that it serves any of its sizes again.
        auto const whole = kind < spares_.size() ? kind * step : size;
        block = static_cast<char*>(::operator new(whole + block_head, std::nothrow));
        if (block == nullptr) return nullptr;
    }
    std::memcpy(block, &size, sizeof size);
    return block + block_head;
}

void http2_memory::release(void* p) noexcept {
    if (p == nullptr) return;
    auto* const block = static_cast<char*>(p) - block_head;
    auto const kind = kind_of(size_of(block));
    if (kind < spares_.size()) spares_[kind] = ::new (block) spare{spares_[kind]};
    else ::operator delete(block);
}

void* http2_memory::reallocate(void* p, std::size_t size) noexcept {
    void* const grown = allocate(size);
    if (grown == nullptr || p == nullptr) return grown;
    std::memcpy(grown, p, std::min(size_of(static_cast<char*>(p) - block_head), size));
    release(p);
    return grown;
}

void http2_memory::give_back() noexcept {
    for (auto& first : spares_)
        while (first != nullptr) ::operator delete(std::exchange(first, first->next));
}

namespace {

http2_memory& memory(void* p) noexcept { return *static_cast<http2_memory*>(p); }
void* allocate(std::size_t size, void* m) noexcept { return memory(m).allocate(size); }
void release(void* p, void* m) noexcept { memory(m).release(p); }
void* reallocate(void* p, std::size_t size, void* m) noexcept { return memory(m).reallocate(p, size); }
void* allocate_zeros(std::size_t count, std::size_t size, void* m) noexcept {
    void* const p = memory(m).allocate(count * size);
    if (p != nullptr) std::memset(p, 0, count * size);
    return p;
}

struct options_deleter {
    void operator()(nghttp2_option* o) const noexcept { nghttp2_option_del(o); }
};
struct callbacks_deleter {
    void operator()(nghttp2_session_callbacks* c) const noexcept { nghttp2_session_callbacks_del(c); }
};

std::string_view view(std::uint8_t const* data, std::size_t size) noexcept {
    return {reinterpret_cast<char const*>(data), size};
}

std::uint8_t* bytes(std::string_view text) noexcept {
    return const_cast<std::uint8_t*>(reinterpret_cast<std::uint8_t const*>(text.data()));
}

// Less is given back with what comes next: half the smallest window, so that a server never waits for it.
constexpr std::int32_t room_step = 32 << 10;

}  // namespace

char const* http2_error_name(std::uint32_t code) noexcept { return nghttp2_http2_strerror(code); }

/// What nghttp2 calls. Nothing may be thrown through it.
struct http2_session::callbacks {
    static http2_session& self(void* p) noexcept { return *static_cast<http2_session*>(p); }

    static int on_begin_headers(nghttp2_session*, nghttp2_frame const* f, void* p) noexcept {
        auto& s = self(p);
        if (auto* const stream = s.stream_of(f->hd.stream_id))
            s.refuse(*stream, s.tell(*stream, [&] { return stream->on_block(); }));
        return 0;
    }

    static int on_header(nghttp2_session*, nghttp2_frame const* f, std::uint8_t const* name, std::size_t name_size,
                         std::uint8_t const* value, std::size_t value_size, std::uint8_t, void* p) noexcept {
        auto& s = self(p);
        if (auto* const stream = s.stream_of(f->hd.stream_id))
            s.refuse(*stream,
                     s.tell(*stream, [&] { return stream->on_field(view(name, name_size), view(value, value_size)); }));
        return 0;
    }

    static int on_data(nghttp2_session* n, std::uint8_t, std::int32_t id, std::uint8_t const* data, std::size_t size,
                       void* p) noexcept {
        auto& s = self(p);
        s.check(nghttp2_session_consume_connection(n, size));
        auto* const stream = s.stream_of(id);
        if (stream == nullptr) return 0;
        stream->received_ += size;
        auto const v = s.tell(*stream, [&] { return stream->on_data(view(data, size)); });
        if (v == http2_stream::verdict::taken) s.check(nghttp2_session_consume_stream(n, id, size));
        s.refuse(*stream, v);
        return 0;
    }

    static int on_frame(nghttp2_session*, nghttp2_frame const* f, void* p) noexcept {
        auto& s = self(p);
        if (f->hd.type == NGHTTP2_GOAWAY) {
            s.on_goaway(f->goaway.error_code, f->goaway.last_stream_id);
            return 0;
        }
        if (f->hd.type == NGHTTP2_RST_STREAM) s.reset_by_server_ = s.stream_of(f->hd.stream_id) != nullptr;
        if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) return 0;
        auto* const stream = s.stream_of(f->hd.stream_id);
        if (stream == nullptr) return 0;
        constexpr std::size_t frame_head = 9;
        bool const last = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        stream->received_ += frame_head;
        auto v = http2_stream::verdict::good;
        if (f->hd.type == NGHTTP2_HEADERS) {
            s.acts_on_some_ = true;
            stream->received_ += f->hd.length;
            v = s.tell(*stream, [&] { return stream->on_block_end(last); });
        }
        if (v == http2_stream::verdict::good && last) v = s.tell(*stream, [&] { return stream->on_end(); });
        s.refuse(*stream, v);
        return 0;
    }

    static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* p) noexcept {
        auto& s = self(p);
        // A GOAWAY closes those that the server did not begin, by this code.
        bool const by_server = std::exchange(s.reset_by_server_, false) || code == NGHTTP2_REFUSED_STREAM;
        if (auto* const stream = s.stream_of(id)) {
            if (!by_server && code != NGHTTP2_NO_ERROR) s.on_reset();
            stream->id_ = 0;
            stream->on_closed(code, by_server);
        }
        return 0;
    }

    static ssize_t read(nghttp2_session*, std::int32_t id, std::uint8_t* to, std::size_t room, std::uint32_t* flags,
                        nghttp2_data_source*, void* p) noexcept {
        auto* const stream = self(p).stream_of(id);
        if (stream == nullptr) return NGHTTP2_ERR_DEFERRED;
        bool last = false;
        auto const n = stream->read_body(reinterpret_cast<char*>(to), room, last);
        if (last) *flags |= NGHTTP2_DATA_FLAG_EOF;
        else if (n == 0) return NGHTTP2_ERR_DEFERRED;
        return static_cast<ssize_t>(n);
    }
};

http2_session::http2_session(http2_limits const& l, steady_time now)
    : meter_(l.max_head, l.max_headers, now, this), limits_(l) {
    nghttp2_option* made_options = nullptr;
    nghttp2_session_callbacks* made_callbacks = nullptr;
    if (nghttp2_option_new(&made_options) != 0) throw std::bad_alloc();
    std::unique_ptr<nghttp2_option, options_deleter> const options(made_options);
    if (nghttp2_session_callbacks_new(&made_callbacks) != 0) throw std::bad_alloc();
    std::unique_ptr<nghttp2_session_callbacks, callbacks_deleter> const told(made_callbacks);
    nghttp2_option_set_no_auto_window_update(made_options, 1);
    // http2_answer judges answers: it says in words what is wrong with one.
    nghttp2_option_set_no_http_messaging(made_options, 1);
    nghttp2_option_set_peer_max_concurrent_streams(made_options, l.expected_streams);
    // The meter bounds them, by what a head may have.
    nghttp2_option_set_max_continuations(made_options, std::numeric_limits<std::uint16_t>::max());
    nghttp2_session_callbacks_set_on_begin_headers_callback(made_callbacks, callbacks::on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made_callbacks, callbacks::on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made_callbacks, callbacks::on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made_callbacks, callbacks::on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(made_callbacks, callbacks::on_close);
    nghttp2_mem memory{&memory_, allocate, release, allocate_zeros, reallocate};  // nghttp2 copies it
    if (nghttp2_session_client_new3(&session_, made_callbacks, this, made_options, &memory) != 0)
        throw std::bad_alloc();
    nghttp2_settings_entry const settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l.stream_window},
        // RFC 9113, section 6.5.2, counts 32 bytes more for each field.
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l.max_head + 32 * std::min(l.max_headers, 1u << 16)},
    };
    int result = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    if (result == 0)
        result = nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                                       static_cast<std::int32_t>(l.channel_window));
    if (result == 0 && l.first_stream > 1)
        result = nghttp2_session_set_next_stream_id(session_, static_cast<std::int32_t>(l.first_stream));
    if (result == 0) return;
    nghttp2_session_del(session_);
    throw std::bad_alloc();
}

http2_session::~http2_session() { nghttp2_session_del(session_); }

void http2_session::fail(errc code, std::string_view words, std::string_view more) noexcept {
    if (error_.code()) return;
    error_ = failure(code);
    try {
        error_ = failure(code, std::string(words).append(more));
    } catch (std::bad_alloc const&) {
        error_ = failure(code);  // the code stands without words
    }
}

/// Of a function of nghttp2's: what is no more than a stream's, as one that is closed already, is no failure here.
void http2_session::check(int result) noexcept {
    if (nghttp2_is_fatal(result) == 0) return;
    if (result == NGHTTP2_ERR_NOMEM) fail(errc::channel_lost, "there was no memory for what HTTP/2 needs");
    else fail(errc::protocol_error, "the server broke HTTP/2: ", nghttp2_strerror(result));
}

http2_stream* http2_session::stream_of(std::int32_t id) const noexcept {
    return static_cast<http2_stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

void http2_session::forget(http2_stream& s) noexcept {
    nghttp2_session_set_stream_user_data(session_, std::exchange(s.id_, 0), nullptr);
}

/// What comes on a stream that is none of ours, or that we did not begin yet, nghttp2 judges.
bool http2_session::wanted(std::uint32_t stream) const noexcept {
    return stream % 2 == 0 || stream >= nghttp2_session_get_next_stream_id(session_) ||
           stream_of(static_cast<std::int32_t>(stream)) != nullptr;
}

void http2_session::on_reset() noexcept {
    // Before it knew our settings it had what RFC 9113, section 6.9.2, gives.
    constexpr std::uint32_t window_before_settings = 65535;
    meter_.on_reset(std::max(limits_.stream_window, window_before_settings));
}

template <class F>
http2_stream::verdict http2_session::tell(http2_stream& s, F&& f) noexcept {
    try {
        return f();
    } catch (std::bad_alloc const&) {
        s.on_lack_of_memory();
        return http2_stream::verdict::unwanted;
    }
}

void http2_session::refuse(http2_stream& s, http2_stream::verdict why) noexcept {
    if (why != http2_stream::verdict::malformed && why != http2_stream::verdict::unwanted) return;
    auto const id = s.id_;
    forget(s);
    on_reset();
    check(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id,
                                    why == http2_stream::verdict::malformed ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_CANCEL));
}

void http2_session::on_goaway(std::uint32_t code, std::int32_t last_stream) noexcept {
    // Who ends in good order may warn first (RFC 9113, section 6.8): of no stream in particular.
    constexpr std::int32_t warning = std::numeric_limits<std::int32_t>::max();
    told_to_leave_ = true;
    wants_http1_ = wants_http1_ || code == NGHTTP2_HTTP_1_1_REQUIRED;
    in_order_ = in_order_ && code == NGHTTP2_NO_ERROR;
    acts_on_some_ = acts_on_some_ ||
                    (last_stream >= static_cast<std::int32_t>(limits_.first_stream) && last_stream < warning);
    try {
        parting_words_ = std::string("GOAWAY: ") + http2_error_name(code);
    } catch (std::bad_alloc const&) {
        parting_words_.clear();  // they are only for people
    }
}

void http2_session::put(std::string_view in, steady_time now) noexcept {
    if (error_.code()) return;
    if (auto const broken = meter_.put(in, now)) {
        blamed_ = static_cast<std::int32_t>(broken.stream);
        fail(broken.code, broken.rule);
        check(nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM));
        return;
    }
    auto const used = nghttp2_session_mem_recv(session_, bytes(in), in.size());
    if (used < 0) check(static_cast<int>(used));
}

/// What HTTP/2 makes of it is said in the frame itself.
void http2_session::look_at(std::string_view frame) noexcept {
    constexpr std::size_t frame_head = 9;
    // The preface is a literal of nghttp2's.
    wipes_frame_ = std::exchange(preface_taken_, true);
    if (!wipes_frame_) return;
    if (frame.size() < frame_head) return;
    auto const byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(frame[i])); };
    auto const word = [&](std::size_t i) { return byte(i) << 24 | byte(i + 1) << 16 | byte(i + 2) << 8 | byte(i + 3); };
    auto const type = byte(3);
    auto const flags = byte(4);
    if (type == NGHTTP2_GOAWAY) {
        if (frame.size() < frame_head + 8 || word(frame_head + 4) == NGHTTP2_NO_ERROR) return;
        auto const words = frame.substr(frame_head + 8);
        fail(errc::protocol_error, "the server broke HTTP/2: ",
             words.empty() ? std::string_view(http2_error_name(word(frame_head + 4))) : words);
        return;
    }
    if (type != NGHTTP2_HEADERS && type != NGHTTP2_CONTINUATION && type != NGHTTP2_DATA) return;
    auto* const s = stream_of(static_cast<std::int32_t>(word(5)));
    bool last = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (type == NGHTTP2_DATA) {
        meter_.on_body();
    } else {
        if (type == NGHTTP2_HEADERS) {
            meter_.on_request();
            ends_with_head_ = last;
            if (s != nullptr) s->begins_at_ = taken_;
        }
        last = ends_with_head_ && (flags & NGHTTP2_FLAG_END_HEADERS) != 0;
    }
    if (s == nullptr) return;
    s->sent_ += frame.size();
    if (!last) return;
    s->ends_at_ = taken_ + frame.size();
    s->on_request_taken();
}

bool http2_session::next_frame() noexcept {
    std::uint8_t const* data = nullptr;
    auto const size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) check(static_cast<int>(size));
    if (size <= 0) return false;
    frame_ = view(data, static_cast<std::size_t>(size));
    look_at(frame_);
    return true;
}

std::size_t http2_session::take(char* to, std::size_t room) noexcept {
    std::size_t done = 0;
    while (done < room && (!frame_.empty() || next_frame())) {
        auto const part = std::min(room - done, frame_.size());
        std::memcpy(to + done, frame_.data(), part);
        // It is nghttp2's buffer, which it fills anew for the next frame: until then it would hold a credential.
        if (wipes_frame_) wipe(const_cast<char*>(frame_.data()), part);
        frame_.remove_prefix(part);
        done += part;
        taken_ += part;
    }
    return done;
}

bool http2_session::may_begin() const noexcept {
    constexpr auto end_of_ids = 1u << 31;
    return !error_.code() && !told_to_leave_ && nghttp2_session_get_next_stream_id(session_) < end_of_ids;
}

std::uint32_t http2_session::max_streams() const noexcept {
    return std::min(limits_.max_streams,
                    nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
}

bool http2_session::begin(http2_stream& s, std::span<http2_field const> fields, bool has_body) {
    if (!may_begin()) return false;
    constexpr std::size_t most_usual = 24;
    std::array<nghttp2_nv, most_usual> usual;
    std::vector<nghttp2_nv> unusual(fields.size() > most_usual ? fields.size() : 0);
    auto* const all = unusual.empty() ? usual.data() : unusual.data();
    std::transform(fields.begin(), fields.end(), all, [](http2_field const& f) {
        std::uint8_t flags = NGHTTP2_NV_FLAG_NO_COPY_VALUE;
        if (f.own_name) flags |= NGHTTP2_NV_FLAG_NO_COPY_NAME;
        if (!f.may_be_kept) flags |= NGHTTP2_NV_FLAG_NO_INDEX;
        return nghttp2_nv{bytes(f.name), bytes(f.value), f.name.size(), f.value.size(), flags};
    });
    nghttp2_data_provider provider{};
    provider.read_callback = callbacks::read;
    auto const id = nghttp2_submit_request(session_, nullptr, all, fields.size(), has_body ? &provider : nullptr, &s);
    if (id == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
    if (id < 0) return false;
    s.id_ = id;
    return true;
}

void http2_session::end(http2_stream& s) noexcept {
    if (!s.open()) return;
    auto const id = s.id_;
    forget(s);
    on_reset();
    check(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL));
}

void http2_session::resume(http2_stream& s) noexcept {
    if (s.open()) check(nghttp2_session_resume_data(session_, s.id_));
}

void http2_session::give_back(http2_stream& s, std::size_t size) noexcept {
    // nghttp2's own count would give half a window at a time.
    s.room_ += static_cast<std::int32_t>(size);
    if (!s.open() || s.room_ < room_step) return;
    check(nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, s.id_, std::exchange(s.room_, 0)));
}

bool http2_session::held_back(http2_stream const& s) const noexcept {
    return s.open() && (nghttp2_session_get_stream_remote_window_size(session_, s.id_) <= 0 ||
                        nghttp2_session_get_remote_window_size(session_) <= 0);
}

void http2_session::ping() noexcept { check(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr)); }

void http2_session::leave() noexcept { check(nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR)); }

}  // namespace jirapool::detail
