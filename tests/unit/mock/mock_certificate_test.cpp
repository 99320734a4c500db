#include "support/catch.hpp"

#include "certificate.hpp"
#include "files.hpp"

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

wall_time const t0{500'000h};

class temporary_folder {
public:
    temporary_folder() {
        if (::mkdtemp(name_.data()) == nullptr) throw std::runtime_error("no folder");
    }
    ~temporary_folder() { std::filesystem::remove_all(name_); }
    temporary_folder(temporary_folder const&) = delete;
    temporary_folder& operator=(temporary_folder const&) = delete;

    std::string file(std::string const& name) const { return name_ + '/' + name; }

private:
    std::string name_ = "/tmp/jirapool-mock-XXXXXX";
};

bool has(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }

std::string problem_of(std::function<void()> const& f) {
    try {
        f();
    } catch (std::runtime_error const& e) {
        return e.what();
    }
    return {};
}

TEST_CASE("mock certificates: an authority signs anew each time, and is itself the same") {
    std::string const authority = make_authority(t0);
    certificates const first = make_certificates(authority, t0);
    certificates const second = make_certificates(authority, t0 + 24h);
    CHECK(has(authority, first.ca));
    CHECK(first.ca == second.ca);
    CHECK(first.leaf != second.leaf);
    CHECK(first.private_key != second.private_key);
    CHECK(make_certificates(make_authority(t0), t0).ca != first.ca);
    // The key may come first.
    std::string const key = authority.substr(first.ca.size());
    CHECK(make_certificates(key + first.ca, t0).ca == first.ca);
}

TEST_CASE("mock certificates: what is no authority, or none any more, is told") {
    std::string const authority = make_authority(t0);
    std::string const other = make_authority(t0);
    certificates const signed_by_it = make_certificates(authority, t0);
    std::string const key = authority.substr(signed_by_it.ca.size());
    auto const problem = [](std::string const& pem, wall_time now) {
        return problem_of([&] { make_certificates(pem, now); });
    };
    CHECK(has(problem("", t0), "no certificate of an authority"));
    CHECK(has(problem(key, t0), "no certificate of an authority"));
    CHECK(has(problem(signed_by_it.ca, t0), "no private key of the authority"));
    CHECK(has(problem(other.substr(0, signed_by_it.ca.size()) + key, t0), "cannot make certificates"));
    CHECK(has(problem(signed_by_it.leaf + signed_by_it.private_key, t0), "the certificate is not an authority's"));
    CHECK(problem(authority, t0 + 364 * 24h).empty());
    CHECK(problem(authority, t0 + 366 * 24h) == "cannot make certificates: the authority has expired");
}

TEST_CASE("mock certificates: a file keeps the authority for its owner's eyes, and is named when it is none") {
    temporary_folder const folder;
    std::string const file = folder.file("ca.pem");
    certificates const first = make_certificates_from_file(file, t0);
    struct stat is{};
    REQUIRE(::stat(file.c_str(), &is) == 0);
    CHECK((is.st_mode & 0777) == 0600);
    CHECK(make_certificates_from_file(file, t0).ca == first.ca);
    CHECK(make_certificates_from_file("", t0).ca != first.ca);
    write_file(file, "rubbish\n", 0600);
    CHECK(problem_of([&] {
              make_certificates_from_file(file, t0);
          }).starts_with(file + ": cannot make certificates: no certif"));
    write_file(file, std::string(65 * 1024, 'x'), 0600);
    CHECK(problem_of([&] { make_certificates_from_file(file, t0); }) == "cannot read " + file + ": File too large");
    CHECK(problem_of([&] {
              make_certificates_from_file(folder.file("none/ca.pem"), t0);
          }).starts_with("cannot create " + folder.file("none/ca.pem: ")));
    CHECK(problem_of([&] { make_certificates_from_file(folder.file(""), t0); }).starts_with("cannot "));
}

TEST_CASE("mock files: one is made only where none is, and nothing else is left") {
    temporary_folder const folder;
    std::string const file = folder.file("f");
    CHECK_FALSE(read_file(file, 100));
    CHECK(create_file(file, "first", 0600));
    CHECK_FALSE(create_file(file, "second", 0600));
    CHECK(read_file(file, 5) == "first");
    CHECK_THROWS_AS(read_file(file, 4), std::runtime_error);
    write_file(file, "third", 0600);
    CHECK(read_file(file, 100) == "third");
    CHECK(std::distance(std::filesystem::directory_iterator(folder.file("")), {}) == 1);
}

}  // namespace
