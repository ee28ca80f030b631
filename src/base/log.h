/* base/log.h: structured log, one JSON object a line, to an injected sink.
 *
 *   PST_LOG(PST_LOG_INFO, "sync completed", PST_F_ID("sync_id", &id), PST_F_INT("rows", n));
 *
 * Every line has ts, level and msg; then the given fields. Never pass a credential or a source
 * row. Who handles an error finally logs it, once; modules below `app` log at debug only.
 *
 * Thread-safety: pst_log_init once, before threads start; PST_LOG from any thread (a line is
 * one write).
 */
#ifndef PST_BASE_LOG_H
#define PST_BASE_LOG_H

#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/str.h"
#include "base/time.h"

enum pst_log_level { PST_LOG_DEBUG, PST_LOG_INFO, PST_LOG_WARN, PST_LOG_ERROR };

struct pst_log_field {
    const char *key; /* NULL ends the list */
    enum { PST_FIELD_STR, PST_FIELD_INT } kind;
    pst_str str;
    int64_t num;
};

#define PST_F_STR(k, s) ((struct pst_log_field){.key = (k), .kind = PST_FIELD_STR, .str = (s)})
#define PST_F_Z(k, z) PST_F_STR((k), pst_str_from(z))
#define PST_F_ID(k, id) PST_F_STR((k), pst_id_str(id))
#define PST_F_INT(k, n)                                                                            \
    ((struct pst_log_field){.key = (k), .kind = PST_FIELD_INT, .num = (int64_t)(n)})

#ifdef __cppcheck__ /* does not know __VA_OPT__ */
#define PST_LOG(level, msg, ...) pst_log_write((level), (msg), NULL)
#else
#define PST_LOG(level, msg, ...)                                                                   \
    pst_log_write((level), (msg), (const struct pst_log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#endif

/* sink gets one line with its newline; now gives the time stamp. Both may be called from any
 * thread. Before pst_log_init nothing is written. */
struct pst_log_sink {
    void (*write)(void *self, const char *line, size_t len);
    pst_wall (*now)(void *self);
    void *self;
};
void pst_log_init(struct pst_log_sink sink, enum pst_log_level lowest);
void pst_log_set_level(enum pst_log_level lowest);
bool pst_log_enabled(enum pst_log_level level);
void pst_log_write(enum pst_log_level level, const char *msg, const struct pst_log_field *fields);

/* The same with `code` and `error` of err, and where it was raised. */
void pst_log_err(enum pst_log_level level, const char *msg, const struct pst_err *err,
                 const struct pst_log_field *fields);

#endif
