/* peoplesim/faults.c: deciding what goes wrong. */
#include "peoplesim/faults.h"

#include "peoplesim/hash.h"

/* clang-format off */
static const char *const names[PST_SIM_FAULT_KINDS] = {
    [PST_SIM_FAULT_NONE] = "none",
    [PST_SIM_FAULT_401] = "401",
    [PST_SIM_FAULT_403] = "403",
    [PST_SIM_FAULT_404] = "404",
    [PST_SIM_FAULT_429] = "429",
    [PST_SIM_FAULT_500] = "500",
    [PST_SIM_FAULT_500_TEXT] = "500_text",
    [PST_SIM_FAULT_IB_158_45] = "ib_158_45",
    [PST_SIM_FAULT_503] = "503",
    [PST_SIM_FAULT_SIGN_ON] = "sign_on",
    [PST_SIM_FAULT_REDIRECT] = "redirect",
    [PST_SIM_FAULT_GARBAGE] = "garbage",
    [PST_SIM_FAULT_RESET] = "reset",
    [PST_SIM_FAULT_TRUNCATE] = "truncate",
    [PST_SIM_FAULT_STALL] = "stall",
    [PST_SIM_FAULT_SLOW] = "slow",
    [PST_SIM_FAULT_ROW_CAP] = "row_cap",
    [PST_SIM_FAULT_PROMPTS_IGNORED] = "prompts_ignored",
    [PST_SIM_FAULT_MISSING_COLUMN] = "missing_column",
    [PST_SIM_FAULT_BLANKS_LEFT_OUT] = "blanks_left_out",
    [PST_SIM_FAULT_BAD_STAMP] = "bad_stamp",
    [PST_SIM_FAULT_BAD_NUMBER] = "bad_number",
    [PST_SIM_FAULT_BAD_UTF8] = "bad_utf8",
    [PST_SIM_FAULT_HIDDEN] = "hidden",
};
/* clang-format on */

const char *pst_sim_fault_name(enum pst_sim_fault_kind kind)
{
    return names[kind];
}

enum pst_sim_fault_kind pst_sim_fault_kind_of(pst_str name)
{
    for (int i = 1; i < PST_SIM_FAULT_KINDS; i++)
        if (pst_str_is(name, names[i]))
            return (enum pst_sim_fault_kind)i;
    return PST_SIM_FAULT_NONE;
}

void pst_sim_faults_init(struct pst_sim_faults *f, uint64_t seed)
{
    *f = (struct pst_sim_faults){.seed = seed};
    pthread_mutex_init(&f->lock, NULL);
}

void pst_sim_faults_fini(struct pst_sim_faults *f)
{
    pthread_mutex_destroy(&f->lock);
}

pst_code pst_sim_faults_add(struct pst_sim_faults *f, const struct pst_sim_fault *fault,
                            uint64_t *id, struct pst_err *err)
{
    pthread_mutex_lock(&f->lock);
    bool is_full = f->count == PST_SIM_FAULTS_MAX;
    if (!is_full) {
        *id = ++f->next_id;
        f->items[f->count] = *fault;
        f->items[f->count].id = *id;
        f->items[f->count].seen = f->items[f->count].fired = 0;
        f->count++;
    }
    pthread_mutex_unlock(&f->lock);
    if (is_full)
        return PST_FAIL(err, PST_E_LIMIT, "there are %d faults already", PST_SIM_FAULTS_MAX);
    return PST_OK;
}

size_t pst_sim_faults_remove(struct pst_sim_faults *f, uint64_t id)
{
    size_t kept = 0;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->count; i++)
        if (id != 0 && f->items[i].id != id)
            f->items[kept++] = f->items[i];
    size_t removed = f->count - kept;
    f->count = kept;
    pthread_mutex_unlock(&f->lock);
    return removed;
}

static void put_fault(const struct pst_sim_fault *x, struct pst_buf *out)
{
    /* Names and columns were checked to be plain when the fault was set. */
    pst_buf_addf(
        out,
        "{\"id\":%llu,\"kind\":\"%s\",\"service\":\"%s\",\"query\":\"%s\",\"column\":\"%s\","
        "\"count\":%llu,\"after\":%llu,\"probability\":%u.%03u,\"ms\":%lld,\"bytes\":%lld,"
        "\"rows\":%llu,\"row\":%llu,\"seen\":%llu,\"fired\":%llu}",
        (unsigned long long)x->id, names[x->kind], x->service, x->query, x->column,
        (unsigned long long)x->count, (unsigned long long)x->after, x->per_mille / 1000,
        x->per_mille % 1000, (long long)x->ms, (long long)x->bytes, (unsigned long long)x->rows,
        (unsigned long long)x->row, (unsigned long long)x->seen, (unsigned long long)x->fired);
}

