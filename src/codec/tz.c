/* codec/tz.c: TZif files as a table of offset changes.
 *
 * Local to UTC. Stretch i, with offset o between the offsets p before and n after it, takes the
 * local times [from + max(p, o), to + max(o, n)): in a repeated hour that gives the first pass,
 * in a missing hour the offset before it, which moves the time forward by the gap. These
 * intervals follow each other without gap, so one search answers every question. */
#include "codec/tz.h"

#include <stdio.h>

#include "base/buf.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "codec/tz_rule.h"

enum {
    NAME_MAX_BYTES = 64,
    FILE_MAX_BYTES = 1 << 20,
    HEADER = 44,
    RULE_YEARS = 400, /* after which the calendar repeats, weekdays included */
};
static const int64_t CYCLE_S = 146097LL * 86400;
/* Changes outside the years 0 to 9999 do not matter (zic writes one at -2^59). */
static const int64_t FIRST_S = -62167219200LL;
static const int64_t LAST_S = 253402300799LL;

struct change {
    int64_t from_s; /* UTC */
    int64_t local_s; /* first local second that this offset answers for */
    int32_t offset_s;
};

struct pst_tz {
    char name[NAME_MAX_BYTES + 1];
    struct {
        struct change *items;
        size_t len, cap;
    } changes; /* the first one's from_s is INT64_MIN */
    int64_t table_end_s; /* the file's last change, one of the name alone included */
    int64_t limit_s; /* from here on the table repeats every CYCLE_S; INT64_MAX: never */
};

/* ---- reading a file ------------------------------------------------------------------------ */

struct block { /* of a TZif file: counts, and where its parts begin */
    size_t time_count, type_count, char_count, leap_count, std_count, ut_count;
    size_t times, indexes, types, end;
};

