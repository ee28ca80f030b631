/* tests/fuzz/mapping.c: every converter of the mapping, with any text in any cell. The input's
 * lines are cells, row after row; a first character picks what the cell is. */
#include <yyjson.h>

#include "base/utf8.h"
#include "codec/json.h"
#include "codec/tz.h"
#include "codec/yaml.h"
#include "model/mapping.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 32 << 20, COLUMNS = 16, ROWS = 8 };

static const char stream_yaml[] =
    "display_name: {template: 'PO {A.C0} {A.C1}'}\n"
    "created_at: A.C2\n"
    "fields:\n"
    "  number: {column: A.C0}\n"
    "  business_unit: A.C1\n"
    "  status:\n"
    "    column: A.C3\n"
    "    when:\n"
    "      - {if: {A.C3: [D, Dispatched], A.C4: [R]}, value: received}\n"
    "    map: {D: dispatched, I: draft}\n"
    "  supplier_id: {ref: [A.C5, A.C6]}\n"
    "  order_date: A.C7\n"
    "  currency: A.C9\n"
    "  total_amount: {sum: A.C10}\n"
    "  approved_at: A.C11\n"
    "  lines:\n"
    "    group_by: [B.C12]\n"
    "    fields:\n"
    "      number: B.C12\n"
    "      quantity: B.C13\n"
    "      unit_price: B.C14\n"
    "      description: B.C15\n"
    "      due_date: {min: B.C8}\n";

static const char overrides_yaml[] = "custom_fields:\n"
                                     "  flag: {column: A.C4, type: boolean}\n"
                                     "  count: {column: A.C13, type: integer}\n"
                                     "  amount: {min: A.C14, type: decimal}\n"
                                     "  day: {max: A.C8, type: date}\n"
                                     "  moment: {column: A.C11, type: datetime}\n"
                                     "  text: {column: [A.C4, A.C15], type: string}\n";

static struct pst_tz *zone;
static struct pst_mapping *mapping;

static struct pst_id record_id(pst_str connection_id, pst_str entity, pst_str source_id)
{
    (void)connection_id, (void)entity, (void)source_id;
    return (struct pst_id){"rec_1"};
}

static void make_mapping(void)
{
    struct pst_err err;
    yyjson_doc *doc = NULL;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    FUZZ_OK(pst_tz_load(&zone, NULL, PST_STR("Europe/Berlin"), &err));
    yyjson_doc *over = NULL;
    FUZZ_OK(pst_yaml_read(pst_str_from(stream_yaml), a, &doc, &err));
    FUZZ_OK(pst_yaml_read(pst_str_from(overrides_yaml), a, &over, &err));
    const struct pst_mapping_options options = {
        .zone = zone, .record_id = record_id, .connection_id = PST_STR("conn_1")};
    FUZZ_OK(pst_mapping_new(&mapping, pst_model_entity(PST_STR("purchase_orders")),
                            yyjson_doc_get_root(doc), yyjson_doc_get_root(over), &options, &err));
}

/* As JSON writes numbers. */
static bool is_number(pst_str s)
{
    char copy[64 + YYJSON_PADDING_SIZE] = {0};
    yyjson_val v;
    if (s.len == 0 || s.len > 64)
        return false;
    memcpy(copy, s.ptr, s.len);
    const char *end = yyjson_read_number(copy, &v, YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    return end == copy + s.len;
}

/* What a page promises: text is UTF-8 without NUL, a number is one of JSON. */
static struct pst_cell cell_of(pst_str line)
{
    unsigned kind = fuzz_take(&line);
    bool is_text = pst_utf8_valid(line, NULL) && !(line.len && memchr(line.ptr, 0, line.len));
    if (kind == '-' || !is_text)
        return (struct pst_cell){.kind = PST_CELL_ABSENT};
    if (kind == '0')
        return (struct pst_cell){.kind = PST_CELL_NULL};
    if (kind == '!')
        return (struct pst_cell){line.len & 1 ? PST_STR("true") : PST_STR("false"), PST_CELL_BOOL};
    if (kind == '#' && is_number(line))
        return (struct pst_cell){line, PST_CELL_NUMBER};
    return (struct pst_cell){line, PST_CELL_TEXT};
}

void pst_fuzz(pst_str bytes)
{
    static const char *const names[COLUMNS] = {"A.C0",  "A.C1",  "A.C2",  "A.C3", "A.C4",  "A.C5",
                                               "A.C6",  "A.C7",  "A.C8",  "A.C9", "A.C10", "A.C11",
                                               "B.C12", "B.C13", "B.C14", "B.C15"};
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct pst_cell cells[ROWS * COLUMNS] = {0};
    pst_str columns[COLUMNS];
    if (!mapping)
        make_mapping();
    for (size_t i = 0; i < COLUMNS; i++)
        columns[i] = pst_str_from(names[i]);
    size_t count = 0;
    while (bytes.len && count < PST_COUNT(cells))
        cells[count++] = cell_of(pst_str_split(&bytes, '\n'));
    const struct pst_columns page = {columns, COLUMNS};
    const struct pst_document doc = {.source_id = PST_STR("1"),
                                     .cells = cells,
                                     .row_count = (uint32_t)(1 + count / (COLUMNS + 1))};
    struct pst_mapper *mapper = NULL;
    struct pst_mapped mapped;
    yyjson_doc *json = NULL;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    FUZZ_OK(pst_mapper_new(&mapper, mapping, &err));
    FUZZ_OK(pst_mapper_bind(mapper, &page, &err));
    FUZZ_OK(pst_mapper_apply(mapper, &doc, a, &mapped, &err));
    if (mapped.reject.len == 0)
        FUZZ_OK(pst_json_read(mapped.data, NULL, a, &json, &err));
    pst_mapper_free(mapper);
}
