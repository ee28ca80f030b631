/* connectors/peoplesoft/stream.h: what open() keeps of the manifest and a connection's config.
 * Private to this module. Thread-safety: immutable after open(). */
#ifndef PST_CONNECTORS_PEOPLESOFT_STREAM_H
#define PST_CONNECTORS_PEOPLESOFT_STREAM_H

#include "connector/connector.h"
#include "connectors/peoplesoft/pack.h"

enum {
    PST_PS_KEY_PARTS = 8,
    PST_PS_DOCUMENT_ROWS = 10000, /* the largest document (PST_PS_OVERSIZED) */
    PST_PS_COLUMNS = 1024, /* of one query */
    PST_PS_ROWS_HINT =
        1000000, /* what an answer says of the number of its rows is believed so far */
    PST_PS_NUMBER_BYTES = 64, /* longest number; ids of 31 digits exist */
};

struct pst_ps_key_part {
    pst_str column; /* the pack's name */
    bool is_number;
    int64_t max; /* number: the largest that the column holds */
    int prompt; /* index in the query's prompts */
};

struct pst_ps_rename {
    pst_str pack, site;
};

struct pst_ps_stream {
    const struct pst_stream *stream; /* the manifest's */
    const struct pst_ps_query *pack;
    pst_str query; /* the name at this site */
    struct pst_ps_key_part key[PST_PS_KEY_PARTS];
    size_t key_count;
    size_t document_parts; /* the first so many parts name the document */
    pst_str stamp; /* the pack's column, "" = none */
    int from_prompt, to_prompt, as_of_prompt; /* index in the query's prompts, -1 = none */
    const struct pst_ps_rename *renames;
    size_t rename_count;
    const pst_str *scope; /* values of the first key part, ascending; none = all */
    size_t scope_count;
};

/* A row's key. */
struct pst_ps_key {
    pst_str text[PST_PS_KEY_PARTS];
    int64_t number[PST_PS_KEY_PARTS];
};

struct pst_connector {
    struct pst_arena *arena; /* owns every text here */
    const struct pst_manifest *manifest;
    pst_str services; /* ".../PSIGW/RESTListeningConnector/PSFT_EP/" */
    pst_str owner; /* "public" or "private" */
    pst_str user;
    struct pst_secret *password;
    pst_str ca_pem;
    bool is_unverified;
    uint32_t page_size;
    int64_t timeout_ms;
    pst_str clock_query, clock_column;
    struct pst_ps_stream *streams;
    size_t stream_count;
};

/* Build self->streams. Errors: INVALID, NO_MEMORY, LIMIT. */
pst_code pst_ps_streams_build(struct pst_connector *self, yyjson_val *config, struct pst_err *err);

/* Errors: INVALID (not a stream of this connector). */
pst_code pst_ps_stream_find(const struct pst_connector *self, const struct pst_stream *stream,
                            const struct pst_ps_stream **out, struct pst_err *err);

/* The pack's name for a column that an answer calls `name`; `all` are the answer's names. The
 * name itself where the pack has none for it: renamed at this site; the pack's name exactly; else
 * what stands behind the dot, where that fits one column only ("PO_ID", "X.PO_ID"). */
pst_str pst_ps_stream_canonical(const struct pst_ps_stream *s, pst_str name, const pst_str *all,
                                size_t count);

/* The name that the site's query gives to a column of the pack. */
pst_str pst_ps_stream_site_name(const struct pst_ps_stream *s, pst_str pack_name);

bool pst_ps_stream_has(const struct pst_ps_stream *s, pst_str first_part); /* in scope */
/* The smallest value of the scope above `value`; false when there is none. */
bool pst_ps_stream_next_scope(const struct pst_ps_stream *s, pst_str value, pst_str *out);

int pst_ps_key_cmp(const struct pst_ps_stream *s, const struct pst_ps_key *a,
                   const struct pst_ps_key *b, size_t parts);

#endif
