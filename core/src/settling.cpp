#include <jirapool/core/settling.hpp>

#include <utility>

namespace jirapool {

void settling::on_begun() noexcept {
    ++exchanges_;
    processed_before_ = std::exchange(maybe_processed_, true);
}

settlement settling::settle(exchange_end const& e, resend_means const& m, retry_params const& p,
                            random_engine& random) noexcept {
    using kind = settlement::kind;
    if (e.unprocessed) did_nothing();
    refusals_ += e.refused;
    settlement end;
    if (e.error) {
        end.what = kind::fail;
        if (e.error != errc::channel_lost || e.caller_failed) return end;
        return resend(resend_reason::channel_lost, kind::fail, e, m, p, random);
    }
    switch (e.answer) {
    case answer_class::delivered:
    case answer_class::scope_mismatch: break;
    case answer_class::anonymous: end.what = kind::fail; break;
    case answer_class::maybe_expired:
    case answer_class::unauthorized:
        if (!e.new_token || renewed_) break;
        did_nothing();
        renewed_ = true;
        return resend(resend_reason::token, kind::deliver, e, m, p, random);
    case answer_class::limited:
        did_nothing();
        ++limited_;
        return resend(resend_reason::limited, kind::deliver, e, m, p, random);
    case answer_class::transient: return resend(resend_reason::transient_answer, kind::deliver, e, m, p, random);
    }
    return end;
}

settlement settling::resend(resend_reason reason, settlement::kind otherwise, exchange_end const& e,
                            resend_means const& m, retry_params const& p, random_engine& random) const noexcept {
    settlement end;
    end.what = end.otherwise = otherwise;
    end.reason = reason;
    exchange_facts facts;
    facts.reason = reason;
    facts.exchanges = exchanges_;
    facts.limited = limited_;
    facts.refusals = refusals_;
    facts.resendable = m.resendable;
    facts.unprocessed = e.unprocessed;
    facts.channel_ended = e.reused && !e.channel_lives && (e.silent || e.announced);
    facts.refused = e.refused;
    facts.retry_after = e.retry_after;
    auto const after = resend_after(facts, p, random);
    if (!after) return end;
    end.at = later(m.now, *after);
    if (end.at >= m.deadline) return end;
    end.costs_budget = needs_budget(facts);
    if (end.costs_budget) {
        end.site_overdraft = overdraft(facts, m.site_channels);
        end.origin_overdraft = overdraft(facts, m.origin_channels);
        end.over_budget = !m.of_site.can_take(end.site_overdraft) || !m.of_origin.can_take(end.origin_overdraft);
        if (end.over_budget) return end;
    }
    end.what = settlement::kind::resend;
    return end;
}

}  // namespace jirapool
