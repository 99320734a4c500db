#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace jirapool {

class explanation;

/** A body's bytes with simdjson's padding readable behind them.

    Converts to std::string_view and, without a copy, to simdjson::padded_string_view:
    `simdjson::ondemand::parser parser;  auto document = parser.iterate(r.body());`. */
class body_view {
public:
    /// simdjson reads up to 64 bytes past the end (SIMDJSON_PADDING).
    static constexpr std::size_t padding = 64;

    body_view(char const* data, std::size_t size) noexcept : data_(data), size_(size) {}
    char const* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    operator std::string_view() const noexcept { return {data_, size_}; }  // NOLINT(google-explicit-constructor)

    /// simdjson::padded_string_view, recognised by its shape: this header must not include simdjson.
    template <class Padded>
        requires std::is_constructible_v<Padded, char const*, std::size_t, std::size_t> &&
                 requires(Padded const& p) { p.padding(); }
    operator Padded() const noexcept {  // NOLINT(google-explicit-constructor)
        return Padded(data_, size_, size_ + padding);
    }

private:
    char const* data_;
    std::size_t size_;
};

/// A growing byte buffer whose contents always have body_view::padding zero bytes behind them.
class padded_buffer {
public:
    padded_buffer() = default;
    padded_buffer(padded_buffer&& other) noexcept;
    padded_buffer& operator=(padded_buffer&& other) noexcept;
    ~padded_buffer();

    void reserve(std::size_t capacity);
    void append(char const* data, std::size_t size);
    /// Room for `size` more bytes at the end, to be filled and then committed.
    char* prepare(std::size_t size);
    /// Precondition: at most what the last `prepare` made room for. What was prepared beyond it is lost.
    void commit(std::size_t size) noexcept;
    /// Keeps the capacity.
    void clear() noexcept;
    /// Overwrites all it holds or held, then empties it: for answers with a token in them.
    void wipe() noexcept;

    char const* data() const noexcept { return data_ != nullptr ? data_ : empty_; }
    std::size_t size() const noexcept { return size_; }
    std::size_t capacity() const noexcept { return capacity_; }

private:
    void zero_padding() noexcept;
    void free() noexcept;

    static constexpr char empty_[body_view::padding] = {};
    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

/** Jira's answer: any status. 404 is an answer, not an error.

    @par Threads   A value; const use from any thread. */
class response {
public:
    response() = default;

    /// The HTTP status.
    int status() const noexcept { return status_; }
    /// Whether the status is 200 to 299.
    bool ok() const noexcept { return status_ >= 200 && status_ < 300; }

    /// The first header of that name, in any case; empty when there is none.
    std::string_view header(std::string_view name) const& noexcept;
    std::string_view header(std::string_view name) && = delete;
    /// The number of headers, those of one name counted one by one.
    std::size_t header_count() const noexcept { return fields_.size(); }
    /// The name and value of the i-th header, i < header_count().
    std::string_view header_name(std::size_t i) const& noexcept { return text(fields_[i].name); }
    std::string_view header_value(std::size_t i) const& noexcept { return text(fields_[i].value); }

    /// The body, decoded when the answer came with gzip or brotli; the headers `Content-Encoding` and `Content-Length`, which would
    /// describe what was on the wire, are gone then. A request with an `Accept-Encoding` of its own gets it as it came, and so does
    /// who gets a 206 or a coding that is none of the two: the header is there then.
    /// It is empty when the body went to the call's sink.
    body_view body() const& noexcept { return {body_.data(), body_.size()}; }
    body_view body() && = delete;

    /// Jira's id of the exchange (`atl-traceid`): the first thing its support asks for. Empty when the edge gave none.
    std::string_view trace_id() const& noexcept { return header("atl-traceid"); }
    std::string_view trace_id() && = delete;

    /// How often the request was sent: 1 unless it was sent again, 0 for a response that no call gave.
    unsigned exchanges() const noexcept { return exchanges_; }
    /** Whether an exchange before the one that this answers may have done what was asked: a 404 to a DELETE, or a 409 to a write, may
        speak of the call's own work. It is never true for requests that change nothing. */
    bool maybe_processed_before() const noexcept { return maybe_processed_before_; }

    /// Where the call's time went, when its request asked for it; else null.
    std::shared_ptr<jirapool::explanation const> const& explanation() const noexcept { return explanation_; }

    // For whoever fills one in: the channel, tests and fakes.
    void set_explanation(std::shared_ptr<jirapool::explanation const> e) noexcept { explanation_ = std::move(e); }
    void set_status(int status) noexcept { status_ = status; }
    void set_exchanges(unsigned n, bool maybe_processed_before) noexcept {
        exchanges_ = n;
        maybe_processed_before_ = maybe_processed_before;
    }
    void add_header(std::string_view name, std::string_view value);
    /// Many at once, out of one text: `place_header` for each, by where its name and value are in the text, then `set_head` with
    /// that, which is copied whole. Before that none may be asked for; the places must lie in the text, of less than 4 GiB.
    void place_header(std::size_t name, std::size_t name_size, std::size_t value, std::size_t value_size) {
        if (fields_.empty()) fields_.reserve(32);
        fields_.push_back({{static_cast<std::uint32_t>(name), static_cast<std::uint32_t>(name_size)},
                           {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value_size)}});
    }
    void set_head(std::string_view text) { head_ = text; }
    void remove_headers(std::string_view name) noexcept;
    padded_buffer& mutable_body() noexcept { return body_; }
    void clear() noexcept;

private:
    struct span {
        std::uint32_t begin = 0;
        std::uint32_t size = 0;
    };
    struct field {
        span name;
        span value;
    };
    std::string_view text(span s) const noexcept { return std::string_view(head_).substr(s.begin, s.size); }

    std::string head_;  // names and values one behind the other: one allocation for all headers
    std::vector<field> fields_;
    padded_buffer body_;
    std::shared_ptr<jirapool::explanation const> explanation_;
    int status_ = 0;
    unsigned exchanges_ = 0;
    bool maybe_processed_before_ = false;
};

}  // namespace jirapool
