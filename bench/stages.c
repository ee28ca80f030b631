/* bench/stages.c: what each stage of a page costs, without network, store and other threads.
 *
 *   stages_bench CONNECTION_URL PAGE_FILE ...
 *
 * The files are answers to the purchase order query, in order. Each stage works on all of them
 * several times; CPU of this thread per source row is printed as one JSON object, with the bytes
 * that are kept of a record. The stages:
 *
 *   yyjson     the bytes parsed by yyjson alone: the floor of `read`
 *   read       the adapter's fetch, from the bytes to a page of documents
 *   hash       the hash over the source cells, all that an unchanged document costs
 *   map        documents to unified records
 *   keep       the source rows in the form that is kept, before compression
 *   zip_...    compression of those, at several levels, without and with a dictionary
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/json.h"
#include "codec/tz.h"
#include "codec/zip.h"
#include "connectors/peoplesoft/peoplesoft.h"
#include "crypto/crypto.h"
#include "os/clock.h"
#include "os/file.h"

enum { FILES_MAX = 256, PAGE_ROWS = 2000, DICT_BYTES = 16 << 10, SAMPLE_BYTES = 256 << 10 };

struct bench {
    pst_str files[FILES_MAX];
    size_t count, next; /* next: the one that the next call is answered with */
    int repeats;
    struct pst_manifest *manifest;
    struct pst_connector *connector;
    const struct pst_stream *stream;
    struct pst_tz *tz;
    struct pst_mapping *mapping;
    struct pst_mapper *mapper;
    struct pst_arena *arena; /* of the page at hand */
    struct pst_arena *held; /* the pages that are kept for the later stages */
    struct pst_page *pages;
    uint64_t rows, documents;
    struct pst_buf kept; /* source copies of all documents, one after another */
    struct pst_str *copies; /* each of them */
};

static void stop(const char *what)
{
    (void)fprintf(stderr, "stages_bench: %s\n", what);
    exit(1);
}

#define MUST(expr)                                                                                 \
    do {                                                                                           \
        struct pst_err err = {0};                                                                  \
        if ((expr) != PST_OK)                                                                      \
            stop(err.msg);                                                                         \
    } while (0)

/* ---- answers from files ---- */

static pst_code answer(void *self, const struct pst_http_request *request, struct pst_arena *arena,
                       struct pst_http_response *response, struct pst_err *err)
{
    struct bench *b = self;
    (void)request;
    pst_str file = b->next < b->count ? b->files[b->next] : PST_STR("{\"data\":{\"query\":{}}}");
    b->next++;
    char *body = NULL;
    PST_TRY(pst_arena_bytes(arena, &body, file.len + PST_HTTP_PADDING, err));
    memcpy(body, file.ptr, file.len);
    memset(body + file.len, 0, PST_HTTP_PADDING);
    *response = (struct pst_http_response){
        .status = 200, .content_type = PST_STR("application/json"), .body = {body, file.len}};
    return PST_OK;
}

static pst_code fetch(struct bench *b, struct pst_arena *arena, struct pst_page *page,
                      struct pst_err *err)
{
    const struct pst_connector_ctx ctx = {.call = answer, .self = b, .zone = b->tz};
    const struct pst_fetch what = {.stream = b->stream,
                                   .mode = PST_FETCH_FULL,
                                   .from = PST_WALL_NONE,
                                   .to = PST_WALL_NONE,
                                   .limit = PAGE_ROWS};
    return pst_peoplesoft_ops.fetch(b->connector, &ctx, &what, arena, page, err);
}

/* ---- stages ---- */

static void run_yyjson(struct bench *b)
{
    for (size_t i = 0; i < b->count; i++) {
        yyjson_doc *doc = yyjson_read(b->files[i].ptr, b->files[i].len, YYJSON_READ_NUMBER_AS_RAW);
        if (!doc)
            stop("a file is no JSON");
        yyjson_doc_free(doc);
    }
}

static void run_read(struct bench *b)
{
    for (b->next = 0; b->next < b->count;) {
        struct pst_page page;
        pst_arena_reset(b->arena);
        MUST(fetch(b, b->arena, &page, &err));
    }
}

static void run_hash(struct bench *b)
{
    for (size_t i = 0; i < b->count; i++) {
        MUST(pst_mapper_bind(b->mapper, &b->pages[i].columns, &err));
        for (size_t d = 0; d < b->pages[i].count; d++)
            (void)pst_mapper_source_hash(b->mapper, &b->pages[i].documents[d]);
    }
}

static void run_map(struct bench *b)
{
    for (size_t i = 0; i < b->count; i++) {
        pst_arena_reset(b->arena);
        MUST(pst_mapper_bind(b->mapper, &b->pages[i].columns, &err));
        for (size_t d = 0; d < b->pages[i].count; d++) {
            struct pst_mapped mapped;
            MUST(pst_mapper_apply(b->mapper, &b->pages[i].documents[d], b->arena, &mapped, &err));
            if (mapped.reject.len)
                stop("a document was rejected");
        }
    }
}

static void run_keep(struct bench *b)
{
    size_t n = 0;
    pst_buf_reset(&b->kept);
    for (size_t i = 0; i < b->count; i++) {
        for (size_t d = 0; d < b->pages[i].count; d++) {
            size_t at = b->kept.len;
            pst_source_pack(&b->kept, &b->pages[i].columns, &b->pages[i].documents[d]);
            b->copies[n++] = (pst_str){NULL, b->kept.len - at};
        }
    }
    if (b->kept.fail != PST_OK)
        stop("no memory");
}

/* ---- measuring ---- */

