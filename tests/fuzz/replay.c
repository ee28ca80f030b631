/* tests/fuzz/replay.c: runs a target once over every file of the folders and files given, so that
 * what was once found stays found.
 *
 *     fuzz_cron tests/fuzz/corpus/cron
 */
#include <dirent.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "tests/fuzz/fuzz.h"

static size_t replayed;

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        perror(path);
        exit(1);
    }
    size_t size = (size_t)st.st_size;
    char *bytes = pst_malloc(size ? size : 1);
    if (!bytes || fread(bytes, 1, size, f) != size) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    (void)fclose(f);
    pst_fuzz((pst_str){bytes, size});
    pst_free(bytes);
    replayed++;
}

static void replay(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        replay_file(path);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        replay(name);
    }
    (void)closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    (void)printf("%zu inputs replayed\n", replayed);
    return replayed ? 0 : 1;
}
