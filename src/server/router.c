/* server/router.c: matching paths against a table of patterns.
 *
 * Patterns become a tree of segments: literal children first, then one parameter child, then a
 * catch-all. Matching is depth first with that order, so a literal wins over a parameter, and a
 * dead end is left again (/a/{x}/c still matches when /a/b/d exists).
 */
#include "base/alloc.h"
#include "server/server.h"

enum { DEPTH_MAX = 16 };

struct node {
    pst_str literal; /* of the pattern; empty for parameters and the root */
    struct node *first_literal; /* children */
    struct node *param;
    struct node *rest; /* "{name*}" */
    struct node *next; /* sibling among the literals */
    const struct pst_route *routes[PST_METHOD_COUNT];
};

struct pst_router {
    struct node root;
};

static void free_node(struct node *n)
{
    if (!n)
        return;
    for (struct node *c = n->first_literal, *next = NULL; c; c = next) {
        next = c->next;
        free_node(c);
    }
    free_node(n->param);
    free_node(n->rest);
    pst_free(n);
}

void pst_router_free(struct pst_router *router)
{
    if (!router)
        return;
    for (struct node *c = router->root.first_literal, *next = NULL; c; c = next) {
        next = c->next;
        free_node(c);
    }
    free_node(router->root.param);
    free_node(router->root.rest);
    pst_free(router);
}

/* Cut the next segment at '/'; *at is where it begins. false after the last. A '/' at the end
 * is followed by one empty segment. */
static bool next_segment(pst_str text, size_t *at, pst_str *out)
{
    if (*at > text.len)
        return false;
    pst_str left = pst_str_sub(text, *at, text.len);
    *out = pst_str_sub(left, 0, pst_str_index(left, '/'));
    *at += out->len + 1;
    return true;
}

enum segment_kind { LITERAL, PARAM, REST };

static enum segment_kind kind_of(pst_str s)
{
    if (s.len < 3 || s.ptr[0] != '{' || s.ptr[s.len - 1] != '}')
        return LITERAL;
    return s.ptr[s.len - 2] == '*' ? REST : PARAM;
}

/* Name inside "{name}" or "{name*}". */
static pst_str name_of(pst_str s)
{
    return pst_str_sub(s, 1, s.len - (kind_of(s) == REST ? 3 : 2));
}

static pst_code child_for(struct node *n, pst_str segment, struct node **out, struct pst_err *err)
{
    struct node **slot = &n->first_literal;
    switch (kind_of(segment)) {
    case PARAM:
        slot = &n->param;
        break;
    case REST:
        slot = &n->rest;
        break;
    case LITERAL:
        while (*slot && !pst_str_eq((*slot)->literal, segment))
            slot = &(*slot)->next;
        break;
    }
    if (!*slot) {
        void *made = NULL;
        PST_TRY(pst_new(&made, sizeof(struct node), err));
        *slot = made;
        (*slot)->literal = segment;
    }
    *out = *slot;
    return PST_OK;
}

static pst_code add_route(struct pst_router *router, const struct pst_route *route,
                          struct pst_err *err)
{
    pst_str left = pst_str_from(route->pattern);
    if (left.len == 0 || left.ptr[0] != '/' || route->method >= PST_METHOD_COUNT)
        return PST_FAIL(err, PST_E_INVALID, "malformed route '%s'", route->pattern);
    left = pst_str_sub(left, 1, left.len);

    struct node *n = &router->root;
    size_t params = 0;
    size_t depth = 0;
    bool is_rest = false;
    pst_str segment = {NULL, 0};
    for (size_t at = 0; next_segment(left, &at, &segment);) {
        if (is_rest || ++depth > DEPTH_MAX)
            return PST_FAIL(err, PST_E_INVALID, "malformed route '%s'", route->pattern);
        is_rest = kind_of(segment) == REST;
        params += kind_of(segment) != LITERAL;
        PST_TRY(child_for(n, segment, &n, err));
    }

    if (params > PST_ROUTE_PARAMS_MAX)
        return PST_FAIL(err, PST_E_INVALID, "too many parameters in route '%s'", route->pattern);
    if (n->routes[route->method])
        return PST_FAIL(err, PST_E_INVALID, "two routes for %s '%s'",
                        pst_method_name(route->method), route->pattern);
    n->routes[route->method] = route;
    return PST_OK;
}

pst_code pst_router_new(struct pst_router **out, const struct pst_route *routes, size_t count,
                        struct pst_err *err)
{
    void *made = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_router), err));
    PST_AUTO(router) struct pst_router *router = made;
    for (size_t i = 0; i < count; i++)
        PST_TRY(add_route(router, &routes[i], err));
    *out = PST_TAKE(router);
    return PST_OK;
}

struct path {
    pst_str segments[DEPTH_MAX * 2]; /* decoded */
    size_t count;
    pst_str raw; /* without the first '/' */
    size_t offsets[DEPTH_MAX * 2]; /* of each segment in raw */
};