static double us_per_row(const struct bench *b, int64_t from_ns)
{
    return (double)(pst_cpu_thread_ns() - from_ns) / 1e3 / (double)b->rows / b->repeats;
}

static void time_stage(struct bench *b, const char *name, void (*run)(struct bench *))
{
    int64_t from = pst_cpu_thread_ns();
    for (int i = 0; i < b->repeats; i++)
        run(b);
    printf("\"%s\": %.4f, ", name, us_per_row(b, from));
}

static void time_zip(struct bench *b, const char *name, int level, const struct pst_zip_dict *dict)
{
    PST_AUTO(zip) struct pst_zip *zip = NULL;
    PST_AUTO(buf) struct pst_buf out = {0};
    uint64_t bytes = 0;
    MUST(pst_zip_new(&zip, level, &err));
    pst_buf_init(&out, 16 << 20);
    int64_t from = pst_cpu_thread_ns();
    for (int i = 0; i < b->repeats; i++) {
        bytes = 0;
        for (size_t n = 0; n < b->documents; n++) {
            pst_buf_reset(&out);
            MUST(pst_zip_compress(zip, dict, b->copies[n], &out, &err));
            bytes += out.len;
        }
    }
    printf("\"%s_%d\": {\"us_per_row\": %.4f, \"bytes_per_record\": %.1f}, ", name, level,
           us_per_row(b, from), (double)bytes / (double)b->documents);
}

static void time_zips(struct bench *b)
{
    static const int LEVELS[] = {-3, 1, 3, 9};
    PST_AUTO(buf) struct pst_buf dict = {0};
    size_t samples = 0;
    const char *at = b->kept.ptr;
    for (size_t n = 0; n < b->documents; n++) {
        b->copies[n].ptr = at;
        at += b->copies[n].len;
        samples += (size_t)(at - b->kept.ptr) < SAMPLE_BYTES;
    }
    pst_buf_init(&dict, DICT_BYTES);
    MUST(pst_zip_train(b->copies, samples, DICT_BYTES, &dict, &err));
    for (size_t i = 0; i < PST_COUNT(LEVELS); i++) {
        PST_AUTO(zip_dict) struct pst_zip_dict *prepared = NULL;
        MUST(pst_zip_dict_new(&prepared, pst_buf_str(&dict), LEVELS[i], &err));
        time_zip(b, "zip_plain", LEVELS[i], NULL);
        time_zip(b, "zip_dict", LEVELS[i], prepared);
    }
}

/* ---- set-up ---- */

static void open_connector(struct bench *b, const char *url)
{
    char config[512];
    struct pst_arena *arena = b->held;
    yyjson_doc *doc = NULL;
    yyjson_doc *login = NULL;
    (void)snprintf(config, sizeof(config), "{\"base_url\":\"%s\",\"time_zone\":\"UTC\"}", url);
    MUST(pst_json_read(pst_str_from(config), NULL, arena, &doc, &err));
    MUST(pst_json_read(PST_STR("{\"username\":\"PSAPI\",\"password\":\"x\"}"), NULL, arena, &login,
                       &err));
    MUST(pst_manifest_new(&b->manifest, &pst_peoplesoft_ops, &err));
    MUST(pst_peoplesoft_ops.open(&b->connector, b->manifest, yyjson_doc_get_root(doc),
                                 yyjson_doc_get_root(login), &err));
    b->stream = pst_manifest_stream(b->manifest, PST_STR("purchase_orders"));
    MUST(pst_tz_load(&b->tz, NULL, PST_STR("UTC"), &err));
    const struct pst_mapping_options options = {.zone = b->tz,
                                                .record_id = pst_record_id,
                                                .connection_id =
                                                    PST_STR("conn_01h455vb4pex5vsknk084sn02q")};
    MUST(
        pst_mapping_new(&b->mapping, b->stream->entity, b->stream->manifest, NULL, &options, &err));
    MUST(pst_mapper_new(&b->mapper, b->mapping, &err));
}

static void hold_pages(struct bench *b)
{
    MUST(pst_arena_array(b->held, &b->pages, b->count, sizeof(*b->pages), &err));
    for (size_t i = 0; i < b->count; i++) {
        b->next = i;
        MUST(fetch(b, b->held, &b->pages[i], &err));
        b->rows += b->pages[i].rows;
        b->documents += b->pages[i].count;
    }
    MUST(pst_arena_array(b->held, &b->copies, b->documents, sizeof(*b->copies), &err));
}

int main(int argc, char **argv)
{
    struct bench b = {.repeats = 5};
    if (argc < 3 || argc - 2 > FILES_MAX) {
        (void)fprintf(stderr, "usage: stages_bench CONNECTION_URL PAGE_FILE ...\n");
        return 64;
    }
    MUST(pst_crypto_init(&err));
    MUST(pst_arena_new(&b.arena, 1 << 30, &err));
    MUST(pst_arena_new(&b.held, (size_t)4 << 30, &err));
    for (int i = 2; i < argc; i++)
        MUST(pst_file_read(b.held, &b.files[b.count++], argv[i], 64 << 20, &err));
    open_connector(&b, argv[1]);
    hold_pages(&b);
    pst_buf_init(&b.kept, (size_t)1 << 30);
    printf("{");
    time_stage(&b, "yyjson", run_yyjson);
    time_stage(&b, "read", run_read);
    time_stage(&b, "hash", run_hash);
    time_stage(&b, "map", run_map);
    time_stage(&b, "keep", run_keep);
    time_zips(&b);
    printf("\"kept_bytes_per_record\": %.1f, \"rows\": %" PRIu64 ", \"documents\": %" PRIu64 "}\n",
           (double)b.kept.len / (double)b.documents, b.rows, b.documents);
    return 0;
}
