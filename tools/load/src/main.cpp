#include "run.hpp"

#include <jirapool/tools/process.hpp>

#include <fmt/format.h>

#include <exception>

int main(int argc, char** argv) {
    using namespace jirapool;
    tools::forbid_dumps();
    tools::guard_streams();
    try {
        auto const parsed = load::parse_options(argc, argv);
        if (auto const* const status = std::get_if<int>(&parsed)) return *status;
        return load::run(std::get<load::options>(parsed));
    } catch (std::exception const& e) {
        tools::tell(fmt::format("jirapool-load: {}\n", e.what()));
        return 2;
    }
}
