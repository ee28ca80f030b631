/* tests/unit/model/fixture.h: a page from text, and a mapping from YAML, for the tests of model. */
#ifndef PST_TESTS_UNIT_MODEL_FIXTURE_H
#define PST_TESTS_UNIT_MODEL_FIXTURE_H

#include "codec/tz.h"
#include "model/mapping.h"

enum { FIXTURE_COLUMNS = 64, FIXTURE_ROWS = 32 };

struct fixture_page {
    pst_str names[FIXTURE_COLUMNS];
    struct pst_cell cells[FIXTURE_ROWS * FIXTURE_COLUMNS];
    struct pst_columns columns;
    struct pst_document doc;
};

/* Columns separated by '|'. */
void fixture_columns(struct fixture_page *p, const char *columns);

/* One more row: values separated by '|'. "#12" is a number, "\0" (the two characters) JSON null,
 * "-" an absent cell, all else text. */
void fixture_row(struct fixture_page *p, const char *values);

/* A deterministic stand-in for crypto's record ids: "rec_<entity>:<source_id>", cut to fit. */
struct pst_id fixture_record_id(pst_str connection_id, pst_str entity, pst_str source_id);

/* Mapping of `entity` from the YAML text of a stream and of overrides ("" = none). */
pst_code fixture_mapping(struct pst_mapping **out, const char *entity, const char *stream,
                         const char *overrides, const struct pst_tz *zone, struct pst_err *err);

/* The same for an entity that the model may not have. */
pst_code fixture_mapping_of(struct pst_mapping **out, const struct pst_entity *entity,
                            const char *stream, const char *overrides, const struct pst_tz *zone,
                            struct pst_err *err);

#endif
