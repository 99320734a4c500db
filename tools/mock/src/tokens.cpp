#include "tokens.hpp"

#include "text.hpp"

#include <array>

namespace jirapool::mock {
namespace {

constexpr std::string_view prefix = "eyA";
// A word is 64 bits, in 11 characters of 6 bits.
constexpr std::size_t word_size = 11;
constexpr std::size_t word_count = 4;
constexpr std::size_t claims_end = prefix.size() + word_count * word_size;

constexpr std::array<int, 256> make_values() {
    std::array<int, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < url_alphabet.size(); ++i) {
        values[static_cast<unsigned char>(url_alphabet[i])] = static_cast<int>(i);
    }
    return values;
}
constexpr auto values = make_values();

void append_word(std::string& out, std::uint64_t word) {
    for (std::size_t i = 0; i < word_size; ++i, word >>= 6) out += url_alphabet[word & 63u];
}

std::optional<std::uint64_t> read_word(std::string_view text) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < word_size; ++i) {
        int const value = values[static_cast<unsigned char>(text[i])];
        if (value < 0) return std::nullopt;
        // The last character holds four bits: more would be a second spelling of the same token.
        if (i == word_size - 1 && value > 15) return std::nullopt;
        word |= static_cast<std::uint64_t>(value) << (6 * i);
    }
    return word;
}

std::uint64_t check_of(std::uint64_t key, std::uint64_t nonce, std::uint64_t who, std::uint64_t when) noexcept {
    return mix(mix(mix(key ^ nonce) ^ who) ^ when);
}

// The rest of the token: as meaningless as a signature, and as necessary.
class tail {
public:
    explicit tail(std::uint64_t check) noexcept : random_(check) {}
    char next() noexcept {
        if (left_ == 0) {
            bits_ = random_.next();
            left_ = 10;
        }
        --left_;
        char const c = url_alphabet[bits_ & 63u];
        bits_ >>= 6;
        return c;
    }

private:
    generator random_;
    std::uint64_t bits_ = 0;
    int left_ = 0;
};

}  // namespace

std::string token_mint::make(std::uint32_t connection, std::uint64_t serial, steady_time now) const {
    std::uint64_t const nonce = mix(key_ ^ mix(serial));
    std::uint64_t const when = static_cast<std::uint64_t>(now.time_since_epoch().count());
    std::uint64_t const check = check_of(key_, nonce, connection, when);
    std::string out;
    out.reserve(size_);
    out += prefix;
    append_word(out, nonce);
    append_word(out, connection ^ mix(nonce ^ key_));
    append_word(out, when ^ mix(nonce + key_));
    append_word(out, check);
    tail filler(check);
    while (out.size() < size_) out += filler.next();
    return out;
}

std::optional<token_mint::claims> token_mint::read(std::string_view token) const noexcept {
    if (token.size() != size_ || !token.starts_with(prefix)) return std::nullopt;
    std::array<std::uint64_t, word_count> words{};
    for (std::size_t i = 0; i < word_count; ++i) {
        auto const word = read_word(token.substr(prefix.size() + i * word_size, word_size));
        if (!word) return std::nullopt;
        words[i] = *word;
    }
    std::uint64_t const who = words[1] ^ mix(words[0] ^ key_);
    std::uint64_t const when = words[2] ^ mix(words[0] + key_);
    if (words[3] != check_of(key_, words[0], who, when) || who > 0xffffffffu) return std::nullopt;
    tail filler(words[3]);
    for (char const c : token.substr(claims_end)) {
        if (c != filler.next()) return std::nullopt;
    }
    return claims{static_cast<std::uint32_t>(who),
                  steady_time{steady_time::duration{static_cast<steady_time::rep>(when)}}};
}

}  // namespace jirapool::mock
