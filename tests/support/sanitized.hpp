#pragma once

namespace jirapool::test {

/// Whether a sanitizer watches: it takes several times as long, and keeps what was freed.
#ifdef __has_feature
#define JIRAPOOL_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JIRAPOOL_SANITIZED 1
#else
#define JIRAPOOL_SANITIZED 0
#endif
#if JIRAPOOL_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace jirapool::test
