#include <jirapool/core/result.hpp>

#include <boost/system/system_error.hpp>
#include <boost/throw_exception.hpp>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

namespace jirapool {

namespace {

std::string code_name(error_code const& code) {
    if (code.category() == jirapool_category()) return to_string(static_cast<errc>(code.value()));
    return code.to_string();
}

// A rule may hold what an operating system or a peer said: it must not begin a second line in somebody's log.
void keep_one_line(std::string& text) {
    auto const breaks_line = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    std::replace_if(text.begin(), text.end(), breaks_line, ' ');
}

class failure_error : public boost::system::system_error {
public:
    explicit failure_error(failure const& f) : system_error(f.code()), text_(f.describe()) {}
    char const* what() const noexcept override { return text_.c_str(); }

private:
    std::string text_;
};

}  // namespace

char const* to_string(stage s) noexcept {
    switch (s) {
    case stage::check: return "check";
    case stage::admit: return "admit";
    case stage::token: return "token";
    case stage::lease: return "lease";
    case stage::write: return "write";
    case stage::first_byte: return "first_byte";
    case stage::body: return "body";
    case stage::backoff: return "backoff";
    }
    return "unknown";
}

// Never destroyed: a handler may look at its failure while the program's other objects go.
failure::text const& failure::no_text() noexcept {
    alignas(text) static unsigned char room[sizeof(text)];
    static text const& none = *::new (room) text;
    return none;
}

std::string failure::describe() const {
    auto const& said = seen();
    std::string line;
    if (!said.connection.empty()) line += "connection '" + said.connection + "': ";
    if (!said.field.empty()) line += said.field + ": ";
    if (!said.peer.empty()) line += said.peer + ": ";
    line += said.rule.empty() ? code_.message() : said.rule;
    if (stage_ != stage::check) line += std::string("; at ") + to_string(stage_);
    if (maybe_processed_) line += "; Jira may have acted on it";
    if (retry_after_) line += "; retry after " + std::to_string(retry_after_->count()) + " ms";
    if (!said.trace_id.empty()) line += "; trace " + said.trace_id;
    line += " [" + code_name(code_) + "]";
    keep_one_line(line);
    return line;
}

void throw_exception_from_error(failure const& f, boost::source_location const& where) {
    failure_error const error(f);
    boost::throw_with_location(error, where);
}

}  // namespace jirapool
