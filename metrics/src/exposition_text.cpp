#include "exposition_parts.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace jirapool::metrics {

namespace {

void add_integer(std::string& out, std::uint64_t n) {
    std::array<char, 24> digits{};
    auto const [end, ec] = std::to_chars(digits.data(), digits.data() + digits.size(), n);
    out.append(digits.data(), end);
}

/// The shortest text that reads back as the same double.
void add_number(std::string& out, double d) {
    if (std::isnan(d)) {
        out += "NaN";
    } else if (std::isinf(d)) {
        out += d > 0 ? "+Inf" : "-Inf";
    } else {
        std::array<char, 32> digits{};
        auto const [end, ec] = std::to_chars(digits.data(), digits.data() + digits.size(), d);
        out.append(digits.data(), end);
    }
}

/// A bound as OpenMetrics has it, and as Prometheus makes a label of one that it got over protobuf: never without a point.
void add_bound(std::string& out, double d) {
    auto const from = out.size();
    add_number(out, d);
    if (std::isfinite(d) && out.find_first_of(".e", from) == out.npos) out += ".0";
}

void add_escaped(std::string& out, std::string_view text, bool with_quotes) {
    for (char const c : text) {
        if (c == '\\') out += "\\\\";
        else if (c == '\n') out += "\\n";
        else if (c == '"' && with_quotes) out += "\\\"";
        else out += c;
    }
}

/// The time as seconds with three decimals.
void add_time(std::string& out, wall_time t) {
    auto const ms = t.time_since_epoch().count();
    add_integer(out, static_cast<std::uint64_t>(ms / 1000));
    auto const rest = std::to_string(1000 + ms % 1000);
    out.append(".").append(rest, 1);
}

/// Writes both text formats, which differ in few places.
class text_writer {
public:
    explicit text_writer(bool openmetrics) noexcept : openmetrics_(openmetrics) {}

    void add(family const& f) {
        add_head(f);
        for (auto const& m : f.numbers) {
            begin_sample(f.name, {}, m.labels);
            end_sample(m.value);
        }
        for (auto const& m : f.histograms) add(f.name, m);
    }

    std::string take() && {
        if (openmetrics_) out_ += "# EOF\n";
        return std::move(out_);
    }

private:
    void add_head(family const& f) {
        auto name = f.name;
        std::string_view type = to_string(f.type);
        if (openmetrics_) {
            // There a family is named without what its samples' names have behind it.
            if (f.type == series_type::counter && name.ends_with("_total")) name.remove_suffix(6);
            if (f.type == series_type::gauge && name.ends_with("_info")) {
                name.remove_suffix(5);
                type = "info";
            }
        }
        out_.append("# HELP ").append(name).append(" ");
        add_escaped(out_, f.help, openmetrics_);
        out_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
        // OpenMetrics wants the unit at the name's end; what is counted ("calls") is none.
        bool const has_unit = (f.unit == "seconds" || f.unit == "bytes" || f.unit == "ratio") && name.ends_with(f.unit);
        if (openmetrics_ && has_unit) out_.append("# UNIT ").append(name).append(" ").append(f.unit).append("\n");
    }

    void add(std::string_view name, histogram_metric const& m) {
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < m.counts.classic.size(); ++i) {
            count += m.counts.classic[i];
            auto const bound = i < histogram::bounds.size() ? histogram::bounds[i]
                                                            : std::numeric_limits<double>::infinity();
            begin_sample(name, "_bucket", m.labels, &bound);
            add_integer(out_, count);
            if (openmetrics_ && m.exemplars[i]) add(*m.exemplars[i]);
            out_ += '\n';
        }
        begin_sample(name, "_sum", m.labels);
        end_sample(m.counts.sum_seconds);
        begin_sample(name, "_count", m.labels);
        add_integer(out_, count);
        out_ += '\n';
    }

    void add(exemplar const& e) {
        out_ += " # {trace_id=\"";
        add_escaped(out_, e.trace_id, true);
        out_ += "\"} ";
        add_number(out_, std::chrono::duration<double>(e.value).count());
        out_ += ' ';
        add_time(out_, e.at);
    }

    void begin_sample(std::string_view name, std::string_view suffix, std::vector<label_value> const& labels,
                      double const* bound = nullptr) {
        out_.append(name).append(suffix);
        char separator = '{';
        for (auto const& l : labels) {
            out_.append(1, separator).append(l.name).append("=\"");
            add_escaped(out_, l.value, true);
            out_ += '"';
            separator = ',';
        }
        if (bound) {
            out_.append(1, separator).append("le=\"");
            add_bound(out_, *bound);
            out_ += '"';
            separator = ',';
        }
        out_ += separator == '{' ? " " : "} ";
    }

    void end_sample(double value) {
        add_number(out_, value);
        out_ += '\n';
    }

    bool openmetrics_;
    std::string out_;
};

std::string expose(std::span<family const> families, bool openmetrics) {
    text_writer out(openmetrics);
    for (auto const& f : families) out.add(f);
    return std::move(out).take();
}

}  // namespace

std::string expose_text(std::span<family const> families) { return expose(families, false); }
std::string expose_openmetrics(std::span<family const> families) { return expose(families, true); }

}  // namespace jirapool::metrics
