#pragma once

#include "options.hpp"

namespace jirapool::cli {

// Each does its work, output and all, and returns the exit status.
int check(check_options o);
int call(call_options o);
int show_token(token_options o);
int make_webhook(make_webhook_options o);
int list_webhooks(list_webhooks_options o);
int use_webhook(one_webhook_options o);
int listen_for_webhooks(listen_options o);
int top(top_options o);
int print_completion(completion_options o);

}  // namespace jirapool::cli
