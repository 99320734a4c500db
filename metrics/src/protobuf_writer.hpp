#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace jirapool::metrics {

/// Writes one message of the protobuf wire format: what little of it a scrape needs, without the library.
/// Source: https://protobuf.dev/programming-guides/encoding/
class protobuf_writer {
public:
    void add_unsigned(unsigned field, std::uint64_t v) {
        add_tag(field, varint);
        add_varint(v);
    }
    /// A sint32 or sint64, whose small negatives are short.
    void add_signed(unsigned field, std::int64_t v) {
        add_unsigned(field, (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
    }
    /// An int32 or int64.
    void add_plain(unsigned field, std::int64_t v) { add_unsigned(field, static_cast<std::uint64_t>(v)); }
    void add_double(unsigned field, double v) {
        add_tag(field, eight_bytes);
        auto bits = std::bit_cast<std::uint64_t>(v);
        for (int i = 0; i < 8; ++i, bits >>= 8) bytes_ += static_cast<char>(bits & 0xff);
    }
    void add_text(unsigned field, std::string_view v) {
        add_tag(field, with_length);
        add_varint(v.size());
        bytes_ += v;
    }
    void add_message(unsigned field, protobuf_writer const& m) { add_text(field, m.bytes_); }

    /// Adds it to a stream of messages, behind its length.
    void add_delimited(protobuf_writer const& m) {
        add_varint(m.bytes_.size());
        bytes_ += m.bytes_;
    }

    std::string take() && { return std::move(bytes_); }

private:
    enum wire_type : unsigned { varint = 0, eight_bytes = 1, with_length = 2 };

    void add_tag(unsigned field, wire_type t) { add_varint(field << 3 | t); }
    void add_varint(std::uint64_t v) {
        for (; v >= 0x80; v >>= 7) bytes_ += static_cast<char>(v | 0x80);
        bytes_ += static_cast<char>(v);
    }

    std::string bytes_;
};

}  // namespace jirapool::metrics
