#include <jirapool/tools/secrets.hpp>

#include <jirapool/tools/text.hpp>

#include <fmt/format.h>

#include <sys/stat.h>

namespace jirapool::tools {
namespace {

/// Counts the secrets that stand elsewhere: each connection has one, so the others stand in the file.
class counting_secrets final : public secret_source {
public:
    result<secret> from_env(std::string const& name) const override {
        ++elsewhere;
        return system_secrets().from_env(name);
    }
    result<secret> from_file(std::string const& path) const override {
        ++elsewhere;
        return system_secrets().from_file(path);
    }
    std::size_t mutable elsewhere = 0;
};

}  // namespace

guarded_connections load_guarded(std::string const& path) {
    counting_secrets const secrets;
    guarded_connections out{load_connections(path, secrets), {}};
    struct stat s{};
    if (!out.report || out.report->total <= secrets.elsewhere) return out;
    if (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode) || (s.st_mode & (S_IRGRP | S_IROTH)) == 0) return out;
    out.warning = fmt::format("{} holds secrets, and its mode {:04o} lets {} read it: chmod 600", printable(path),
                              s.st_mode & 07777u, (s.st_mode & S_IROTH) != 0 ? "everybody" : "its group");
    return out;
}

}  // namespace jirapool::tools
