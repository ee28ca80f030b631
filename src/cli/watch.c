/* cli/watch.c: asks for the sync again and again and draws what changed. */
#include "cli/watch.h"

#include <unistd.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "os/clock.h"
#include "os/service.h"

enum {
    LOOK_MS = 200,
    PLAIN_MS = 5000, /* between lines where there is no terminal */
    BAR_CELLS = 20,
    BAR_CELLS_MIN = 4,
    BAR_FRAME = 3, /* two brackets and a space */
    STREAMS_MAX = 64,
    LOOK_BYTES = 16 << 20,
};

struct watch {
    struct pst_cli *cli;
    pst_str connection_id;
    pst_str sync_id;
    struct pst_reply reply;
    bool told[STREAMS_MAX]; /* streams whose end was printed */
    pst_mono started;
    pst_mono last_plain;
    int64_t first_read; /* documents at the first look, for the rate */
    bool has_first;
};

static pst_code look(struct watch *w, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, w->connection_id);
    pst_target_add(&target, PST_STR("syncs"));
    pst_target_add(&target, w->sync_id);
    return pst_client_get(w->cli, &target, &w->reply, err);
}

static void add_counts(struct pst_buf *b, yyjson_val *counts)
{
    static const struct {
        const char *path;
        const char *word;
        bool always;
    } parts[] = {
        {"read", "read", true},
        {"created", "created", false},
        {"updated", "updated", false},
        {"deleted", "deleted", false},
        {"unchanged", "unchanged", false},
        {"rejected", "rejected", false},
    };
    bool is_first = true;
    for (size_t i = 0; i < PST_COUNT(parts); i++) {
        int64_t n = pst_value_i64(counts, parts[i].path);
        if (n == 0 && !parts[i].always)
            continue;
        if (!is_first)
            pst_buf_add_lit(b, ", ");
        is_first = false;
        pst_format_count(b, n);
        pst_buf_addf(b, " %s", parts[i].word);
    }
}

/* One line for each entity that has ended since the last look. */
static void tell_ended(struct watch *w)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *stream = NULL;
    yyjson_arr_foreach(pst_value_at(w->reply.root, "entities"), i, n, stream)
    {
        pst_str status = pst_value_str(stream, "status");
        bool ended = pst_str_eq(status, PST_STR("completed")) ||
                     pst_str_eq(status, PST_STR("failed")) ||
                     pst_str_eq(status, PST_STR("cancelled"));
        if (i >= STREAMS_MAX || w->told[i] || !ended)
            continue;
        w->told[i] = true;
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 4096);
        pst_buf_addf(&b, "  %-20.*s ", PST_STR_ARG(pst_value_str(stream, "entity")));
        add_counts(&b, pst_value_at(stream, "counts"));
        if (!pst_str_eq(status, PST_STR("completed"))) {
            pst_buf_addf(&b, "; %.*s: ", PST_STR_ARG(status));
            pst_terminal_clean(&b, pst_value_str(stream, "error.message"), 300);
        }
        pst_buf_add_char(&b, '\n');
        pst_terminal_line(PST_STR(""));
        pst_terminal_note(pst_buf_str(&b));
    }
}

static void count_streams(yyjson_val *streams, size_t *ended, size_t *all)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *stream = NULL;
    *ended = 0;
    yyjson_arr_foreach(streams, i, n, stream)
    {
        pst_str status = pst_value_str(stream, "status");
        *ended += !pst_str_eq(status, PST_STR("queued")) && !pst_str_eq(status, PST_STR("running"));
    }
    *all = n;
}

/* Records, rate and time: "2/4 purchase_orders  12,345 records  8,120/s  12 s" */
static void add_figures(struct watch *w, struct pst_buf *b, size_t ended, size_t all)
{
    yyjson_val *root = w->reply.root;
    pst_str entity = pst_value_str(root, "progress.entity");
    pst_str resumes = pst_value_str(root, "resumes_at"); /* "2026-11-28T18:56:57Z" */
    int64_t elapsed = pst_mono_ms_until(w->started, pst_mono_now());
    int64_t records = pst_value_i64(root, "progress.records");
    int64_t rate = pst_value_i64(root, "progress.records_per_second");
    if (records == 0)
        records = pst_value_i64(root, "counts.read");
    if (!w->has_first) {
        w->first_read = records;
        w->has_first = true;
    }
    if (rate == 0 && elapsed > 0)
        rate = (records - w->first_read) * 1000 / elapsed;
    pst_buf_addf(b, "%zu/%zu ", ended < all ? ended + 1 : all, all);
    if (resumes.len > 0)
        pst_buf_addf(b, "the system is busy, goes on at %.*s UTC",
                     PST_STR_ARG(pst_str_sub(resumes, 11, 8)));
    else
        pst_buf_add_str(b, entity.len > 0 ? entity : pst_value_str(root, "status"));
    pst_buf_add_lit(b, "  ");
    pst_format_count(b, records);
    pst_buf_add_lit(b, " records  ");
    pst_format_count(b, rate < 0 ? 0 : rate);
    pst_buf_add_lit(b, "/s  ");
    pst_format_span(b, elapsed);
}

