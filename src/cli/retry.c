/* cli/retry.c: when a refused request is sent again. */
#include "cli/retry.h"

#include <string.h>

enum { FIRST_SPAN_MS = 1000, MS_PER_S = 1000 };

/* After a 503 a request may have been carried out all the same. */
static bool may_be_repeated(const char *method)
{
    return strcmp(method, "POST") != 0 && strcmp(method, "DELETE") != 0;
}

int64_t pst_retry_next(struct pst_retry_state *state, const struct pst_retry_answer *answer,
                       uint64_t random)
{
    bool is_refused =
        answer->status == 429 || (answer->status == 503 && may_be_repeated(answer->method));
    if (!is_refused || !answer->is_retryable || state->tries == PST_RETRY_TRIES)
        return -1;
    int64_t span = (int64_t)FIRST_SPAN_MS << state->tries;
    int64_t wait =
        (int64_t)answer->retry_after_s * MS_PER_S + (int64_t)(random % (uint64_t)(span + 1));
    if (state->waited_ms + wait > PST_RETRY_TOTAL_MS)
        return -1;
    state->tries++;
    state->waited_ms += wait;
    return wait;
}
