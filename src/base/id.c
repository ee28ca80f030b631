/* base/id.c: Crockford base-32 of 128 bits; the first character carries the top 3 bits. */
#include "base/id.h"

#include "base/num.h"

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Twelve characters of the low 60 bits; shifts by constants, for a loop that can be unrolled. */
static void put_sixty(char *out, uint64_t bits)
{
    for (int i = 0; i < 12; i++)
        out[i] = alphabet[bits >> (55 - 5 * i) & 31];
}

static uint64_t read_eight(const uint8_t *bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | bytes[i];
    return v;
}

struct pst_id pst_id_format(const char *prefix, const uint8_t raw[PST_ID_RAW])
{
    struct pst_id id = {{0}};
    size_t n = 0;
    for (; n < 8 && prefix[n]; n++)
        id.text[n] = prefix[n];
    uint64_t high = read_eight(raw);
    uint64_t low = read_eight(raw + 8);
    id.text[n] = alphabet[high >> 61];
    id.text[n + 1] = alphabet[high >> 56 & 31];
    put_sixty(id.text + n + 2, high << 4 | low >> 60);
    put_sixty(id.text + n + 14, low);
    return id;
}

void pst_id_v7(uint8_t out[PST_ID_RAW], pst_wall now, const uint8_t random[10])
{
    uint64_t ms = now.us > 0 ? (uint64_t)now.us / 1000 : 0;
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)(ms >> (40 - 8 * i));
    memcpy(out + 6, random, 10);
    out[6] = (uint8_t)((out[6] & 0x0F) | 0x70);
    out[8] = (uint8_t)((out[8] & 0x3F) | 0x80);
}

bool pst_id_parse(uint8_t raw[PST_ID_RAW], const char *prefix, pst_str text)
{
    pst_str head = pst_str_from(prefix);
    if (text.len != head.len + PST_ID_BODY || !pst_str_starts(text, head))
        return false;
    pst_u128 v = 0;
    for (size_t i = 0; i < PST_ID_BODY; i++) {
        char c = text.ptr[head.len + i];
        const char *at = c ? strchr(alphabet, c) : NULL;
        if (!at || (i == 0 && at - alphabet > 7))
            return false;
        v = v << 5 | (unsigned)(at - alphabet);
    }
    for (int i = PST_ID_RAW - 1; raw && i >= 0; i--, v >>= 8)
        raw[i] = (uint8_t)v;
    return true;
}
