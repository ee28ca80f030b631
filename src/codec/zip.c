/* codec/zip.c: zstd contexts and dictionaries. */
#include "codec/zip.h"

#include <zdict.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"

struct pst_zip {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
    int level;
};

struct pst_zip_dict {
    ZSTD_CDict *compress;
    ZSTD_DDict *decompress;
    uint32_t id;
};

pst_code pst_zip_new(struct pst_zip **out, int level, struct pst_err *err)
{
    struct pst_zip *z = NULL;
    PST_TRY(pst_new((void **)&z, sizeof(*z), err));
    z->level = level;
    z->compress = ZSTD_createCCtx();
    z->decompress = ZSTD_createDCtx();
    if (!z->compress || !z->decompress) {
        pst_zip_free(z);
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for compression");
    }
    *out = z;
    return PST_OK;
}

void pst_zip_free(struct pst_zip *z)
{
    if (!z)
        return;
    (void)ZSTD_freeCCtx(z->compress);
    (void)ZSTD_freeDCtx(z->decompress);
    pst_free(z);
}

pst_code pst_zip_dict_new(struct pst_zip_dict **out, pst_str bytes, int level, struct pst_err *err)
{
    struct pst_zip_dict *d = NULL;
    uint32_t id = ZDICT_getDictID(bytes.ptr, bytes.len);
    if (id == 0)
        return PST_FAIL(err, PST_E_INVALID, "not a compression dictionary");
    PST_TRY(pst_new((void **)&d, sizeof(*d), err));
    d->id = id;
    d->compress = ZSTD_createCDict(bytes.ptr, bytes.len, level);
    d->decompress = ZSTD_createDDict(bytes.ptr, bytes.len);
    if (!d->compress || !d->decompress) {
        pst_zip_dict_free(d);
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a compression dictionary");
    }
    *out = d;
    return PST_OK;
}

void pst_zip_dict_free(struct pst_zip_dict *d)
{
    if (!d)
        return;
    (void)ZSTD_freeCDict(d->compress);
    (void)ZSTD_freeDDict(d->decompress);
    pst_free(d);
}

uint32_t pst_zip_dict_id(const struct pst_zip_dict *d)
{
    return d->id;
}

uint32_t pst_zip_frame_dict_id(pst_str frame)
{
    return ZSTD_getDictID_fromFrame(frame.ptr, frame.len);
}

pst_code pst_zip_compress(struct pst_zip *z, const struct pst_zip_dict *dict, pst_str bytes,
                          struct pst_buf *out, struct pst_err *err)
{
    size_t bound = ZSTD_compressBound(bytes.len);
    /* Near the buffer's maximum the bound would refuse what fits when it is compressed. */
    size_t room = bound < out->max - out->len ? bound : out->max - out->len;
    if (!pst_buf_reserve(out, room))
        return pst_buf_check(out, err);
    size_t n = dict ? ZSTD_compress_usingCDict(z->compress, out->ptr + out->len, room, bytes.ptr,
                                               bytes.len, dict->compress)
                    : ZSTD_compressCCtx(z->compress, out->ptr + out->len, room, bytes.ptr,
                                        bytes.len, z->level);
    if (ZSTD_isError(n))
        return ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall
                   ? PST_FAIL(err, PST_E_LIMIT, "more than %zu bytes when compressed", out->max)
                   : PST_FAIL(err, PST_E_NO_MEMORY, "compressing: %s", ZSTD_getErrorName(n));
    out->len += n;
    out->ptr[out->len] = '\0';
    return PST_OK;
}

pst_code pst_zip_decompress(struct pst_zip *z, const struct pst_zip_dict *dict, pst_str frame,
                            size_t max_bytes, struct pst_buf *out, struct pst_err *err)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame.ptr, frame.len);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR)
        return PST_FAIL(err, PST_E_CORRUPT, "not a compressed frame that says its size");
    if (size > max_bytes)
        return PST_FAIL(err, PST_E_LIMIT, "more than %zu bytes when decompressed", max_bytes);
    if (pst_zip_frame_dict_id(frame) != (dict ? dict->id : 0))
        return PST_FAIL(err, PST_E_CORRUPT, "compressed with another dictionary");
    if (!pst_buf_reserve(out, (size_t)size))
        return pst_buf_check(out, err);
    size_t n = dict ? ZSTD_decompress_usingDDict(z->decompress, out->ptr + out->len, (size_t)size,
                                                 frame.ptr, frame.len, dict->decompress)
                    : ZSTD_decompressDCtx(z->decompress, out->ptr + out->len, (size_t)size,
                                          frame.ptr, frame.len);
    if (ZSTD_isError(n))
        return PST_FAIL(err, PST_E_CORRUPT, "a damaged compressed frame");
    out->len += n;
    out->ptr[out->len] = '\0';
    return PST_OK;
}

pst_code pst_zip_train(const pst_str *samples, size_t count, size_t max_bytes, struct pst_buf *out,
                       struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf all = {0};
    pst_buf_init(&all, SIZE_MAX / 4);
    size_t *sizes = pst_calloc(count, sizeof(*sizes));
    if (!sizes)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory to train a dictionary");
    for (size_t i = 0; i < count; i++) {
        pst_buf_add_str(&all, samples[i]);
        sizes[i] = samples[i].len;
    }
    pst_code rc = pst_buf_check(&all, err);
    if (rc == PST_OK && !pst_buf_reserve(out, max_bytes))
        rc = pst_buf_check(out, err);
    if (rc == PST_OK) {
        size_t n = ZDICT_trainFromBuffer(out->ptr + out->len, max_bytes, all.ptr ? all.ptr : "",
                                         sizes, (unsigned)count);
        if (ZDICT_isError(n)) {
            out->ptr[out->len] = '\0';
            rc = PST_FAIL(err, PST_E_INVALID, "no dictionary can be made of these samples: %s",
                          ZDICT_getErrorName(n));
        } else {
            out->len += n;
            out->ptr[out->len] = '\0';
        }
    }
    pst_free(sizes);
    return rc;
}
