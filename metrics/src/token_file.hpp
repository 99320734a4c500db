#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/core/secret.hpp>

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::metrics {

/** A bearer token that is kept in a file, so that it can be changed while the program runs. Whoever must show it is let in only while
    the file has one: a file that is gone or empty never opens a door.

    @par Threads   One at a time. */
class token_file {
public:
    /// The longest text of a file that is taken, in bytes.
    static constexpr std::size_t max_size = 4096;

    /** Reads it: one word of printable ASCII; spaces and line ends around it are none of it.
        @par Errors   invalid_argument, field "bearer_token_file": it cannot be read, and the rule says why ("cannot be read: No such file
                      or directory"); it is not a regular file, has no word or more than one, or is too long. */
    static result<token_file> open(std::string path);

    enum class verdict : std::uint8_t {
        welcome,
        none_shown,
        wrong,
        no_token,  ///< the file has none at present
    };
    /// Looks whether the file has changed, and reads it again then.
    /// @param authorization  the value of the header, if there is one
    verdict judge(std::optional<std::string_view> authorization);

private:
    /// What tells a changed file from an unchanged one.
    struct identity {
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        timespec modified{};
        timespec changed{};
        bool operator==(identity const& other) const noexcept;
    };

    explicit token_file(std::string path) noexcept : path_(std::move(path)) {}
    static identity identity_of(struct stat const& s) noexcept;
    result<void> read();
    void look();

    std::string path_;
    secret token_;  // empty: there is none
    std::optional<identity> seen_;
};

}  // namespace jirapool::metrics
