/* bench/scale.c: what one record and one page cost while the store grows.
 *
 *   scale STORE BYTES SIZE...
 *
 * Grows the store to each SIZE and prints, per size and kind of work, "SIZE KIND CPU_US COUNT":
 * microseconds of CPU (both sides of the system call) for one record or page, over COUNT of them.
 * Positions are spread over the whole store by a fixed sequence.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "grow.h"
#include "os/clock.h"

enum {
    PAGE = 100, /* of a list */
    LISTS = 200,
    GETS = 4000,
    STATES = 500, /* asked for at once by a full sync */
    STATE_PAGES = 20,
    UPDATE_RUN = 10, /* neighbours that change together */
    UPDATE_RUNS = 200,
    INSERTS = 20000, /* the last ones before a size is reached */
};

struct bench {
    struct grow *grow;
    struct pst_db_conn *reader;
    struct pst_arena *arena;
    int64_t size;
    int64_t seen; /* rows that readers were given: an empty answer would be cheap */
    int version;
};

static int64_t position(const struct bench *b, int i)
{
    return (int64_t)(grow_mix((uint64_t)i * 7919 + 13) % (uint64_t)b->size);
}

static pst_code take_record(void *self, const struct pst_record_row *row, struct pst_err *err)
{
    (void)err;
    ((struct bench *)self)->seen += row->data.len != 0;
    return PST_OK;
}

static pst_code take_change(void *self, const struct pst_change_row *row, struct pst_err *err)
{
    (void)err;
    ((struct bench *)self)->seen += row->seq != 0;
    return PST_OK;
}

static struct pst_record_query query_of(const struct bench *b)
{
    return (struct pst_record_query){.entity = grow_entity(b->grow),
                                     .connection_pk = grow_connection_pk(b->grow),
                                     .updated_after = PST_WALL_NONE,
                                     .updated_before = PST_WALL_NONE,
                                     .created_after = PST_WALL_NONE,
                                     .created_before = PST_WALL_NONE,
                                     .synced_after = PST_WALL_NONE,
                                     .synced_before = PST_WALL_NONE,
                                     .limit = PAGE};
}

static void list(struct bench *b, const struct pst_record_query *q)
{
    struct pst_record_position last;
    bool more = false;
    MUST(pst_records_list(b->reader, q, take_record, b, &last, &more, &err));
}

/* ---- kinds of work; each does one unit, and says of how many records or pages it was ---- */

static int do_first_page(struct bench *b, int i)
{
    (void)i;
    struct pst_record_query q = query_of(b);
    list(b, &q);
    return 1;
}

static int do_deep_page(struct bench *b, int i)
{
    struct pst_record_query q = query_of(b);
    q.after.first_seq = position(b, i) + 1;
    list(b, &q);
    return 1;
}

static int do_filtered_page(struct bench *b, int i)
{
    char supplier[40];
    struct pst_record_query q = query_of(b);
    grow_supplier(supplier, position(b, i));
    for (size_t f = 0; f < q.entity->filter_count; f++)
        if (strcmp(q.entity->filters[f].field->name, "supplier_id") == 0)
            q.filters[0].filter = &q.entity->filters[f];
    q.filters[0].value =
        (struct pst_filter_value){.kind = PST_FILTER_TEXT, .text = pst_str_from(supplier)};
    q.filter_count = 1;
    q.limit = 10;
    list(b, &q);
    return 1;
}

static int do_get(struct bench *b, int i)
{
    uint8_t id[PST_ID_RAW];
    struct pst_record_row row;
    bool found = false;
    grow_record_id(id, position(b, i));
    pst_arena_reset(b->arena);
    MUST(pst_records_get(b->reader, grow_entity(b->grow), grow_connection_pk(b->grow), id, false,
                         b->arena, &row, &found, &err));
    b->seen += found;
    return 1;
}

static int do_changes(struct bench *b, int i)
{
    int64_t last = 0;
    int64_t newest = 0;
    MUST(pst_changes_list(b->reader, grow_connection_pk(b->grow), position(b, i), 0, PAGE,
                          take_change, b, &last, &newest, &err));
    return 1;
}

static int do_states(struct bench *b, int i)
{
    char key[GROW_KEY];
    struct pst_record_states got;
    bool more = false;
    grow_key(key, position(b, i) * 9 / 10);
    pst_arena_reset(b->arena);
    MUST(pst_records_states(b->reader, grow_entity(b->grow), grow_connection_pk(b->grow),
                            pst_str_from(key), PST_STR(""), STATES, b->arena, &got, &more, &err));
    b->seen += (int64_t)got.count;
    return STATES;
}

static int do_update(struct bench *b, int i)
{
    int64_t first = position(b, i);
    if (first > b->size - UPDATE_RUN)
        first = b->size - UPDATE_RUN;
    grow_update(b->grow, first, UPDATE_RUN, ++b->version);
    b->seen++;
    return UPDATE_RUN;
}

static const struct kind {
    const char *name;
    int (*run)(struct bench *b, int i);
    int times;
} kinds[] = {
    {"unchanged", do_states, STATE_PAGES}, {"update", do_update, UPDATE_RUNS},
    {"first-page", do_first_page, LISTS},  {"deep-page", do_deep_page, LISTS},
    {"filtered", do_filtered_page, LISTS}, {"get", do_get, GETS},
    {"changes", do_changes, LISTS},
};

static void report(const struct bench *b, const char *kind, int64_t cpu_ns, int64_t count)
{
    printf("%" PRId64 " %s %.4f %" PRId64 "\n", b->size, kind, (double)cpu_ns / 1e3 / (double)count,
           count);
    (void)fflush(stdout);
}

static void measure(struct bench *b, const struct kind *kind)
{
    int64_t count = 0;
    b->seen = 0;
    int64_t before = pst_cpu_process_ns();
    for (int i = 0; i < kind->times; i++)
        count += kind->run(b, i);
    int64_t spent = pst_cpu_process_ns() - before;
    if (b->seen < kind->times * 9 / 10) {
        struct pst_err err;
        (void)PST_FAIL(&err, PST_E_INTERNAL, "'%s' found nothing", kind->name);
        grow_stop(&err);
    }
    report(b, kind->name, spent, count);
}

static void grow(struct bench *b, int64_t size)
{
    int64_t measured = size - b->size < INSERTS ? size - b->size : INSERTS;
    grow_to(b->grow, size - measured);
    int64_t before = pst_cpu_process_ns();
    grow_to(b->grow, size);
    b->size = size;
    report(b, "insert", pst_cpu_process_ns() - before, measured);
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    int64_t bytes = 0;
    if (argc < 4 || !pst_parse_i64(&bytes, pst_str_from(argv[2]), 200, 1000000)) {
        (void)fprintf(stderr, "usage: scale STORE BYTES SIZE...\n");
        return 64;
    }
    b.grow = grow_open(argv[1], bytes);
    MUST(pst_arena_new(&b.arena, 16 << 20, &err));
    MUST(pst_db_reader_new(grow_db(b.grow), &b.reader, &err));
    for (int i = 3; i < argc; i++) {
        int64_t size = 0;
        if (!pst_parse_i64(&size, pst_str_from(argv[i]), b.size + 1, 1000000000))
            return 64;
        grow(&b, size);
        for (size_t k = 0; k < PST_COUNT(kinds); k++)
            measure(&b, &kinds[k]);
    }
    pst_db_reader_free(b.reader);
    pst_arena_free(b.arena);
    grow_close(b.grow);
    return 0;
}
