/* bench/post_floor.c: the floor of webhook deliveries: curl posting the same bodies, without a
 * store.
 *
 *   post_floor_bench URL BODIES COUNT CONNECTIONS
 *
 * BODIES is a file with a body per line. Posts COUNT of them, in turn, over so many connections
 * that are kept, on one thread of a curl multi handle: nothing is read from a store, signed, or
 * written down. Prints seconds and CPU seconds as one JSON object.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "os/clock.h"

enum { LINES = 4096, LINE_BYTES = 1 << 16, CONNECTIONS_MAX = 512 };

static struct {
    char *text;
    long length;
} bodies[LINES];
static size_t body_count;

static void read_bodies(const char *path)
{
    static char line[LINE_BYTES];
    FILE *f = fopen(path, "r");
    while (f && body_count < LINES && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        bodies[body_count].length = (long)strlen(line);
        bodies[body_count++].text = strdup(line);
    }
    if (f)
        (void)fclose(f);
    if (body_count == 0) {
        (void)fprintf(stderr, "post_floor_bench: no bodies in %s\n", path);
        exit(1);
    }
}

static size_t ignore(char *data, size_t size, size_t n, void *self)
{
    (void)data;
    (void)self;
    return size * n;
}

/* As many headers, and as long, as a delivery has. */
static struct curl_slist *make_headers(void)
{
    static const char *const lines[] = {
        "Content-Type: application/json",
        "User-Agent: penstock/0.1.0",
        "Accept:",
        "Expect:",
        "webhook-id: evt_01jdf3x8q2e4vb7n5k9m1r6t0w",
        "webhook-timestamp: 1795511700",
        "webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        "penstock-sequence: 12345",
        "penstock-delivery: dlv_01jdf3x8r0n5k9m1r6t0w2e4vb",
        "penstock-attempt: 1",
        "penstock-event-version: 1",
    };
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        list = curl_slist_append(list, lines[i]);
    return list;
}

static void post(CURLM *multi, CURL *easy, int64_t number)
{
    size_t at = (size_t)number % body_count;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, bodies[at].text);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, bodies[at].length);
    (void)curl_multi_add_handle(multi, easy);
}

static int64_t run(CURLM *multi, int64_t count, int64_t begun)
{
    int64_t good = 0;
    int64_t done = 0;
    int running = 0;
    while (done < count) {
        CURLMsg *message;
        int left = 0;
        (void)curl_multi_perform(multi, &running);
        while ((message = curl_multi_info_read(multi, &left))) {
            CURL *easy = message->easy_handle;
            good += message->data.result == CURLE_OK;
            done++;
            (void)curl_multi_remove_handle(multi, easy);
            if (begun < count)
                post(multi, easy, begun++);
        }
        if (done < count)
            (void)curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    return good;
}

int main(int argc, char **argv)
{
    int64_t count = 0;
    int64_t connections = 0;
    CURL *easies[CONNECTIONS_MAX];
    if (argc != 5 || !pst_parse_i64(&count, pst_str_from(argv[3]), 1, 100000000) ||
        !pst_parse_i64(&connections, pst_str_from(argv[4]), 1, CONNECTIONS_MAX)) {
        (void)fprintf(stderr, "usage: post_floor_bench URL BODIES COUNT CONNECTIONS\n");
        return 64;
    }
    read_bodies(argv[2]);
    (void)curl_global_init(CURL_GLOBAL_ALL);
    CURLM *multi = curl_multi_init();
    struct curl_slist *headers = make_headers();
    int64_t from = pst_mono_now().ns;
    int64_t cpu = pst_cpu_thread_ns();
    int64_t begun = 0;
    for (int64_t i = 0; i < connections; i++) {
        CURL *easy = easies[i] = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        if (begun < count)
            post(multi, easy, begun++);
    }
    int64_t good = run(multi, count, begun);
    printf("{\"posted\": %" PRId64 ", \"good\": %" PRId64
           ", \"seconds\": %.4f, \"cpu_seconds\": %.4f}\n",
           count, good, (double)(pst_mono_now().ns - from) / 1e9,
           (double)(pst_cpu_thread_ns() - cpu) / 1e9);
    for (int64_t i = 0; i < connections; i++)
        curl_easy_cleanup(easies[i]);
    (void)curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    return good == count ? 0 : 1;
}
