#include <jirapool/core/response.hpp>

#include <jirapool/core/secret.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace jirapool {

namespace {

// The smallest body buffer: most answers of Jira that are not searches fit (core/doc/jira-cloud.md, 5: a project is 1.1 kB).
constexpr std::size_t min_capacity = 2048;

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

namespace {

// From here on a buffer has pages of its own, which the system moves when it grows: to copy 8 MiB into new pages takes a shard's
// thread up to 50 ms on a small virtual machine, in one turn, and each call beside it waits.
constexpr std::size_t large = 4u << 20;

constexpr bool has_pages(std::size_t capacity) noexcept { return capacity >= large; }

char* or_throw(void* pages) {
    if (pages == MAP_FAILED) throw std::bad_alloc();
    return static_cast<char*>(pages);
}

}  // namespace

padded_buffer::padded_buffer(padded_buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

padded_buffer& padded_buffer::operator=(padded_buffer&& other) noexcept {
    if (this == &other) return *this;
    free();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
}

padded_buffer::~padded_buffer() { free(); }

void padded_buffer::free() noexcept {
    if (data_ == nullptr) return;
    if (has_pages(capacity_)) ::munmap(data_, capacity_ + body_view::padding);
    else delete[] data_;
}

void padded_buffer::reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    if (capacity > static_cast<std::size_t>(-1) / 4) throw std::bad_alloc();  // the padding and doubling must not wrap
    auto const size = capacity + body_view::padding;
    if (has_pages(capacity_)) {
        data_ = or_throw(::mremap(data_, capacity_ + body_view::padding, size, MREMAP_MAYMOVE));
    } else {
        char* const larger = has_pages(capacity) ? or_throw(::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
                                                 : new char[size];
        if (size_ != 0) std::memcpy(larger, data_, size_);
        free();
        data_ = larger;
    }
    capacity_ = capacity;
    zero_padding();
}

void padded_buffer::wipe() noexcept {
    if (data_ != nullptr) jirapool::wipe(data_, capacity_);
    clear();
}

void padded_buffer::append(char const* data, std::size_t size) {
    if (size == 0) return;
    std::memcpy(prepare(size), data, size);
    commit(size);
}

char* padded_buffer::prepare(std::size_t size) {
    if (size > capacity_ - size_ || data_ == nullptr) {
        if (size > static_cast<std::size_t>(-1) / 4) throw std::bad_alloc();
        reserve(std::max({size_ + size, 2 * capacity_, min_capacity}));
    }
    return data_ + size_;
}

void padded_buffer::commit(std::size_t size) noexcept {
    assert(size <= capacity_ - size_);
    size_ += size;
    zero_padding();
}

void padded_buffer::clear() noexcept {
    size_ = 0;
    zero_padding();
}

void padded_buffer::zero_padding() noexcept {
    if (data_ != nullptr) std::memset(data_ + size_, 0, body_view::padding);
}

std::string_view response::header(std::string_view name) const& noexcept {
    auto const found = std::find_if(fields_.begin(), fields_.end(),
                                    [&](field const& f) { return same_name(text(f.name), name); });
    return found == fields_.end() ? std::string_view() : text(found->value);
}

void response::add_header(std::string_view name, std::string_view value) {
    // The head of nearly every answer of Jira, in two allocations in place of ten.
    if (fields_.empty()) head_.reserve(1024);
    auto const begin = head_.size();
    head_.append(name);
    head_.append(value);
    place_header(begin, name.size(), begin + name.size(), value.size());
}

void response::remove_headers(std::string_view name) noexcept {
    std::erase_if(fields_, [&](field const& f) { return same_name(text(f.name), name); });
}

void response::clear() noexcept {
    head_.clear();
    fields_.clear();
    body_.clear();
    status_ = 0;
    set_exchanges(0, false);
}

}  // namespace jirapool
