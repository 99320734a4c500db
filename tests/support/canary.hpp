#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace jirapool::test {

inline std::string base64_of(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        unsigned three = 0;
        for (std::size_t k = 0; k < 3; ++k)
            three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k)
            out.push_back(k > bytes.size() - i ? '=' : digits[three >> (18 - 6 * k) & 63]);
    }
    return out;
}

/// As a secret may have been written: as it is, backwards, in JSON, in a URL, in hexadecimal, and in base64 behind whatever stands before
/// it, as in "Basic " and base64 of "user:secret".
inline std::vector<std::string> spellings(std::string_view secret) {
    std::vector<std::string> all{std::string(secret), std::string(secret.rbegin(), secret.rend())};
    std::string json, url, hex;
    constexpr char digits[] = "0123456789ABCDEF";
    for (char const c : secret) {
        if (c == '"' || c == '\\') json.push_back('\\');
        json.push_back(c);
        auto const u = static_cast<unsigned char>(c);
        bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("-._~").find(c) != std::string_view::npos;
        for (auto* const out : {&url, &hex}) {
            if (out == &url && plain) {
                out->push_back(c);
                continue;
            }
            if (out == &url) out->push_back('%');
            out->push_back(digits[u >> 4]);
            out->push_back(digits[u & 15]);
        }
    }
    all.insert(all.end(), {json, url, hex});
    for (std::size_t before = 0; before < 3; ++before) {
        auto const whole = base64_of(std::string(before, 'x') + std::string(secret));
        // What does not depend on its neighbours.
        all.push_back(whole.substr(before == 0 ? 0 : 2, whole.size() - 6));
    }
    return all;
}

/// For parts of secrets, in any of their spellings.
class secret_search {
public:
    /// So many characters of a secret are a secret still; fewer may stand anywhere.
    static constexpr std::size_t part = 12;

    void add(std::string_view secret) {
        for (auto& s : spellings(secret)) {
            auto const& kept = kept_.emplace_back(std::move(s));
            for (std::size_t i = 0; i + part <= kept.size(); ++i) parts_.insert(std::string_view(kept).substr(i, part));
        }
    }
    bool finds(std::string_view text) const {
        for (std::size_t i = 0; i + part <= text.size(); ++i)
            if (parts_.contains(text.substr(i, part))) return true;
        return false;
    }

private:
    std::deque<std::string> kept_;
    std::unordered_set<std::string_view> parts_;
};

/// Whether a part of the secret stands in the text.
inline bool shows(std::string_view text, std::string_view secret) {
    secret_search search;
    search.add(secret);
    return search.finds(text);
}

}  // namespace jirapool::test
