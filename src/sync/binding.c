/* sync/binding.c: compiled mappings and dictionaries, kept between runs of one worker.
 *
 * Compiling a mapping and preparing a dictionary cost more than an incremental run that finds
 * nothing; a worker meets the same connections again and again.
 */
#include "base/alloc.h"
#include "store/dictionaries.h"
#include "sync/internal.h"

#define OVERRIDES_ARENA (4U << 20)
#define DICT_ARENA (1U << 20)
#define DICT_BYTES (16U << 10)

static void clear(struct pst_binding *b)
{
    pst_mapper_free(b->mapper);
    pst_mapping_free(b->mapping);
    pst_zip_dict_free(b->zip_dict);
    *b = (struct pst_binding){0};
}

void pst_bindings_fini(struct pst_bindings *b)
{
    for (size_t i = 0; i < PST_BINDINGS; i++)
        clear(&b->items[i]);
}

static pst_code compile(struct pst_binding *b, const struct pst_connection *connection,
                        const struct pst_stream *stream, const struct pst_mapping_options *opts,
                        struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_TRY(pst_arena_new(&arena, OVERRIDES_ARENA, err));
    yyjson_val *overrides = NULL;
    if (connection->mapping.len > 0) {
        yyjson_doc *doc = NULL;
        PST_TRY(pst_json_read(connection->mapping, NULL, arena, &doc, err));
        overrides = pst_json_get(yyjson_doc_get_root(doc), stream->name);
    }
    PST_TRY(pst_mapping_new(&b->mapping, stream->entity, stream->manifest, overrides, opts, err));
    return pst_mapper_new(&b->mapper, b->mapping, err);
}

pst_code pst_bindings_get(struct pst_bindings *b, const struct pst_connection *connection,
                          const struct pst_stream *stream, const struct pst_mapping_options *opts,
                          struct pst_binding **out, struct pst_err *err)
{
    struct pst_binding *oldest = &b->items[0];
    b->clock++;
    for (size_t i = 0; i < PST_BINDINGS; i++) {
        struct pst_binding *item = &b->items[i];
        bool same = item->connection_pk == connection->pk && item->entity == stream->entity;
        if (same && item->version == connection->version) {
            item->used = b->clock;
            *out = item;
            return PST_OK;
        }
        /* Settings that were replaced are never asked for again. */
        if (same)
            item->used = 0;
        if (item->used < oldest->used)
            oldest = item;
    }
    clear(oldest);
    pst_code rc = compile(oldest, connection, stream, opts, err);
    if (rc != PST_OK) {
        clear(oldest);
        return rc;
    }
    oldest->connection_pk = connection->pk;
    oldest->version = connection->version;
    oldest->entity = stream->entity;
    oldest->used = b->clock;
    *out = oldest;
    return PST_OK;
}

pst_code pst_binding_load_dict(struct pst_binding *b, struct pst_db_conn *reader, int64_t dict,
                               struct pst_err *err)
{
    if (b->dict == dict)
        return PST_OK;
    pst_zip_dict_free(b->zip_dict);
    b->zip_dict = NULL;
    b->dict = 0;
    if (dict == 0)
        return PST_OK;
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_TRY(pst_arena_new(&arena, DICT_ARENA, err));
    pst_str bytes;
    PST_TRY(pst_dictionaries_get(reader, dict, arena, &bytes, err));
    PST_TRY(pst_zip_dict_new(&b->zip_dict, bytes, PST_ZIP_LEVEL, err));
    b->dict = dict;
    return PST_OK;
}

struct dict_job {
    int64_t stream_pk;
    pst_str bytes;
    pst_wall now;
    int64_t id;
};

static pst_code store_dict(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct dict_job *job = arg;
    return pst_dictionaries_add(conn, job->stream_pk, job->bytes, job->now, &job->id, err);
}

pst_code pst_binding_train(struct pst_binding *b, struct pst_run *run, int64_t stream_pk,
                           const pst_str *samples, size_t count, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf bytes = {0};
    struct pst_err local;
    pst_buf_init(&bytes, DICT_BYTES);
    pst_code rc = pst_zip_train(samples, count, DICT_BYTES, &bytes, &local);
    if (rc == PST_E_INVALID || rc == PST_E_LIMIT)
        return PST_OK;
    if (rc != PST_OK) {
        *err = local;
        return rc;
    }
    PST_AUTO(zip_dict) struct pst_zip_dict *dict = NULL;
    PST_TRY(pst_zip_dict_new(&dict, pst_buf_str(&bytes), PST_ZIP_LEVEL, err));
    struct dict_job job = {
        .stream_pk = stream_pk, .bytes = pst_buf_str(&bytes), .now = pst_sync_wall(run->w->e)};
    PST_TRY(pst_run_write(run, store_dict, &job, err));
    pst_zip_dict_free(b->zip_dict);
    b->zip_dict = PST_TAKE(dict);
    b->dict = job.id;
    return PST_OK;
}
