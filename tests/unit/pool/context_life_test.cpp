#include "support/catch.hpp"

#include "wait/context_life.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <optional>

using namespace jirapool::detail;

namespace {

class told_one final : public context_life::member {
public:
    told_one(bool& told, std::function<void()> then) : told_(told), then_(std::move(then)) {}

private:
    void on_context_gone() noexcept override {
        told_ = true;
        if (then_) then_();
    }
    bool& told_;
    std::function<void()> then_;
};

}  // namespace

// A call that ends on a shard's thread at that moment: its last reference must not be let go of there, untold, with an executor of the
// context in it.
TEST_CASE("context_life: who would leave when the context is gone already is kept until it was told") {
    std::optional<boost::asio::io_context> context(std::in_place);
    auto const life = context_life::of(context->get_executor());
    bool told = false;
    bool first_told = false;
    bool destroyed_untold = false;
    auto last = std::shared_ptr<told_one>(new told_one(told, {}), [&](told_one* m) {
        destroyed_untold = !told;
        delete m;
    });
    REQUIRE(life->enter(*last));
    // Entered later, it is told first, and meanwhile the other one's operation ends.
    auto const first = std::make_shared<told_one>(first_told, [&] {
        for (int i = 0; i < 2; ++i) CHECK_FALSE(life->leave_while_alive(*last, [] {}));
        last.reset();
    });
    REQUIRE(life->enter(*first));
    context.reset();
    CHECK(first_told);
    CHECK(told);
    CHECK_FALSE(destroyed_untold);
    CHECK_FALSE(life->leave_while_alive(*first, [] {}));
}
