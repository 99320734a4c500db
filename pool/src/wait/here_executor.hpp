#pragma once

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>

#include <utility>

namespace jirapool::detail {

/// Runs what it is given at once: the executor of a handler that is called where it may run anyway, so that no memory is needed to get
/// it there, as it is by the dispatch of a type-erased one.
class here_executor {
public:
    explicit here_executor(boost::asio::execution_context& c) noexcept : context_(&c) {}
    boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept { return *context_; }
    template <class F>
    void execute(F&& f) const {
        auto now = std::forward<F>(f);
        std::move(now)();
    }
    friend bool operator==(here_executor const&, here_executor const&) noexcept = default;

private:
    boost::asio::execution_context* context_;
};

}  // namespace jirapool::detail
