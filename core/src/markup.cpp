#include "markup.hpp"

#include "ascii.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace jirapool::detail {

namespace {

using namespace std::string_view_literals;

constexpr bool is_letter(char c) noexcept { return lower(c) >= 'a' && lower(c) <= 'z'; }
constexpr bool is_name_part(char c) noexcept {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == ':' || c == '.';
}

/// Whether a tag, a comment or a declaration begins with the text.
bool begins_tag(std::string_view text) noexcept {
    return text.size() >= 2 && text[0] == '<' && (is_letter(text[1]) || "/!?"sv.find(text[1]) != text.npos);
}

/// Where a tag begins: "<h1", "</h1". npos when there is none of that name.
std::size_t find_tag(std::string_view text, std::string_view tag, std::size_t from = 0) noexcept {
    for (;;) {
        auto const at = find_in_any_case(text, tag, from);
        if (at == text.npos) return at;
        auto const behind = at + tag.size();
        if (behind == text.size() || !is_name_part(text[behind])) return at;
        from = behind;
    }
}

/// What nobody is to read, ends included where they are no tags themselves.
struct hidden_part {
    std::string_view begin;
    std::string_view end;
    std::size_t size_of_end;
};
constexpr std::array hidden_parts = {hidden_part{"<!--", "-->", 3}, hidden_part{"<script", "</script", 0},
                                     hidden_part{"<style", "</style", 0}};

std::string without_hidden_parts(std::string_view markup) {
    std::string out;
    out.reserve(markup.size());
    while (!markup.empty()) {
        auto const at = markup.find('<');
        out.append(markup.substr(0, at));
        if (at == markup.npos) break;
        markup.remove_prefix(at);
        auto const part = std::find_if(hidden_parts.begin(), hidden_parts.end(), [&](hidden_part const& p) {
            return is(markup.substr(0, p.begin.size()), p.begin);
        });
        if (part == hidden_parts.end()) {
            out.push_back('<');
            markup.remove_prefix(1);
            continue;
        }
        auto const end = find_in_any_case(markup, part->end, part->begin.size());
        markup.remove_prefix(end == markup.npos ? markup.size() : end + part->size_of_end);
    }
    return out;
}

using entity = std::pair<std::string_view, char>;
constexpr std::array entities = {entity{"&amp;", '&'},  entity{"&lt;", '<'},    entity{"&gt;", '>'},
                                 entity{"&quot;", '"'}, entity{"&apos;", '\''}, entity{"&#39;", '\''},
                                 entity{"&nbsp;", ' '}};

/// A blank in place of each tag, entities decoded.
std::string without_tags(std::string_view markup) {
    std::string out;
    while (!markup.empty()) {
        auto const at = markup.find_first_of("<&");
        out.append(markup.substr(0, at));
        if (at == markup.npos) break;
        markup.remove_prefix(at);
        if (begins_tag(markup)) {
            auto const end = markup.find('>');
            out.push_back(' ');
            markup.remove_prefix(end == markup.npos ? markup.size() : end + 1);
            continue;
        }
        auto const e = std::find_if(entities.begin(), entities.end(),
                                    [&](entity const& one) { return markup.starts_with(one.first); });
        out.push_back(e == entities.end() ? markup.front() : e->second);
        markup.remove_prefix(e == entities.end() ? 1 : e->first.size());
    }
    return out;
}

/// The text of the first element of a name; empty without one.
std::string text_of(std::string_view markup, std::string_view begin_tag, std::string_view end_tag) {
    auto const tag = find_tag(markup, begin_tag);
    if (tag == markup.npos) return {};
    auto const begin = markup.find('>', tag);
    if (begin == markup.npos) return {};
    auto const end = find_tag(markup, end_tag, begin + 1);
    return without_tags(markup.substr(begin + 1, end == markup.npos ? end : end - begin - 1));
}

bool has_html(std::string_view markup) noexcept {
    constexpr std::array tags = {"<html"sv, "<body"sv, "<h1"sv};
    return find_in_any_case(markup, "<!doctype html") != markup.npos ||
           std::any_of(tags.begin(), tags.end(), [&](auto tag) { return find_tag(markup, tag) != markup.npos; });
}

}  // namespace

bool is_markup(std::string_view text) noexcept {
    // A proxy may say something in front of its page.
    return begins_tag(text) || find_tag(text.substr(0, 1024), "<html") != text.npos;
}

page read_page(std::string_view markup) {
    auto const shown = without_hidden_parts(markup);
    page out;
    out.is_html = has_html(shown);
    if (out.is_html) {
        for (auto const& [begin, end] : {std::pair("<title"sv, "</title"sv), std::pair("<h1"sv, "</h1"sv)}) {
            auto text = text_of(shown, begin, end);
            if (text.find_first_not_of(" \t\r\n") != text.npos) out.headings.push_back(std::move(text));
        }
    }
    if (out.headings.empty()) out.text = without_tags(shown);
    return out;
}

}  // namespace jirapool::detail