/* "[#####...............] " and the figures. Where the line is narrow the bar shrinks and then
 * goes: the figures say more. */
static void add_progress(struct watch *w, struct pst_buf *b)
{
    size_t ended = 0;
    size_t all = 0;
    size_t width = pst_terminal_width() - 1; /* the last column would wrap */
    PST_AUTO(buf) struct pst_buf figures = {0};
    pst_buf_init(&figures, 1024);
    count_streams(pst_value_at(w->reply.root, "entities"), &ended, &all);
    add_figures(w, &figures, ended, all);
    size_t room = width > figures.len + BAR_FRAME ? width - figures.len - BAR_FRAME : 0;
    size_t bar = room < BAR_CELLS ? room : BAR_CELLS;
    size_t cells = all > 0 ? ended * bar / all : 0;
    if (bar >= BAR_CELLS_MIN) {
        pst_buf_add_char(b, '[');
        for (size_t i = 0; i < bar; i++)
            pst_buf_add_char(b, i < cells ? '#' : '.');
        pst_buf_add_lit(b, "] ");
    }
    pst_buf_add_str(b, pst_buf_str(&figures));
}

static void draw(struct watch *w)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_mono now = pst_mono_now();
    pst_buf_init(&b, 4096);
    if (pst_terminal_err()) {
        add_progress(w, &b);
        pst_terminal_line(pst_buf_str(&b));
    } else if (pst_mono_ms_until(w->last_plain, now) >= PLAIN_MS) {
        w->last_plain = now;
        add_progress(w, &b);
        pst_buf_add_char(&b, '\n');
        pst_terminal_note(pst_buf_str(&b));
    }
}

static pst_code finish(struct watch *w, struct pst_err *err)
{
    yyjson_val *root = w->reply.root;
    pst_str status = pst_value_str(root, "status");
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 4096);
    pst_terminal_line(PST_STR(""));
    if (w->cli->json) {
        pst_print_json(w->reply.text);
    } else {
        pst_buf_addf(&b, "%.*s: ", PST_STR_ARG(status));
        add_counts(&b, pst_value_at(root, "counts"));
        pst_buf_add_lit(&b, " in ");
        pst_format_span(&b, pst_mono_ms_until(w->started, pst_mono_now()));
        pst_buf_add_char(&b, '\n');
        pst_terminal_print(pst_buf_str(&b));
    }
    if (pst_str_eq(status, PST_STR("completed")))
        return PST_OK;
    if (pst_str_eq(status, PST_STR("cancelled")))
        return PST_FAIL(err, PST_E_CANCELLED, "the sync was cancelled; what it committed stays");
    char code[64] = "";
    (void)pst_str_copy(code, sizeof(code), pst_value_str(root, "error.code"));
    return PST_FAIL(err, pst_code_from_name(code), "%.*s",
                    PST_STR_ARG(pst_value_str(root, "error.message")));
}

static pst_code follow(struct watch *w, int signals, struct pst_err *err)
{
    for (;;) {
        pst_arena_reset(w->cli->arena);
        PST_TRY(look(w, err));
        pst_str status = pst_value_str(w->reply.root, "status");
        if (!w->cli->json)
            tell_ended(w);
        if (!pst_str_eq(status, PST_STR("queued")) && !pst_str_eq(status, PST_STR("running")))
            return finish(w, err);
        if (!w->cli->json)
            draw(w);
        if (pst_service_wait_signal(signals, LOOK_MS) == PST_SIGNAL_STOP) {
            pst_terminal_line(PST_STR(""));
            return PST_FAIL(err, PST_E_CANCELLED,
                            "the sync goes on; see it again: penstock sync %.*s --watch",
                            PST_STR_ARG(w->connection_id));
        }
    }
}

pst_code pst_watch_sync(struct pst_cli *cli, pst_str connection_id, pst_str sync_id,
                        struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *looks = NULL;
    struct pst_arena *kept = cli->arena;
    int signals = -1;
    struct watch w = {
        .cli = cli, .connection_id = connection_id, .sync_id = sync_id, .started = pst_mono_now()};
    w.last_plain = w.started;
    PST_TRY(pst_arena_new(&looks, LOOK_BYTES, err));
    PST_TRY(pst_service_signals(&signals, err));
    cli->arena = looks; /* each look's answer goes before the next one */
    pst_code rc = follow(&w, signals, err);
    cli->arena = kept;
    (void)close(signals);
    return rc;
}