static uint64_t big_endian(const char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* The block whose header stands at `at`, with times of `width` bytes. */
static bool read_block(pst_str file, size_t at, size_t width, struct block *b)
{
    if (at + HEADER > file.len || memcmp(file.ptr + at, "TZif", 4) != 0)
        return false;
    size_t *const counts[] = {&b->ut_count,   &b->std_count,  &b->leap_count,
                              &b->time_count, &b->type_count, &b->char_count};
    for (size_t i = 0; i < PST_COUNT(counts); i++) {
        *counts[i] = (size_t)big_endian(file.ptr + at + 20 + 4 * i, 4);
        if (*counts[i] > FILE_MAX_BYTES)
            return false;
    }
    b->times = at + HEADER;
    b->indexes = b->times + b->time_count * width;
    b->types = b->indexes + b->time_count;
    b->end = b->types + b->type_count * 6 + b->char_count + b->leap_count * (width + 4) +
             b->std_count + b->ut_count;
    return b->end <= file.len && b->type_count > 0;
}

static pst_code add_change(struct pst_tz *tz, int64_t from_s, int32_t offset_s, struct pst_err *err)
{
    size_t n = tz->changes.len;
    if (n > 0 && tz->changes.items[n - 1].offset_s == offset_s)
        return PST_OK; /* only the name or the summer time flag changed */
    struct change *c = NULL;
    PST_TRY(pst_vec_push(&tz->changes, &c, err));
    int32_t before = n > 0 ? tz->changes.items[n - 1].offset_s : offset_s;
    c->from_s = from_s;
    c->offset_s = offset_s;
    c->local_s = from_s == INT64_MIN ? INT64_MIN : from_s + (before > offset_s ? before : offset_s);
    return PST_OK;
}

static pst_code corrupt(pst_str name, const char *what, struct pst_err *err)
{
    return PST_FAIL(err, PST_E_CORRUPT, "time zone '%.*s': %s", PST_STR_ARG(name), what);
}

static int32_t type_offset(pst_str file, const struct block *b, size_t type)
{
    return (int32_t)(uint32_t)big_endian(file.ptr + b->types + 6 * type, 4);
}

static pst_code read_changes(struct pst_tz *tz, pst_str name, pst_str file, const struct block *b,
                             struct pst_err *err)
{
    int64_t before = INT64_MIN;
    int32_t first = type_offset(file, b, 0);
    if (first < -167 * 3600 || first > 167 * 3600)
        return corrupt(name, "a change of its table is wrong", err);
    PST_TRY(add_change(tz, INT64_MIN, first, err));
    for (size_t i = 0; i < b->time_count; i++) {
        int64_t at = (int64_t)big_endian(file.ptr + b->times + 8 * i, 8);
        size_t type = (unsigned char)file.ptr[b->indexes + i];
        int32_t offset = type < b->type_count ? type_offset(file, b, type) : INT32_MAX;
        if (offset < -167 * 3600 || offset > 167 * 3600 || at <= before || at > LAST_S)
            return corrupt(name, "a change of its table is wrong", err);
        before = at;
        if (at < FIRST_S) {
            tz->changes.items[0].offset_s = offset;
        } else {
            PST_TRY(add_change(tz, at, offset, err));
            tz->table_end_s = at;
        }
    }
    return PST_OK;
}

/* ---- the rule behind the table --------------------------------------------------------------- */

static int year_of(int64_t s)
{
    return pst_wall_to_civil((pst_wall){s * PST_US_PER_S}).year;
}

static pst_code add_rule(struct pst_tz *tz, const struct pst_tz_rule *rule, struct pst_err *err)
{
    int64_t last = tz->table_end_s;
    int first_year = last == INT64_MIN ? 1970 : year_of(last);
    if (!rule->has_dst)
        return tz->changes.len == 1 ? add_change(tz, 0, rule->std_s, err) : PST_OK;
    for (int year = first_year; year <= first_year + RULE_YEARS; year++) {
        int64_t begin = pst_tz_rule_moment(&rule->begin, year) - rule->std_s;
        int64_t end = pst_tz_rule_moment(&rule->end, year) - rule->dst_s;
        bool north = begin < end;
        const struct change both[2] = {
            {.from_s = north ? begin : end, .offset_s = north ? rule->dst_s : rule->std_s},
            {.from_s = north ? end : begin, .offset_s = north ? rule->std_s : rule->dst_s},
        };
        for (int i = 0; i < 2; i++) {
            if (both[i].from_s > last)
                PST_TRY(add_change(tz, both[i].from_s, both[i].offset_s, err));
        }
    }
    tz->limit_s = pst_days_from_civil(first_year + RULE_YEARS, 1, 1) * 86400;
    if (first_year + RULE_YEARS > 9999)
        tz->limit_s = INT64_MAX;
    return PST_OK;
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; may be empty inside. */
static pst_code read_footer(struct pst_tz *tz, pst_str name, pst_str footer, struct pst_err *err)
{
    struct pst_tz_rule rule;
    if (footer.len < 2 || footer.ptr[0] != '\n')
        return corrupt(name, "its rule is missing", err);
    pst_str text = pst_str_sub(footer, 1, footer.len);
    text.len = pst_str_index(text, '\n');
    if (text.len == 0)
        return PST_OK;
    if (!pst_tz_rule_parse(&rule, text))
        return corrupt(name, "its rule cannot be read", err);
    return add_rule(tz, &rule, err);
}

static pst_code read_file(struct pst_tz *tz, pst_str name, pst_str file, struct pst_err *err)
{
    struct block old;
    struct block b;
    if (!read_block(file, 0, 4, &old))
        return corrupt(name, "not a TZif file", err);
    if (file.ptr[4] < '2' || !read_block(file, old.end, 8, &b))
        return corrupt(name, "not a TZif file of version 2 or later", err);
    PST_TRY(read_changes(tz, name, file, &b, err));
    return read_footer(tz, name, pst_str_sub(file, b.end, file.len), err);
}

static pst_code new_zone(struct pst_tz **out, pst_str name, struct pst_err *err)
{
    struct pst_tz *tz = NULL;
    PST_TRY(pst_new((void **)&tz, sizeof(*tz), err));
    tz->table_end_s = INT64_MIN;
    tz->limit_s = INT64_MAX;
    (void)pst_str_copy(tz->name, sizeof(tz->name), name);
    *out = tz;
    return PST_OK;
}

pst_code pst_tz_parse(struct pst_tz **out, pst_str name, pst_str file, struct pst_err *err)
{
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    PST_TRY(new_zone(&tz, name, err));
    PST_TRY(read_file(tz, name, file, err));
    *out = PST_TAKE(tz);
    return PST_OK;
}

bool pst_tz_name_valid(pst_str name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES || name.ptr[0] == '/')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && c != '_' && c != '+' && c != '-' && c != '/')
            return false;
    }
    return true;
}

