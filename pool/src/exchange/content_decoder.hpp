#pragma once

#include <jirapool/core/error.hpp>
#include <jirapool/core/response.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace jirapool::detail {

enum class content_coding : std::uint8_t { identity, gzip, brotli };

/// One Content-Encoding's value (RFC 9110, section 8.4.1), in any case; nullopt when it is none that we offer, or several.
std::optional<content_coding> content_coding_of(std::string_view value) noexcept;

/** Decodes one layer of compression, piece by piece, into a body. gzip may have several members (RFC 1952, section 2.2), as what
    is compressed in parts has; the limits hold over all of them. Sans-I/O; bounded in what it writes, so that a small answer
    cannot become gigabytes. */
class content_decoder {
public:
    struct limits {
        std::uint64_t max_body = 0;
        std::uint32_t max_ratio = 0;
    };
    /// What was broken; `rule` is a literal, nullptr when nothing was.
    struct problem {
        char const* rule = nullptr;
        errc code = errc::protocol_error;
        explicit operator bool() const noexcept { return rule != nullptr; }
    };
    /// So much may come of any input: a short body of zeros is no attack.
    static constexpr std::uint64_t free_of_ratio = 1u << 20;

    /// What was decoded: its own memory is wiped before it is given back, or nobody's secret.
    enum class memory : std::uint8_t { plain, wiped };

    /// Precondition: not identity. Throws std::bad_alloc.
    content_decoder(content_coding c, limits l, memory m = memory::plain);
    ~content_decoder();
    content_decoder(content_decoder const&) = delete;
    content_decoder& operator=(content_decoder const&) = delete;

    /// Appends what `data` means to `out`. After a problem it must not be called again.
    problem put(std::string_view data, padded_buffer& out);
    /// As `put`, but at most `most` bytes: takes off the front of `data` what that needs, and `has_more` says whether to go on,
    /// which may be without any data.
    problem put_some(std::string_view& data, padded_buffer& out, std::size_t most);
    bool has_more() const noexcept { return more_; }
    /// Whether the end came. A body of no bytes at all is whole: servers send it beside a Content-Encoding.
    problem finish() const noexcept;

private:
    struct gzip_state;
    struct brotli_state;
    enum class step : std::uint8_t { more_input, more_output, ended, corrupt };
    /// Consumes from the front of `in`, fills `out` from `size` bytes, which becomes what was written.
    step gunzip(std::string_view& in, char* out, std::size_t& size);
    step unbrotli(std::string_view& in, char* out, std::size_t& size);
    /// Behind an end: whether `data` goes on with another member.
    bool begin_member(std::string_view data) noexcept;

    limits limits_;
    std::unique_ptr<gzip_state> gzip_;
    std::unique_ptr<brotli_state> brotli_;
    std::uint64_t consumed_ = 0;
    std::uint64_t decoded_ = 0;
    bool more_ = false;  // the output's room was used up
    bool ended_ = false;
};

}  // namespace jirapool::detail
