/* store/records_cursor.c: the text by which a client goes on with a list of records. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/records.h"

static void hash_bytes(XXH3_state_t *h, const void *bytes, size_t len)
{
    uint64_t n = len;
    (void)XXH3_64bits_update(h, &n, sizeof(n)); /* borders count too */
    if (len)
        (void)XXH3_64bits_update(h, bytes, len);
}

/* What a cursor is bound to: everything that decides which rows come in which order, and the
 * position itself, so that a damaged cursor is not another place in the list. */
static uint64_t fingerprint(const struct pst_record_query *q, const struct pst_record_position *p)
{
    XXH3_state_t h;
    const int64_t numbers[] = {
        q->connection_pk,     (int64_t)q->deleted,      (int64_t)q->sort,     q->updated_after.us,
        q->updated_before.us, q->created_after.us,      q->created_before.us, q->synced_after.us,
        q->synced_before.us,  (int64_t)q->filter_count,
    };
    const int64_t place[] = {p->first_seq, p->num};
    (void)XXH3_64bits_reset(&h);
    hash_bytes(&h, place, sizeof(place));
    hash_bytes(&h, q->entity->name, strlen(q->entity->name));
    hash_bytes(&h, numbers, sizeof(numbers));
    for (size_t i = 0; i < q->filter_count; i++) {
        const struct pst_record_filter *f = &q->filters[i];
        const int64_t parts[] = {(int64_t)f->match, (int64_t)f->value.kind,
                                 f->value.kind == PST_FILTER_INT ? f->value.num : 0};
        hash_bytes(&h, f->filter->column, strlen(f->filter->column));
        hash_bytes(&h, parts, sizeof(parts));
        if (f->value.kind == PST_FILTER_TEXT)
            hash_bytes(&h, f->value.text.ptr, f->value.text.len);
    }
    return XXH3_64bits_digest(&h);
}

void pst_record_cursor_format(char out[PST_RECORD_CURSOR], const struct pst_record_query *query,
                              const struct pst_record_position *position)
{
    (void)snprintf(out, PST_RECORD_CURSOR, "%016llx%016llx%016llx",
                   (unsigned long long)fingerprint(query, position),
                   (unsigned long long)position->first_seq, (unsigned long long)position->num);
}

static bool parse_hex(uint64_t *out, pst_str text)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *at = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
        if (!at)
            return false;
        *out = *out << 4 | (uint64_t)(at - digits);
    }
    return true;
}

pst_code pst_record_cursor_parse(struct pst_record_query *query, pst_str text, struct pst_err *err)
{
    struct pst_record_position p = {0};
    uint64_t parts[3] = {0};
    bool fine = text.len == PST_RECORD_CURSOR - 1;
    for (size_t i = 0; fine && i < PST_COUNT(parts); i++)
        fine = parse_hex(&parts[i], pst_str_sub(text, i * 16, 16));
    p.first_seq = (int64_t)parts[1];
    p.num = (int64_t)parts[2];
    if (!fine || p.first_seq <= 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "cursor", "'cursor' is not one of ours");
    if (parts[0] != fingerprint(query, &p))
        return PST_FAIL_AT(err, PST_E_INVALID, "cursor",
                           "'cursor' is damaged, or belongs to a list with other filters or "
                           "another order");
    query->after = p;
    return PST_OK;
}
