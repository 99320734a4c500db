#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

/// What must hold for every input.
#define FUZZ_CHECK(condition)                                                            \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                \
        }                                                                                \
    } while (false)

/// libFuzzer calls it; so does replay.cpp, with the files of a corpus.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace jirapool::fuzz {

/// An input, read from its front: choices first, then what they are about.
class input {
public:
    input(std::uint8_t const* data, std::size_t size) noexcept : rest_(reinterpret_cast<char const*>(data), size) {}
    std::uint8_t byte() noexcept {
        if (rest_.empty()) return 0;
        auto const b = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return b;
    }
    /// As many, or what there is.
    std::string_view take(std::size_t n) noexcept {
        auto const taken = rest_.substr(0, n);
        rest_.remove_prefix(taken.size());
        return taken;
    }
    std::string_view rest() const noexcept { return rest_; }

private:
    std::string_view rest_;
};

/// Bytes in memory of exactly their size, so that a read behind them is seen.
class exact_copy {
public:
    explicit exact_copy(std::string_view bytes) : data_(new char[bytes.size()]), size_(bytes.size()) {
        bytes.copy(data_.get(), size_);
    }
    char const* data() const noexcept { return data_.get(); }
    std::string_view view() const noexcept { return {data_.get(), size_}; }

private:
    std::unique_ptr<char[]> data_;
    std::size_t size_;
};

}  // namespace jirapool::fuzz