void pst_sim_faults_list(struct pst_sim_faults *f, struct pst_buf *out)
{
    pthread_mutex_lock(&f->lock);
    pst_buf_add_char(out, '[');
    for (size_t i = 0; i < f->count; i++) {
        if (i)
            pst_buf_add_char(out, ',');
        put_fault(&f->items[i], out);
    }
    pst_buf_add_char(out, ']');
    pthread_mutex_unlock(&f->lock);
}

void pst_sim_faults_set_latency(struct pst_sim_faults *f, int64_t ms, int64_t jitter_ms)
{
    pthread_mutex_lock(&f->lock);
    f->latency_ms = ms;
    f->jitter_ms = jitter_ms;
    pthread_mutex_unlock(&f->lock);
}

void pst_sim_faults_latency(struct pst_sim_faults *f, int64_t *ms, int64_t *jitter_ms)
{
    pthread_mutex_lock(&f->lock);
    *ms = f->latency_ms;
    *jitter_ms = f->jitter_ms;
    pthread_mutex_unlock(&f->lock);
}

/* ---- deciding; the lock is held ---- */

static uint64_t draw(struct pst_sim_faults *f)
{
    return pst_sim_derive(f->seed, ++f->draws);
}

static bool fires(struct pst_sim_faults *f, struct pst_sim_fault *x, const char *service,
                  pst_str query)
{
    if ((x->service[0] && strcmp(x->service, service) != 0) ||
        (x->query[0] && !pst_str_is(query, x->query)))
        return false;
    if (x->seen++ < x->after || (x->count && x->fired >= x->count))
        return false;
    if (x->per_mille < 1000 && pst_sim_below(draw(f), 1000) >= x->per_mille)
        return false;
    x->fired++;
    return true;
}

static void take_effect(const struct pst_sim_fault *x, struct pst_sim_effects *e)
{
    switch (x->kind) {
    case PST_SIM_FAULT_RESET:
    case PST_SIM_FAULT_TRUNCATE:
    case PST_SIM_FAULT_STALL:
        e->way = x->kind;
        e->way_bytes = x->bytes;
        return;
    case PST_SIM_FAULT_SLOW:
        e->delay_ms += x->ms;
        return;
    case PST_SIM_FAULT_ROW_CAP:
        e->row_cap = x->rows;
        return;
    case PST_SIM_FAULT_PROMPTS_IGNORED:
        e->prompts_ignored = true;
        return;
    case PST_SIM_FAULT_HIDDEN:
        e->is_hidden = true;
        return;
    case PST_SIM_FAULT_BLANKS_LEFT_OUT:
        e->leaves_out_blanks = true;
        return;
    case PST_SIM_FAULT_MISSING_COLUMN:
    case PST_SIM_FAULT_BAD_STAMP:
    case PST_SIM_FAULT_BAD_NUMBER:
    case PST_SIM_FAULT_BAD_UTF8:
        e->row_kind = x->kind;
        e->row = x->row;
        memcpy(e->column, x->column, sizeof(e->column));
        return;
    case PST_SIM_FAULT_NONE:
    case PST_SIM_FAULT_401:
    case PST_SIM_FAULT_403:
    case PST_SIM_FAULT_404:
    case PST_SIM_FAULT_429:
    case PST_SIM_FAULT_500:
    case PST_SIM_FAULT_500_TEXT:
    case PST_SIM_FAULT_IB_158_45:
    case PST_SIM_FAULT_503:
    case PST_SIM_FAULT_SIGN_ON:
    case PST_SIM_FAULT_REDIRECT:
    case PST_SIM_FAULT_GARBAGE:
    case PST_SIM_FAULT_KINDS:
        break;
    }
    if (e->answer == PST_SIM_FAULT_NONE)
        e->answer = x->kind;
}

void pst_sim_faults_decide(struct pst_sim_faults *f, const char *service, pst_str query,
                           struct pst_sim_effects *out)
{
    *out = (struct pst_sim_effects){.way_bytes = -1};
    pthread_mutex_lock(&f->lock);
    out->delay_ms = f->latency_ms;
    if (f->jitter_ms > 0)
        out->delay_ms += (int64_t)(draw(f) % (uint64_t)(f->jitter_ms + 1));
    for (size_t i = 0; i < f->count; i++)
        if (fires(f, &f->items[i], service, query))
            take_effect(&f->items[i], out);
    pthread_mutex_unlock(&f->lock);
}

bool pst_sim_faults_hides(struct pst_sim_faults *f, const char *query)
{
    bool found = false;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->count; i++)
        found = found || (f->items[i].kind == PST_SIM_FAULT_HIDDEN && f->items[i].count == 0 &&
                          strcmp(f->items[i].query, query) == 0);
    pthread_mutex_unlock(&f->lock);
    return found;
}
