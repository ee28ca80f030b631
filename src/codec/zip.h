/* codec/zip.h: zstd, with an optional dictionary, for the kept source rows.
 *
 * A struct pst_zip holds the working memory of one thread and is used over and over; a
 * struct pst_zip_dict is prepared once and then only read, by any number of threads.
 */
#ifndef PST_CODEC_ZIP_H
#define PST_CODEC_ZIP_H

#include "base/buf.h"

struct pst_zip;
struct pst_zip_dict;

/* level 1..19. Errors: NO_MEMORY. Released with pst_zip_free(). One thread at a time. */
pst_code pst_zip_new(struct pst_zip **out, int level, struct pst_err *err);
void pst_zip_free(struct pst_zip *z);
PST_DEFINE_AUTO(zip, struct pst_zip, pst_zip_free);

/* bytes: what pst_zip_train() gave (copied). level as for pst_zip_new. Errors: INVALID (not a
 * dictionary), NO_MEMORY. */
pst_code pst_zip_dict_new(struct pst_zip_dict **out, pst_str bytes, int level, struct pst_err *err);
void pst_zip_dict_free(struct pst_zip_dict *d);
PST_DEFINE_AUTO(zip_dict, struct pst_zip_dict, pst_zip_dict_free);
uint32_t pst_zip_dict_id(const struct pst_zip_dict *d); /* never 0 */

/* The id of the dictionary that a frame needs; 0 for none, or for what is no frame. */
uint32_t pst_zip_frame_dict_id(pst_str frame);

/* Append the frame of `bytes` to out. dict may be NULL. Errors: LIMIT (out's maximum),
 * NO_MEMORY. */
pst_code pst_zip_compress(struct pst_zip *z, const struct pst_zip_dict *dict, pst_str bytes,
                          struct pst_buf *out, struct pst_err *err);

/* Append what the one frame holds to out; dict must be the one it was made with (NULL for
 * none). Frames that do not say their size, or say more than max_bytes, are refused before any
 * work. Errors: CORRUPT, LIMIT, NO_MEMORY. */
pst_code pst_zip_decompress(struct pst_zip *z, const struct pst_zip_dict *dict, pst_str frame,
                            size_t max_bytes, struct pst_buf *out, struct pst_err *err);

/* Append a dictionary of at most max_bytes (at least 1024) made from `count` samples to out.
 * Errors: INVALID (too few or too uniform samples to gain from one), NO_MEMORY, LIMIT. */
pst_code pst_zip_train(const pst_str *samples, size_t count, size_t max_bytes, struct pst_buf *out,
                       struct pst_err *err);

#endif
