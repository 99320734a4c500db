#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace jirapool {

/// Overwrites memory in a way the compiler may not leave out.
void wipe(void* data, std::size_t size) noexcept;

/// Overwrites the whole capacity of a string, then empties it.
void wipe(std::string& text) noexcept;

/** An API key, client secret, webhook secret or access token.

    It never prints (no conversion, no operator<<; `masked` shows only the length), compares in constant time, and
    overwrites its memory when it is destroyed or assigned to. Copying is explicit through `clone`.

    @par Threads   As a std::string: const use from any thread. */
class secret {
public:
    secret() = default;
    explicit secret(std::string_view text);
    secret(secret&& other) noexcept;
    secret& operator=(secret&& other) noexcept;
    secret(secret const&) = delete;
    secret& operator=(secret const&) = delete;
    ~secret();

    /// The bytes. Whoever calls this puts a secret somewhere: wipe it there.
    std::string_view reveal() const& noexcept { return {data_.get(), size_}; }
    std::string_view reveal() && = delete;

    /// Another one with the same bytes.
    secret clone() const { return secret(reveal()); }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    /// Its length in place of its bytes, "secret(24)", fit for logs.
    std::string masked() const;

    /// Compares, and takes the same time wherever two secrets of the same length differ.
    friend bool operator==(secret const& a, secret const& b) noexcept;

private:
    std::unique_ptr<char[]> data_;
    std::size_t size_ = 0;
};

}  // namespace jirapool