static pst_code load_file(struct pst_tz **out, FILE *f, pst_str name, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf file = {0};
    pst_buf_init(&file, FILE_MAX_BYTES);
    while (pst_buf_reserve(&file, 4096)) {
        size_t n = fread(file.ptr + file.len, 1, 4096, f);
        file.len += n;
        if (n < 4096)
            break;
    }
    if (ferror(f))
        return PST_FAIL(err, PST_E_INVALID, "there is no time zone '%.*s'", PST_STR_ARG(name));
    PST_TRY(pst_buf_check(&file, err));
    return pst_tz_parse(out, name, pst_buf_str(&file), err);
}

pst_code pst_tz_load(struct pst_tz **out, const char *dir, pst_str name, struct pst_err *err)
{
    char path[4096];
    if (pst_str_is(name, "UTC")) {
        PST_AUTO(tz) struct pst_tz *tz = NULL;
        PST_TRY(new_zone(&tz, name, err));
        PST_TRY(add_change(tz, INT64_MIN, 0, err));
        *out = PST_TAKE(tz);
        return PST_OK;
    }
    if (!pst_tz_name_valid(name))
        return PST_FAIL(err, PST_E_INVALID, "'%.*s' is no name of a time zone",
                        PST_STR_ARG(pst_str_sub(name, 0, NAME_MAX_BYTES)));
    int n = snprintf(path, sizeof(path), "%s/%.*s", dir ? dir : PST_TZ_DIR, PST_STR_ARG(name));
    FILE *f = (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
    if (!f)
        return PST_FAIL(err, PST_E_INVALID, "there is no time zone '%.*s'", PST_STR_ARG(name));
    pst_code rc = load_file(out, f, name, err);
    (void)fclose(f);
    return rc;
}

void pst_tz_free(struct pst_tz *tz)
{
    if (!tz)
        return;
    pst_vec_fini(&tz->changes);
    pst_free(tz);
}

pst_str pst_tz_name(const struct pst_tz *tz)
{
    return pst_str_from(tz->name);
}

/* ---- conversions ------------------------------------------------------------------------------
 */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Last change whose from_s (or local_s) is not after s. */
static size_t find(const struct pst_tz *tz, int64_t s, bool local)
{
    size_t low = 0;
    size_t high = tz->changes.len;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        const struct change *c = &tz->changes.items[mid];
        if ((local ? c->local_s : c->from_s) <= s)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* Whole cycles to go back from s so that it falls into the table, in seconds. */
static int64_t back_by(const struct pst_tz *tz, int64_t s)
{
    if (tz->limit_s == INT64_MAX || s < tz->limit_s)
        return 0;
    return ((s - tz->limit_s) / CYCLE_S + 1) * CYCLE_S;
}

struct pst_tz_period pst_tz_period_at(const struct pst_tz *tz, pst_wall t)
{
    int64_t s = floor_div(t.us, PST_US_PER_S);
    int64_t back = back_by(tz, s);
    size_t i = find(tz, s - back, false);
    const struct change *c = &tz->changes.items[i];
    bool last = i + 1 == tz->changes.len;
    return (struct pst_tz_period){
        .from_s = c->from_s == INT64_MIN ? INT64_MIN : c->from_s + back,
        .to_s = last ? INT64_MAX : c[1].from_s + back,
        .offset_s = c->offset_s,
    };
}

pst_wall pst_tz_to_utc(const struct pst_tz *tz, struct pst_tz_memo *memo, const struct pst_civil *c)
{
    pst_wall local = pst_wall_from_civil(c);
    int64_t s = floor_div(local.us, PST_US_PER_S);
    if (!memo || s < memo->from_s || s >= memo->to_s) {
        /* A day early, so that changes near the limit are all inside the table. */
        int64_t back = back_by(tz, s + 86400);
        size_t i = find(tz, s - back, true);
        const struct change *ch = &tz->changes.items[i];
        if (!memo)
            return (pst_wall){local.us - ch->offset_s * PST_US_PER_S};
        bool last = i + 1 == tz->changes.len;
        memo->from_s = ch->local_s == INT64_MIN ? INT64_MIN : ch->local_s + back;
        memo->to_s = last ? INT64_MAX : ch[1].local_s + back;
        memo->offset_s = ch->offset_s;
    }
    return (pst_wall){local.us - memo->offset_s * PST_US_PER_S};
}

struct pst_civil pst_tz_to_local(const struct pst_tz *tz, pst_wall t)
{
    int32_t offset_s = pst_tz_period_at(tz, t).offset_s;
    return pst_wall_to_civil((pst_wall){t.us + offset_s * PST_US_PER_S});
}