static pst_code split_path(struct path *out, pst_str raw, struct pst_arena *a, struct pst_err *err)
{
    out->raw = pst_str_sub(raw, 1, raw.len);
    out->count = 0;
    pst_str segment = {NULL, 0};
    for (size_t at = 0, begin = 0; next_segment(out->raw, &at, &segment); begin = at) {
        if (out->count == PST_COUNT(out->segments))
            return PST_FAIL(err, PST_E_NOT_FOUND, "there is nothing at this path");
        if (segment.len && memchr(segment.ptr, '%', segment.len))
            PST_TRY(pst_path_decode(a, segment, &segment, err));
        if (pst_str_is(segment, ".") || pst_str_is(segment, ".."))
            return PST_FAIL_AT(err, PST_E_INVALID, "path", "the path has a dot segment");
        out->offsets[out->count] = begin;
        out->segments[out->count++] = segment;
    }
    return PST_OK;
}

struct match {
    const struct path *path;
    enum pst_method method;
    const struct pst_route *route;
    pst_str params[PST_ROUTE_PARAMS_MAX];
    size_t param_count;
    bool takes_rest; /* the last param is raw text over several segments */
    unsigned allowed; /* bit per method of nodes that match the path */
};

static const struct pst_route *route_for(const struct node *n, enum pst_method method)
{
    if (n->routes[method])
        return n->routes[method];
    return method == PST_METHOD_HEAD ? n->routes[PST_METHOD_GET] : NULL;
}

static bool match_end(const struct node *n, struct match *m)
{
    for (unsigned i = 0; i < PST_METHOD_COUNT; i++) {
        if (n->routes[i])
            m->allowed |= 1U << i;
    }
    m->route = route_for(n, m->method);
    return m->route != NULL;
}

/* Depth is bounded by the patterns' (DEPTH_MAX). */
static bool match_node(const struct node *n, size_t at,
                       struct match *m) // NOLINT(misc-no-recursion)
{
    if (at == m->path->count)
        return match_end(n, m);
    pst_str segment = m->path->segments[at];
    for (const struct node *c = n->first_literal; c; c = c->next) {
        if (pst_str_eq(c->literal, segment) && match_node(c, at + 1, m))
            return true;
    }
    size_t params = m->param_count;
    if (n->param && segment.len && params < PST_ROUTE_PARAMS_MAX) {
        m->params[m->param_count++] = segment;
        if (match_node(n->param, at + 1, m))
            return true;
        m->param_count = params;
    }
    if (n->rest && params < PST_ROUTE_PARAMS_MAX) {
        m->params[m->param_count++] =
            pst_str_sub(m->path->raw, m->path->offsets[at], m->path->raw.len);
        if (match_end(n->rest, m)) {
            m->takes_rest = true;
            return true;
        }
        m->param_count = params;
    }
    return false;
}

static pst_code list_allowed(unsigned allowed, struct pst_arena *a, pst_str *out,
                             struct pst_err *err)
{
    char text[64] = "";
    size_t n = 0;
    if (allowed & 1U << PST_METHOD_GET)
        allowed |= 1U << PST_METHOD_HEAD;
    for (int i = 0; i < PST_METHOD_COUNT; i++) {
        if (!(allowed & 1U << i))
            continue;
        int put = snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
                           pst_method_name((enum pst_method)i));
        n += put > 0 ? (size_t)put : 0;
    }
    return pst_arena_dup(a, out, (pst_str){text, n}, err);
}

pst_code pst_router_match(const struct pst_router *router, enum pst_method method, pst_str path,
                          struct pst_arena *a, const struct pst_route **route,
                          pst_str params[PST_ROUTE_PARAMS_MAX], size_t *param_count, pst_str *allow,
                          struct pst_err *err)
{
    struct path split;
    if (path.len == 0 || path.ptr[0] != '/')
        return PST_FAIL_AT(err, PST_E_INVALID, "path", "the path does not begin with '/'");
    PST_TRY(split_path(&split, path, a, err));

    struct match m = {.path = &split, .method = method};
    if (match_node(&router->root, 0, &m)) {
        *route = m.route;
        memcpy(params, m.params, sizeof(m.params));
        *param_count = m.param_count;
        return m.takes_rest ? pst_path_decode(a, m.params[m.param_count - 1],
                                              &params[m.param_count - 1], err)
                            : PST_OK;
    }
    if (m.allowed == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is nothing at this path");
    PST_TRY(list_allowed(m.allowed, a, allow, err));
    return PST_FAIL(err, PST_E_METHOD, "%s is not possible here; allowed: %.*s",
                    pst_method_name(method), PST_STR_ARG(*allow));
}

pst_str pst_request_param(const struct pst_request *req, const char *name)
{
    if (!req->route)
        return (pst_str){NULL, 0};
    pst_str pattern = pst_str_from(req->route->pattern);
    pst_str segment = {NULL, 0};
    size_t index = 0;
    for (size_t at = 0; next_segment(pattern, &at, &segment);) {
        if (kind_of(segment) == LITERAL)
            continue;
        if (index < req->param_count && pst_str_is(name_of(segment), name))
            return req->params[index];
        index++;
    }
    return (pst_str){NULL, 0};
}
