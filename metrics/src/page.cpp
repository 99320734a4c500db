#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/exposition.hpp>
#include <jirapool/metrics/page.hpp>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace jirapool::metrics {

std::optional<std::string_view> page_request::parameter(std::string_view name) const noexcept {
    for (auto const& [n, value] : parameters)
        if (n == name) return value;
    return std::nullopt;
}

page metrics_page(std::shared_ptr<prometheus::Collectable> what) {
    auto const answer = [kept = std::move(what)](page_request const& r) {
        auto const* const numbers = dynamic_cast<collector const*>(kept.get());
        auto const format = numbers ? negotiate(r.accept) : exposition_format::text;
        page_answer a;
        a.content_type = content_type(format);
        a.body = numbers ? expose(numbers->families(), format)
                         : prometheus::TextSerializer().Serialize(kept->Collect());
        return a;
    };
    return {"/metrics", answer};
}

}  // namespace jirapool::metrics
