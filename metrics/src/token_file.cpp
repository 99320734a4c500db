#include "token_file.hpp"

#include "descriptor.hpp"
#include "header_list.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <system_error>
#include <utility>

namespace jirapool::metrics {

namespace {

constexpr std::string_view space = " \t\r\n";

failure refused(std::string rule) {
    return failure(errc::invalid_argument, std::move(rule)).with_field("bearer_token_file");
}

failure unreadable(int error) { return refused("cannot be read: " + std::generic_category().message(error)); }

bool same(timespec const& a, timespec const& b) noexcept { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

/// A buffer for what is secret.
template <std::size_t Size>
struct wiped {
    std::array<char, Size> bytes{};
    ~wiped() { wipe(bytes.data(), bytes.size()); }
};

}  // namespace

bool token_file::identity::operator==(identity const& other) const noexcept {
    return device == other.device && inode == other.inode && size == other.size && same(modified, other.modified) &&
           same(changed, other.changed);
}

token_file::identity token_file::identity_of(struct stat const& s) noexcept {
    return {s.st_dev, s.st_ino, s.st_size, s.st_mtim, s.st_ctim};
}

result<token_file> token_file::open(std::string path) {
    token_file f(std::move(path));
    if (auto const read = f.read(); !read) return read.error();
    return f;
}

result<void> token_file::read() {
    token_ = secret();
    seen_.reset();
    // A pipe would be waited for.
    descriptor const file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat is{};
    if (file.get() < 0 || ::fstat(file.get(), &is) != 0) return unreadable(errno);
    if (!S_ISREG(is.st_mode)) return refused("must be a regular file");
    wiped<max_size + 1> buffer;
    std::size_t size = 0;
    while (size < buffer.bytes.size()) {
        auto const n = ::read(file.get(), buffer.bytes.data() + size, buffer.bytes.size() - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return unreadable(errno);
        if (n == 0) break;
        size += static_cast<std::size_t>(n);
    }
    // As it was before it was read: who writes to it meanwhile gives it another time or size.
    seen_ = identity_of(is);
    if (size > max_size) return refused("must not have more than 4096 bytes");
    std::string_view text(buffer.bytes.data(), size);
    auto const first = text.find_first_not_of(space);
    if (first == text.npos) return refused("must not be empty");
    text = text.substr(first, text.find_last_not_of(space) - first + 1);
    if (!std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
        return refused("must have one word of printable ASCII");
    token_ = secret(text);
    return {};
}

void token_file::look() {
    struct stat is{};
    if (::stat(path_.c_str(), &is) != 0) {
        token_ = secret();
        seen_.reset();
        return;
    }
    if (seen_ != identity_of(is)) (void)read();
}

token_file::verdict token_file::judge(std::optional<std::string_view> authorization) {
    look();
    if (token_.empty()) return verdict::no_token;
    if (!authorization) return verdict::none_shown;
    constexpr std::string_view scheme = "Bearer ";
    if (!same_name(authorization->substr(0, scheme.size()), scheme)) return verdict::none_shown;
    return secret(trimmed(authorization->substr(scheme.size()))) == token_ ? verdict::welcome : verdict::wrong;
}

}  // namespace jirapool::metrics
