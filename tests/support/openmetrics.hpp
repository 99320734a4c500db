#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

/// A reader of OpenMetrics 1.0 that takes nothing but what the specification allows. It shares no code with the writer.
/// Source: https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
namespace read_openmetrics {

using label_map = std::map<std::string, std::string>;

struct exemplar {
    label_map labels;
    double value = 0;
    std::optional<double> timestamp;
};

struct sample {
    std::string name;
    label_map labels;
    double value = 0;
    std::optional<read_openmetrics::exemplar> exemplar;
};

struct family {
    std::string type = "unknown";
    std::string unit;
    std::string help;
    std::vector<sample> samples;
};

class reader {
public:
    /// @return the families by name. Throws std::runtime_error: which line breaks which rule.
    static std::map<std::string, family> read(std::string_view text) { return reader(text).read_all(); }

private:
    explicit reader(std::string_view text) : rest_(text) {}

    [[noreturn]] void fail(std::string const& rule) const {
        throw std::runtime_error(rule + ": " + std::string(line_));
    }
    void require(bool holds, char const* rule) const {
        if (!holds) fail(rule);
    }

    std::map<std::string, family> read_all() {
        bool ended = false;
        while (!rest_.empty()) {
            require(!ended, "something behind # EOF");
            auto const end = rest_.find('\n');
            line_ = rest_.substr(0, end);
            require(end != rest_.npos, "a line without an end");
            rest_.remove_prefix(end + 1);
            at_ = 0;
            if (line_ == "# EOF") ended = true;
            else if (line_.starts_with('#')) read_metadata();
            else read_sample();
        }
        require(ended, "no # EOF");
        end_family();
        for (auto const& [name, f] : families_)
            for (auto const& s : f.samples)
                if (s.name != name) require(families_.count(s.name) == 0, "a family named as another one's sample");
        return std::move(families_);
    }

    void read_metadata() {
        take("# ");
        auto const kind = take_until(' ');
        take(" ");
        auto const name = take_name(true);
        take(" ");
        auto const value = line_.substr(at_);
        if (name != current_) {
            end_family();
            require(families_.count(name) == 0, "a family's lines are not together");
            current_ = name;
            said_.clear();
            families_[name];
        }
        auto& f = families_[current_];
        require(f.samples.empty(), "metadata behind a sample");
        require(said_.insert(std::string(kind)).second, "said twice");
        if (kind == "TYPE") {
            static std::set<std::string_view> const types = {"counter",  "gauge", "histogram", "gaugehistogram",
                                                             "stateset", "info",  "summary",   "unknown"};
            require(types.count(value) == 1, "no such type");
            f.type = value;
        } else if (kind == "UNIT") {
            require(name.ends_with("_" + std::string(value)), "a name without its unit");
            f.unit = value;
        } else if (kind == "HELP") {
            f.help = unescaped(value);
        } else {
            fail("no such metadata");
        }
    }

    void read_sample() {
        sample s;
        s.name = take_name(false);
        if (peek() == '{') s.labels = take_labels();
        take(" ");
        s.value = take_number();
        if (at_ < line_.size()) {
            take(" # ");
            exemplar e;
            e.labels = take_labels();
            std::size_t length = 0;
            for (auto const& [name, value] : e.labels) length += name.size() + value.size();
            require(length <= 128, "an exemplar's labels are too long");
            take(" ");
            e.value = take_number();
            if (at_ < line_.size()) {
                take(" ");
                e.timestamp = take_number();
            }
            s.exemplar = std::move(e);
        }
        require(at_ == line_.size(), "more behind a sample");
        check(s);
        require(seen_.emplace(s.name, s.labels).second, "a sample twice");
        families_[current_].samples.push_back(std::move(s));
    }

    void check(sample const& s) const {
        require(!current_.empty() && s.name.starts_with(current_), "a sample of no family");
        auto const& f = families_.at(current_);
        auto const suffix = s.name.substr(current_.size());
        bool const finite = !std::isnan(s.value);
        if (f.type == "counter") {
            require(suffix == "_total" && finite && s.value >= 0, "no counter");
        } else if (f.type == "gauge") {
            require(suffix.empty(), "no gauge");
        } else if (f.type == "info") {
            require(suffix == "_info" && s.value == 1, "no info");
        } else if (f.type == "histogram") {
            require(suffix == "_bucket" || suffix == "_sum" || suffix == "_count", "no part of a histogram");
            require((s.labels.count("le") == 1) == (suffix == "_bucket"), "a bucket's bound");
            require(suffix == "_sum" || (s.value >= 0 && s.value == std::floor(s.value)), "a count is an integer");
        } else {
            fail("a type that this reader does not know");
        }
        require(!s.exemplar || suffix == "_bucket" || suffix == "_total", "an exemplar on what has none");
    }

