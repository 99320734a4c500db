#pragma once

#include <string>
#include <string_view>

namespace jirapool::tools {

/** Keeps secrets out of core dumps, and other processes of the user out of our memory. Call it first in main.

    Left out with JIRAPOOL_DUMPABLE=1 in the environment, for a debugger, and in builds with a sanitizer: LeakSanitizer
    stops the process with ptrace. */
void forbid_dumps() noexcept;

/** Call it in main before anything is opened: a standard stream that is closed stays one that fails, where a file or socket
    would get its number and what is printed; and a reader that goes away is an error of the write, not the process's end. */
void guard_streams() noexcept;

/// To standard error, for people, as far as that can be written: its reader may have gone, and the work goes on.
void tell(std::string_view text) noexcept;

/** All of it to standard output. @return whether it is there; if not, `tool` has told why. */
bool print(char const* tool, std::string_view text);

/** All of it to an open descriptor. @return false with errno set. */
bool write_all(int descriptor, std::string_view text) noexcept;

/** What is to be read up to its end. @return false with errno set. */
bool read_all(int descriptor, std::string& to);

/** A file that is written at the end of a long run: opened before it, so that a bad path fails at once. What stood there stays
    until then. */
class output_file {
public:
    output_file() = default;
    output_file(output_file const&) = delete;
    output_file& operator=(output_file const&) = delete;
    ~output_file();

    /// "-" is standard output. @return false with errno set.
    bool open(std::string const& path);
    /// In place of what was there. @return false with errno set.
    bool write(std::string_view text) noexcept;

private:
    int descriptor_ = -1;
    bool owned_ = false;
};

}  // namespace jirapool::tools
