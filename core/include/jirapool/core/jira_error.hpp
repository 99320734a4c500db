#pragma once

#include <jirapool/core/response.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace jirapool {

/// Who wrote the body of an error answer, as far as the body shows (core/doc/jira-cloud.md, 2.5).
enum class error_source : std::uint8_t {
    unknown,  ///< there is no body, or a text or XML that either may have written
    jira,     ///< JSON: Jira, or the API gateway before it
    edge,  ///< HTML: CloudFront or a load balancer before Jira, or a proxy on the way there; Jira may not have seen the request
};
/// The enumerator's name: "edge".
char const* to_string(error_source s) noexcept;

/** What an error answer says, whatever shape its body has.

    All texts are UTF-8 of one line each: white space is single blanks, and there are no control characters, line separators or byte
    order marks. They are somebody else's words all the same: escape them for HTML or SQL as any input.

    @par Threads   A value. */
struct jira_error {
    static constexpr std::size_t max_size = 4096;   ///< bytes of all texts together
    static constexpr std::size_t max_text = 1024;   ///< bytes of what is said at once, behind "element 3: "
    static constexpr std::size_t max_entries = 64;  ///< messages; and as many fields

    /// The HTTP status. One that the body names is not read: it may differ.
    int status = 0;
    error_source source = error_source::unknown;
    /// What is said of the request as a whole, in the body's order, each once.
    std::vector<std::string> messages;
    /// What is said of a field: its name ("summary", "customfield_10010") and the text. Of a bulk answer the name says of which
    /// element: "element 3: summary", by Jira's count, which begins with 0; so do the messages that are about one.
    std::vector<std::pair<std::string, std::string>> fields;
    /// Names the exchange to Atlassian's support: `atl-traceid`, else `atl-request-id`, else `x-arequestid`; empty without one.
    std::string trace_id;
    /// `x-failure-category`: why the gateway refused, such as FAILURE_CLIENT_SCOPE_CHECK.
    std::string failure_category;
    /// `x-seraph-loginreason`: what Jira made of the credential, such as AUTHENTICATED_FAILED.
    std::string login_reason;
    /// Whether the answer said more than fits here.
    bool truncated = false;

    /// Whether the body says of no error.
    bool empty() const noexcept { return messages.empty() && fields.empty(); }
    /// The messages and fields in one line: "The issue is invalid.; summary: is required".
    std::string text() const;
    /** All of it in one line, fit for logs: "404: Issue does not exist or you do not have permission to see it. (trace abc)". In
        the parentheses stand also `from the edge`, `cut`, the failure category and the login reason. */
    std::string describe() const;
};

/** Reads what an error answer says. `Content-Type` is not believed: the body itself shows what it is.

    @par JSON      Jira's `errorMessages`, `errors` and `warningMessages`, its bulk answers' `elementErrors`; what its gateway and
                   other services say in `message`, `messages`, `errorMessage`, `error`, `error_description`, and in `title` and
                   `detail` (RFC 9457); a string; an array of these. Names count in any case, other members are left out. Where a
                   text is to stand and something else does, that is told as compact JSON, and so is an object with none of the
                   names.
    @par HTML      The text of the first `<title>` and the first `<h1>`; without them, as XML: the first four lines between the tags.
    @par Text      Its first four lines that are not blank. What simdjson refuses as JSON is a text too.
    @par Bytes     UTF-8; UTF-16 with a byte order mark; what is no UTF-8 is Windows-1252 when `Content-Type` says that or
                   ISO-8859-1, else each such byte is U+FFFD. Of more than 256 KiB the rest is not looked at.
    @par Statuses  Any. Of a 2xx answer's body only the `elementErrors` of a bulk answer are read, and nothing when it has more than
                   256 KiB. A redirect's body is not read: it may repeat a `Location` that is a secret (core/doc/jira-cloud.md, 4).
    @par Errors    None: it throws nothing but std::bad_alloc.
    @par Threads   Any. */
jira_error read_jira_error(response const& r);

}  // namespace jirapool
