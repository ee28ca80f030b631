/* base/log.c: builds a line in a fixed buffer, so that logging never allocates. */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>

enum { LINE = 4096, TAIL = 4 };

/* Process-wide by nature; written before threads start (the level may change on reload). */
static struct pst_log_sink log_sink;
static _Atomic int log_lowest = PST_LOG_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void pst_log_init(struct pst_log_sink sink, enum pst_log_level lowest)
{
    log_sink = sink;
    atomic_store(&log_lowest, (int)lowest);
}

void pst_log_set_level(enum pst_log_level lowest)
{
    atomic_store(&log_lowest, (int)lowest);
}

bool pst_log_enabled(enum pst_log_level level)
{
    return log_sink.write && (int)level >= atomic_load_explicit(&log_lowest, memory_order_relaxed);
}

struct line {
    char text[LINE];
    size_t len;
};

static void put(struct line *l, const char *bytes, size_t len)
{
    size_t room = LINE - TAIL - l->len;
    if (len > room)
        len = room;
    memcpy(l->text + l->len, bytes, len);
    l->len += len;
}

/* JSON text; control characters and non-ASCII bytes that could break a line are escaped. */
static void put_text(struct line *l, pst_str s)
{
    put(l, "\"", 1);
    for (size_t i = 0; i < s.len && l->len < LINE - 64; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\') {
            put(l, (char[]){'\\', (char)c}, 2);
        } else if (c < 0x20 || c == 0x7F) {
            char esc[8];
            put(l, esc, (size_t)snprintf(esc, sizeof(esc), "\\u%04x", c));
        } else {
            put(l, (char *)&c, 1);
        }
    }
    put(l, "\"", 1);
}

static void put_key(struct line *l, const char *key)
{
    put(l, ",\"", 2);
    put(l, key, strlen(key));
    put(l, "\":", 2);
}

static void put_fields(struct line *l, const struct pst_log_field *f)
{
    for (; f && f->key; f++) {
        size_t before = l->len;
        put_key(l, f->key);
        if (f->kind == PST_FIELD_INT) {
            char digits[24];
            put(l, digits, (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)f->num));
        } else {
            put_text(l, f->str);
        }
        if (l->len == LINE - TAIL) /* cut in the middle: no JSON any more */
            l->len = before;
    }
}

static void begin(struct line *l, enum pst_log_level level, const char *msg)
{
    char ts[PST_WALL_TEXT];
    l->len = 0;
    size_t n = pst_wall_format(ts, log_sink.now ? log_sink.now(log_sink.self) : PST_WALL_NONE);
    put(l, "{\"ts\":\"", 7);
    put(l, ts, n);
    put(l, "\",\"level\":\"", 11);
    put(l, level_names[level], strlen(level_names[level]));
    put(l, "\"", 1);
    put_key(l, "msg");
    put_text(l, pst_str_from(msg));
}

static void end(struct line *l)
{
    memcpy(l->text + l->len, "}\n", 2);
    log_sink.write(log_sink.self, l->text, l->len + 2);
}

void pst_log_write(enum pst_log_level level, const char *msg, const struct pst_log_field *fields)
{
    struct line l;
    if (!pst_log_enabled(level))
        return;
    begin(&l, level, msg);
    put_fields(&l, fields);
    end(&l);
}

void pst_log_err(enum pst_log_level level, const char *msg, const struct pst_err *err,
                 const struct pst_log_field *fields)
{
    struct line l;
    if (!pst_log_enabled(level))
        return;
    begin(&l, level, msg);
    put_fields(&l, fields);
    put_fields(&l, (const struct pst_log_field[]){
                       PST_F_Z("code", pst_code_name(err->code)),
                       PST_F_Z("error", err->msg),
                       PST_F_Z("file", err->file),
                       PST_F_INT("line", err->line),
                       {0},
                   });
    end(&l);
}
