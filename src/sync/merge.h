/* sync/merge.h: a page of documents against what is stored, without any I/O.
 *
 *   pst_merge_prepare     puts the documents in key order, drops repeats, finds disorder
 *   pst_merge_states      pairs them with stored states, chunk by chunk, and notes the stored
 *                         records that a full read should have shown but did not
 *   pst_merge_is_known / pst_merge_classify   what a document means for its record
 *
 * Documents of one page come in key order (connector.h), but what the source does is not ours
 * to promise: a page may repeat a document (the later stamp wins, then the later place), and
 * its order may be another than that of bytes (a database with a linguistic collation). Rows
 * are then still stored; only what is missing can no longer be told.
 *
 * A document without a usable key (fault set, no sort_key) stands for an unknown record: what
 * lies between its neighbours is never called missing.
 *
 * Thread-safety: one thread; everything lives in the arenas that are passed.
 */
#ifndef PST_SYNC_MERGE_H
#define PST_SYNC_MERGE_H

#include "model/page.h"
#include "store/records.h"

/* What is stored of a document's record. */
struct pst_match {
    int64_t pk; /* 0: not stored */
    pst_hash128 source_hash;
    pst_hash128 hash;
    bool deleted;
};

struct pst_merge {
    const struct pst_document *docs; /* the page's */
    uint32_t *order; /* indexes into docs, ascending by key, no key twice */
    size_t count;
    struct pst_match *matches; /* count of them, by position in order */
    bool *gaps; /* count + 1: a document without key lies before that position */
    bool is_disordered; /* a key lies before its predecessor or before prev_key */
    pst_str min_key, max_key; /* of the page, "" when count is 0 */
    size_t at; /* private: first position not yet passed by states */
};

/* prev_key: the largest key of the pages before ("" = none); gap_open: their last document had
 * no key. Errors: NO_MEMORY, LIMIT. */
pst_code pst_merge_prepare(struct pst_merge *m, const struct pst_page *page, pst_str prev_key,
                           bool gap_open, struct pst_arena *arena, struct pst_err *err);

struct pst_missing {
    int64_t *items; /* record pks */
    size_t len, cap;
};

/* Take the next chunk of stored states, ascending by key. missing gets what a full read should
 * have shown but did not: live records that were not in the page and, where window_from is not
 * none, have a stamp at or after it. Chunks cover the whole range from prev_key to max_key
 * without holes, and are at most as far as max_key. Errors: NO_MEMORY. */
pst_code pst_merge_states(struct pst_merge *m, const struct pst_record_states *chunk,
                          pst_wall window_from, struct pst_missing *missing, struct pst_err *err);

/* Stored, live, and from the very same source rows under the same mapping: nothing to do. */
bool pst_merge_is_known(const struct pst_match *match, pst_hash128 source_hash);

/* Otherwise, once it is mapped: create, update (also a deleted record that is back) or
 * restamp. */
enum pst_record_op pst_merge_classify(const struct pst_match *match, pst_hash128 hash);

/* A key just before `key`, so that (before, key] holds `key` and no other key of its stream.
 * key must not be "". Errors: NO_MEMORY, LIMIT. */
pst_code pst_merge_key_before(pst_str key, struct pst_arena *arena, pst_str *out,
                              struct pst_err *err);

#endif
