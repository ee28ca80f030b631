/* cli/output.h: JSON values as tables and lists of fields for people.
 *
 * A column names a member by a path ("progress.records"). How a value looks follows from its
 * type: times in UTC without fractions, lists joined by commas, null as "-".
 *
 * Thread-safety: main thread.
 */
#ifndef PST_CLI_OUTPUT_H
#define PST_CLI_OUTPUT_H

#include "cli/command.h"
#include "codec/json.h"

enum pst_column_kind {
    PST_COLUMN_TEXT,
    PST_COLUMN_TIME, /* RFC 3339 -> "2026-11-24 00:08:45Z" */
    PST_COLUMN_AGO, /* RFC 3339 -> "12 s ago", "in 3 min" */
    PST_COLUMN_NUMBER, /* right-aligned, thousands apart */
    PST_COLUMN_YES, /* boolean -> "yes", "no" */
    PST_COLUMN_SCHEDULE, /* {"interval":"15m"} -> "every 15m"; "0 6 * * * Europe/Berlin"; "manual"
                          */
    PST_COLUMN_LIMIT, /* as NUMBER; null is "unlimited", and shown among fields, too */
    PST_COLUMN_CHOICE, /* a list of which an empty one means all of them */
};

struct pst_column {
    const char *title;
    const char *path;
    enum pst_column_kind kind;
    size_t width; /* longer text is cut; 0 = 40 in tables, all of it in fields */
};

/* The value at path, or NULL. */
yyjson_val *pst_value_at(yyjson_val *v, const char *path);
/* Its text as a column shows it. */
void pst_value_text(struct pst_buf *out, yyjson_val *v, enum pst_column_kind kind);
/* The member's text, or "". Borrowed from the document. */
pst_str pst_value_str(yyjson_val *v, const char *path);
int64_t pst_value_i64(yyjson_val *v, const char *path); /* 0 where there is no such number */

/* A table of items; nothing but a note when there are none. */
void pst_print_table(yyjson_val *const *items, size_t count, const struct pst_column *columns,
                     size_t column_count, const char *when_empty);

/* "Title:   value", one line each; members that are absent are left out. */
void pst_print_fields(yyjson_val *v, const struct pst_column *columns, size_t column_count);

/* JSON as it came, with a line end. */
void pst_print_json(pst_str text);

/* All items of a list, as {"data":[...]}. Errors: NO_MEMORY, LIMIT. */
pst_code pst_print_items(yyjson_val *const *items, size_t count, struct pst_err *err);
/* And a member more, unless its JSON is "". */
pst_code pst_print_items_with(yyjson_val *const *items, size_t count, const char *name,
                              pst_str json, struct pst_err *err);

/* Indented, for values that have no columns of their own. */
void pst_print_pretty(yyjson_val *v);

/* printf to standard output; texts from elsewhere only through %.*s of cleaned bytes. */
void pst_printf(const char *fmt, ...) PST_PRINTF(1, 2);
void pst_notef(const char *fmt, ...) PST_PRINTF(1, 2);

/* "1,234,567"; "3 s", "12 min", "4 h". */
void pst_format_count(struct pst_buf *out, int64_t n);
void pst_format_span(struct pst_buf *out, int64_t ms);

#endif