    /// What holds for the samples of a histogram together.
    void end_family() const {
        if (current_.empty() || families_.at(current_).type != "histogram") return;
        std::map<label_map, std::vector<sample const*>> buckets;
        std::map<label_map, double> counts;
        std::set<label_map> sums;
        for (auto const& s : families_.at(current_).samples) {
            auto labels = s.labels;
            labels.erase("le");
            if (s.name.ends_with("_bucket")) buckets[labels].push_back(&s);
            else if (s.name.ends_with("_count")) require(counts.emplace(labels, s.value).second, "two counts");
            else require(sums.insert(labels).second, "two sums");
        }
        require(!buckets.empty() && buckets.size() == counts.size() && counts.size() == sums.size(),
                "parts are missing");
        for (auto const& [labels, list] : buckets) {
            double bound = -std::numeric_limits<double>::infinity();
            double count = 0;
            for (auto const* b : list) {
                auto const& text = b->labels.at("le");
                require(text == "+Inf" || text.find_first_of(".e") != text.npos, "a bound that is not canonical");
                auto const next = number_of(text);
                require(next > bound, "bounds that do not rise");
                require(b->value >= count, "a bucket that is not cumulative");
                require(!b->exemplar || (b->exemplar->value > bound && b->exemplar->value <= next),
                        "an exemplar of another bucket");
                bound = next;
                count = b->value;
            }
            require(std::isinf(bound), "no bucket +Inf");
            require(counts.at(labels) == count, "a count that differs from the bucket +Inf");
        }
    }

    label_map take_labels() {
        label_map all;
        take("{");
        while (peek() != '}') {
            if (!all.empty()) take(",");
            auto const name = take_name(false);
            require(name.find(':') == name.npos, "a colon in a label's name");
            take("=\"");
            auto const from = at_;
            while (peek() != '"') at_ += peek() == '\\' ? 2 : 1;
            require(all.emplace(name, unescaped(line_.substr(from, at_ - from))).second, "a label twice");
            take("\"");
        }
        take("}");
        return all;
    }

    std::string unescaped(std::string_view text) const {
        std::string out;
        for (std::size_t i = 0; i < text.size(); ++i) {
            require(text[i] != '"', "a bare quote");
            if (text[i] != '\\') {
                out += text[i];
                continue;
            }
            require(++i < text.size(), "half an escape");
            require(text[i] == '\\' || text[i] == '"' || text[i] == 'n', "no such escape");
            out += text[i] == 'n' ? '\n' : text[i];
        }
        return out;
    }

    char peek() const {
        require(at_ < line_.size(), "a line that ends too soon");
        return line_[at_];
    }
    void take(std::string_view what) {
        require(line_.substr(at_).starts_with(what), "something else was expected");
        at_ += what.size();
    }
    std::string_view take_until(char c) {
        auto const end = line_.find(c, at_);
        require(end != line_.npos && end > at_, "a word is missing");
        auto const word = line_.substr(at_, end - at_);
        at_ = end;
        return word;
    }
    std::string take_name(bool to_space) {
        auto const from = at_;
        auto const is_of_name = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
        };
        while (at_ < line_.size() && is_of_name(line_[at_])) ++at_;
        require(at_ > from && !(line_[from] >= '0' && line_[from] <= '9'), "no name");
        require(!to_space || peek() == ' ', "no name");
        return std::string(line_.substr(from, at_ - from));
    }
    double take_number() {
        auto const end = std::min(line_.find(' ', at_), line_.size());
        auto const text = line_.substr(at_, end - at_);
        at_ = end;
        return number_of(text);
    }
    double number_of(std::string_view text) const {
        if (text == "+Inf") return std::numeric_limits<double>::infinity();
        if (text == "-Inf") return -std::numeric_limits<double>::infinity();
        if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
        double d = 0;
        auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), d);
        require(ec == std::errc() && end == text.data() + text.size() && std::isfinite(d), "no number");
        return d;
    }

    std::string_view rest_;
    std::string_view line_;
    std::size_t at_ = 0;
    std::map<std::string, family> families_;
    std::string current_;
    std::set<std::string> said_;
    std::set<std::pair<std::string, label_map>> seen_;
};

}  // namespace read_openmetrics
