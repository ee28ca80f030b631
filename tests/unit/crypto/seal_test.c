/* Sealed secrets: they open in their own place with their own key, and nowhere else. */
#include "tests/unit/test.h"

#include "crypto/crypto.h"

struct world {
    struct pst_arena *arena;
    struct pst_key *key;
    struct pst_key *other;
};

static const struct pst_seal_place place = {
    .organization_id = PST_STR_INIT("org_1"),
    .row_id = PST_STR_INIT("conn_1"),
    .field = PST_STR_INIT("password"),
};

static int set_up(void **state)
{
    static struct world w;
    struct pst_err err;
    w = (struct world){0};
    *state = &w;
    return pst_arena_new(&w.arena, 8 << 20, &err) != PST_OK ||
           pst_key_generate(&w.key, &err) != PST_OK || pst_key_generate(&w.other, &err) != PST_OK;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    pst_arena_free(w->arena);
    pst_key_free(w->key);
    pst_key_free(w->other);
    return 0;
}

static void a_sealed_secret_opens_again(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    static const pst_str plains[] = {PST_STR_INIT(""), PST_STR_INIT("x"),
                                     PST_STR_INIT("p\0w with \xff bytes")};
    for (size_t i = 0; i < PST_COUNT(plains); i++) {
        PST_AUTO(secret) struct pst_secret *opened = NULL;
        pst_str sealed = {0};
        char id[PST_KEY_ID_TEXT];
        assert_ok(pst_seal(w->arena, &sealed, w->key, &place, plains[i], &err));
        assert_int_equal(sealed.len, plains[i].len + PST_SEAL_OVERHEAD);
        assert_true(pst_seal_key_id(id, sealed));
        assert_string_equal(id, pst_key_id(w->key));
        assert_ok(pst_unseal(&opened, w->key, &place, sealed, &err));
        assert_true(pst_str_eq(pst_secret_expose(opened), plains[i]));
    }
}

static void the_same_secret_never_looks_the_same_twice(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str a = {0};
    pst_str b = {0};
    assert_ok(pst_seal(w->arena, &a, w->key, &place, PST_STR("same"), &err));
    assert_ok(pst_seal(w->arena, &b, w->key, &place, PST_STR("same"), &err));
    assert_false(pst_str_eq(a, b));
}

static void it_opens_in_no_other_place(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    const struct pst_seal_place others[] = {
        {PST_STR("org_2"), place.row_id, place.field},
        {place.organization_id, PST_STR("conn_2"), place.field},
        {place.organization_id, place.row_id, PST_STR("user")},
        {PST_STR("org_1c"), PST_STR("onn_1"), place.field}, /* a shifted border */
        {PST_STR(""), PST_STR(""), PST_STR("")},
    };
    pst_str sealed = {0};
    struct pst_secret *opened = NULL;
    assert_ok(pst_seal(w->arena, &sealed, w->key, &place, PST_STR("secret"), &err));
    for (size_t i = 0; i < PST_COUNT(others); i++)
        assert_code(pst_unseal(&opened, w->key, &others[i], sealed, &err), PST_E_CORRUPT);
    assert_null(opened);
}

static void another_key_is_told_by_its_id(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str sealed = {0};
    struct pst_secret *opened = NULL;
    assert_ok(pst_seal(w->arena, &sealed, w->key, &place, PST_STR("secret"), &err));
    assert_code(pst_unseal(&opened, w->other, &place, sealed, &err), PST_E_CORRUPT);
    assert_non_null(strstr(err.msg, pst_key_id(w->key)));
    assert_non_null(strstr(err.msg, pst_key_id(w->other)));
}

static void every_flipped_bit_is_refused(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str sealed = {0};
    pst_str copy = {0};
    struct pst_secret *opened = NULL;
    assert_ok(
        pst_seal(w->arena, &sealed, w->key, &place, PST_STR("a secret of some length"), &err));
    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        assert_ok(pst_arena_dup(w->arena, &copy, sealed, &err));
        ((char *)(uintptr_t)copy.ptr)[bit / 8] ^= (char)(1U << bit % 8);
        assert_code(pst_unseal(&opened, w->key, &place, copy, &err), PST_E_CORRUPT);
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_code(pst_unseal(&opened, w->key, &place, pst_str_sub(sealed, 0, len), &err),
                    PST_E_CORRUPT);
}

static void a_secret_above_the_limit_is_refused(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str sealed = {0};
    char *big = pst_malloc(PST_SECRET_MAX + 1);
    assert_non_null(big);
    memset(big, 'b', PST_SECRET_MAX + 1);
    assert_ok(pst_seal(w->arena, &sealed, w->key, &place, (pst_str){big, PST_SECRET_MAX}, &err));
    assert_code(
        pst_seal(w->arena, &sealed, w->key, &place, (pst_str){big, PST_SECRET_MAX + 1}, &err),
        PST_E_LIMIT);
    pst_free(big);
}

