// Files at which a download is aimed, and what is said when that goes wrong.
#include "gateway.hpp"

#include <jirapool/pool/files.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

namespace fs = std::filesystem;

/// A folder of its own for a test, gone with it.
class scratch {
public:
    scratch() : path_(fs::temp_directory_path() / ("jirapool-faults-" + std::to_string(::getpid()))) {
        fs::remove_all(path_);
        fs::create_directory(path_);
    }
    ~scratch() { fs::remove_all(path_); }
    scratch(scratch const&) = delete;
    scratch& operator=(scratch const&) = delete;

    std::string operator/(std::string const& name) const { return (path_ / name).string(); }
    std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(path_), {}); }

private:
    fs::path path_;
};

void make_socket(std::string const& path) {
    int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof at.sun_path);
    std::copy(path.begin(), path.end(), at.sun_path);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr const*>(&at), sizeof at) == 0);
    ::close(fd);
}

bool holds(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

struct thing {
    std::string kind;
    std::function<void(std::string const&)> make;
};

/// Whatever can stand at a path and is no regular file.
std::vector<thing> things(scratch const& here) {
    return {
        {"a pipe", [](auto const& at) { REQUIRE(::mkfifo(at.c_str(), 0600) == 0); }},
        {"a directory", [](auto const& at) { fs::create_directory(at); }},
        {"a socket", [](auto const& at) { make_socket(at); }},
        {"a symbolic link", [](auto const& at) { fs::create_symlink("/dev/null", at); }},
        {"a symbolic link", [&here](auto const& at) { fs::create_symlink(here / "kept", at); }},
        {"a symbolic link", [](auto const& at) { fs::create_symlink("nowhere", at); }},
    };
}

failure refused(std::string const& path) {
    gateway jira({says(sized(noise(100'000)))});
    runtime client(1, jira.params);
    auto const r = call(gateway::of(client), download(), std::make_shared<file_sink>(path));
    REQUIRE_FALSE(r.has_value());
    return r.error();
}

}  // namespace

TEST_CASE("faults: D1 a file_sink replaces a regular file or nothing, and refuses whatever else stands there") {
    scratch const here;
    std::ofstream(here / "kept") << "kept";
    for (auto const& [kind, make] : things(here)) {
        INFO(kind);
        auto const path = here / "place";
        make(path);
        struct stat before{};
        REQUIRE(::lstat(path.c_str(), &before) == 0);
        auto const f = refused(path);
        CHECK(f.code() == errc::invalid_argument);
        CHECK(f.rule() == "cannot write " + path + ": it is " + kind + ", and only a regular file is replaced");
        struct stat after{};
        REQUIRE(::lstat(path.c_str(), &after) == 0);
        CHECK(after.st_ino == before.st_ino);
        CHECK(after.st_mode == before.st_mode);
        CHECK(eventually([&] { return here.files() == 2; }));
        fs::remove(path);
    }
    CHECK(fs::file_size(here / "kept") == 4);

    // A device of our own, where the system lets us make one: /dev/full itself would be gone if this were broken.
    auto const device = here / "device";
    if (::mknod(device.c_str(), S_IFCHR | 0600, makedev(1, 7)) == 0) {
        CHECK(holds(refused(device).rule(), "it is a device, and only a regular file is replaced"));
        CHECK(fs::is_character_file(device));
    }
}

TEST_CASE("faults: D1 what comes to stand at a file_sink's place during the download is not replaced either") {
    scratch const here;
    auto const path = here / "place";
    auto const body = noise(400'000);
    gateway jira({[&](http_peer& peer, std::string const&) {
        peer.write(sized(body).substr(0, 200'000));
        eventually([&] { return here.files() == 1; });
        fs::create_symlink("/dev/null", path);
        return peer.write(sized(body).substr(200'000));
    }});
    runtime client(1, jira.params);
    auto const r = call(gateway::of(client), download(), std::make_shared<file_sink>(path));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::invalid_argument);
    CHECK(fs::is_symlink(path));
    CHECK(eventually([&] { return here.files() == 1; }));
}

TEST_CASE("faults: D1 a file's errors have the path and the system's words") {
    scratch const here;
    auto const absent = here / "none/export.json";
    auto const f = refused(absent);
    CHECK(f.code() == boost::system::errc::no_such_file_or_directory);
    CHECK(f.rule() == "cannot write " + absent + ": No such file or directory");

    auto const missing = file_source::open(absent);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().rule() == "cannot read " + absent + ": No such file or directory");
    auto const folder = file_source::open(here / ".");
    REQUIRE_FALSE(folder.has_value());
    CHECK(holds(folder.error().rule(), "is a directory"));
}
