#include <jirapool/core/secret.hpp>

#include <string.h>

#include <algorithm>
#include <utility>

namespace jirapool {

void wipe(void* data, std::size_t size) noexcept {
    if (size != 0) explicit_bzero(data, size);
}

void wipe(std::string& text) noexcept {
    text.resize(text.capacity());  // never reallocates, and makes the bytes behind the old end ours to write
    wipe(text.data(), text.size());
    text.clear();
}

secret::secret(std::string_view text) : size_(text.size()) {
    if (text.empty()) return;
    data_ = std::make_unique_for_overwrite<char[]>(text.size());
    std::copy(text.begin(), text.end(), data_.get());
}

secret::secret(secret&& other) noexcept : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

secret& secret::operator=(secret&& other) noexcept {
    if (this == &other) return *this;
    wipe(data_.get(), size_);
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
}

secret::~secret() { wipe(data_.get(), size_); }

std::string secret::masked() const { return "secret(" + std::to_string(size_) + ")"; }

bool operator==(secret const& a, secret const& b) noexcept {
    if (a.size_ != b.size_) return false;
    // Volatile: the compiler must not leave the loop at the first difference.
    unsigned char volatile difference = 0;
    for (std::size_t i = 0; i < a.size_; ++i) {
        difference = static_cast<unsigned char>(difference | static_cast<unsigned char>(a.data_[i] ^ b.data_[i]));
    }
    return difference == 0;
}

}  // namespace jirapool