static void resealing_moves_a_secret_to_another_key(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str sealed = {0};
    pst_str moved = {0};
    PST_AUTO(secret) struct pst_secret *opened = NULL;
    struct pst_secret *none = NULL;
    assert_ok(pst_seal(w->arena, &sealed, w->key, &place, PST_STR("secret"), &err));
    assert_ok(pst_reseal(w->arena, &moved, w->key, w->other, &place, sealed, &err));
    assert_code(pst_unseal(&none, w->key, &place, moved, &err), PST_E_CORRUPT);
    assert_code(pst_reseal(w->arena, &moved, w->key, w->other, &place, moved, &err), PST_E_CORRUPT);
    assert_ok(pst_unseal(&opened, w->other, &place, moved, &err));
    assert_str(pst_secret_expose(opened), "secret");
}

static void a_data_key_survives_the_rotation_of_the_root_key(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(key) struct pst_key *data = NULL;
    PST_AUTO(key) struct pst_key *back = NULL;
    struct pst_key *none = NULL;
    pst_str wrapped = {0};
    pst_str rewrapped = {0};
    assert_ok(pst_key_generate(&data, &err));
    assert_ok(pst_key_wrap(w->arena, &wrapped, w->key, data, PST_STR("org_1"), &err));
    assert_ok(
        pst_key_rewrap(w->arena, &rewrapped, w->key, w->other, wrapped, PST_STR("org_1"), &err));
    assert_code(pst_key_unwrap(&none, w->key, rewrapped, PST_STR("org_1"), &err), PST_E_CORRUPT);
    assert_code(pst_key_unwrap(&none, w->other, rewrapped, PST_STR("org_2"), &err), PST_E_CORRUPT);
    assert_ok(pst_key_unwrap(&back, w->other, rewrapped, PST_STR("org_1"), &err));
    assert_string_equal(pst_key_id(back), pst_key_id(data));
}

static void a_sealed_text_of_another_size_is_no_data_key(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    const struct pst_seal_place key_place = {PST_STR("org_1"), PST_STR("data_key"), PST_STR("key")};
    struct pst_key *none = NULL;
    pst_str wrapped = {0};
    assert_ok(pst_seal(w->arena, &wrapped, w->key, &key_place,
                       PST_STR("31 bytes, one too few for a key"), &err));
    assert_code(pst_key_unwrap(&none, w->key, wrapped, PST_STR("org_1"), &err), PST_E_CORRUPT);
    assert_null(none);
}

static void a_canary_with_another_text_is_damage(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    const struct pst_seal_place canary_place = {PST_STR(""), PST_STR("canary"),
                                                PST_STR("root_key")};
    pst_str canary = {0};
    assert_ok(
        pst_seal(w->arena, &canary, w->key, &canary_place, PST_STR("penstock canary 2"), &err));
    assert_code(pst_canary_check(w->key, canary, &err), PST_E_CORRUPT);
}

static pst_code seal_everything(const struct world *w, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(secret) struct pst_secret *opened = NULL;
    PST_AUTO(secret) struct pst_secret *text = NULL;
    PST_AUTO(key) struct pst_key *key = NULL;
    struct pst_token token;
    pst_str sealed = {0};
    pst_str moved = {0};
    PST_TRY(pst_arena_new(&a, 1 << 20, err));
    PST_TRY(pst_seal(a, &sealed, w->key, &place, PST_STR("secret"), err));
    PST_TRY(pst_unseal(&opened, w->key, &place, sealed, err));
    PST_TRY(pst_reseal(a, &moved, w->key, w->other, &place, sealed, err));
    PST_TRY(pst_key_wrap(a, &sealed, w->key, w->other, PST_STR("org_1"), err));
    PST_TRY(pst_key_unwrap(&key, w->key, sealed, PST_STR("org_1"), err));
    PST_TRY(pst_canary_make(a, &sealed, w->key, err));
    PST_TRY(pst_canary_check(w->key, sealed, err));
    return pst_token_new(PST_TOKEN_API_KEY, &token, &text, err);
}

static void sealing_survives_every_allocation_fault(void **state)
{
    struct world *w = *state;
    int64_t live = pst_alloc_live();
    int passes = 0;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        pst_code rc = seal_everything(w, &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        passes++;
    }
    assert_true(passes > 7);
    assert_int_equal(pst_alloc_live(), live);
}

static void the_canary_tells_a_wrong_key_from_damage(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str canary = {0};
    assert_ok(pst_canary_make(w->arena, &canary, w->key, &err));
    assert_ok(pst_canary_check(w->key, canary, &err));
    assert_code(pst_canary_check(w->other, canary, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "wrong root key"));
    ((char *)(uintptr_t)canary.ptr)[canary.len - 1] ^= 1;
    assert_code(pst_canary_check(w->key, canary, &err), PST_E_CORRUPT);
    assert_code(pst_canary_check(w->key, PST_STR("nonsense"), &err), PST_E_CORRUPT);
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_sealed_secret_opens_again),
        TEST(the_same_secret_never_looks_the_same_twice),
        TEST(it_opens_in_no_other_place),
        TEST(another_key_is_told_by_its_id),
        TEST(every_flipped_bit_is_refused),
        TEST(a_secret_above_the_limit_is_refused),
        TEST(resealing_moves_a_secret_to_another_key),
        TEST(a_data_key_survives_the_rotation_of_the_root_key),
        TEST(a_sealed_text_of_another_size_is_no_data_key),
        TEST(a_canary_with_another_text_is_damage),
        TEST(sealing_survives_every_allocation_fault),
        TEST(the_canary_tells_a_wrong_key_from_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
