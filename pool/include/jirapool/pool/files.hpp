#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/pool/streams.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace jirapool {

namespace detail {
class open_file;
class part_file;
}  // namespace detail

// A disk may be slow, and a network's file system may not answer at all: files are read and written on threads of their own, at
// most 16 in the process, which no shard and no program's end waits for. A call that ends meanwhile leaves its last piece to them.

/** A file that an answer's body goes to.

    It is written beside its place, as `path.part-…`, and renamed to `path` when the body is whole: whoever looks there finds the
    whole or what was there before. The part goes when the body starts again, and at the latest when the sink is destroyed;
    only a program that is killed leaves one. Nothing is synced: what a power failure leaves is up to the file system.

    Only a regular file is replaced, or a new one made: a directory, pipe, device or socket at `path` is refused, and a symbolic
    link too, which is never followed.

    A body that was cut off may come again. The folder must exist; the umask says who may read the file.

    @par Errors   The system's (open, write, rename); invalid_argument when what stands there is not to be replaced, or a NUL is
                  in the path. failure::rule has the path and the system's words. */
class file_sink final : public body_sink {
public:
    /// Names the file; nothing is opened before an answer comes.
    explicit file_sink(std::string path);
    ~file_sink() override;

    error_code begin(response const& head) override;
    asio::awaitable<error_code> write(std::string_view piece) override;
    asio::awaitable<error_code> end() override;
    bool can_restart() const noexcept override { return true; }
    std::string why() const override { return why_; }

private:
    std::string path_;
    std::string why_;
    std::shared_ptr<detail::part_file> file_;
    std::shared_ptr<detail::part_file> void_;  // of a body that started again: removed on a thread
};

/** A file as a request's body, as large as it was when opened. One that grows is sent up to there, one that shrinks ends the
    call with source_failed. A source serves one call, which may send it more than once; open another for the next.

    @par Errors   Of a call: the system's (read), with its words and the path. */
class file_source final : public body_source {
public:
    /// Opens a file, which blocks for as long as the file system takes. Its errors are the system's, and invalid_argument when it
    /// is no regular file, such as a pipe, whose size nobody knows, or a NUL is in the path.
    static result<std::shared_ptr<file_source>> open(std::string const& path);
    ~file_source() override;

    std::uint64_t size() const noexcept override { return size_; }
    asio::awaitable<result<std::size_t>> read(char* to, std::size_t max) override;
    bool rewind() noexcept override;

private:
    file_source(std::shared_ptr<detail::open_file> f, std::string path, std::uint64_t size) noexcept;

    std::shared_ptr<detail::open_file> file_;
    std::string path_;
    std::uint64_t size_;
    std::uint64_t at_ = 0;
};

}  // namespace jirapool
