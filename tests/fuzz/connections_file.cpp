// A connections file. Input: the file.
#include "fuzz.hpp"

#include <jirapool/core/connections_file.hpp>

using namespace jirapool;

namespace {

class no_secrets final : public secret_source {
public:
    result<secret> from_env(std::string const& name) const override { return from_file(name); }
    result<secret> from_file(std::string const& name) const override {
        if (name.size() % 2 == 1) return failure(errc::unreadable_file);
        return secret("from outside");
    }
};

}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::exact_copy const file({reinterpret_cast<char const*>(data), size});
    auto const read = parse_connections(file.view(), no_secrets());
    if (!read) {
        FUZZ_CHECK(!read.error().describe().empty());
        return 0;
    }
    FUZZ_CHECK(read->connections.size() + read->problems.size() == read->total);
    for (auto const& c : read->connections) {
        FUZZ_CHECK(!c.id().empty() && c.key().size() > 0);
        // A credential goes nowhere else.
        bool const gateway = c.host() == "api.atlassian.com" && c.base_path().starts_with("/ex/jira/");
        bool const site = c.host().ends_with(".atlassian.net") && c.base_path().empty();
        FUZZ_CHECK(gateway != site);
        for (char const h : c.host())
            FUZZ_CHECK((h >= 'a' && h <= 'z') || (h >= '0' && h <= '9') || h == '-' || h == '.');
    }
    for (auto const& p : read->problems) {
        FUZZ_CHECK(p.code());
        FUZZ_CHECK(!p.describe().empty());
    }
    return 0;
}
