#include "commands.hpp"
#include "exit_status.hpp"

#include <jirapool/tools/process.hpp>

#include <fmt/format.h>

#include <exception>
#include <variant>

namespace {

using namespace jirapool::cli;

struct runner {
    int operator()(check_options& o) const { return check(std::move(o)); }
    int operator()(call_options& o) const { return call(std::move(o)); }
    int operator()(token_options& o) const { return show_token(std::move(o)); }
    int operator()(make_webhook_options& o) const { return make_webhook(std::move(o)); }
    int operator()(list_webhooks_options& o) const { return list_webhooks(std::move(o)); }
    int operator()(one_webhook_options& o) const { return use_webhook(std::move(o)); }
    int operator()(listen_options& o) const { return listen_for_webhooks(std::move(o)); }
    int operator()(top_options& o) const { return top(std::move(o)); }
    int operator()(completion_options& o) const { return print_completion(std::move(o)); }
};

}  // namespace

int main(int argc, char** argv) {
    jirapool::tools::forbid_dumps();
    jirapool::tools::guard_streams();
    try {
        auto parsed = parse_options(argc, argv);
        if (auto const* const status = std::get_if<int>(&parsed)) return *status;
        return std::visit(runner{}, std::get<command>(parsed));
    } catch (std::exception const& e) {
        jirapool::tools::tell(fmt::format("jirapool: {}\n", e.what()));
        return bad_usage;
    }
}
