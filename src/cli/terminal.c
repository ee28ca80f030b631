/* cli/terminal.c: standard streams, the progress line, passwords without echo. */
#include "cli/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "os/file.h"

enum { PASSWORD_MAX = 1024, SECRET_FILE_MAX = 65536 };

bool pst_terminal_out(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

bool pst_terminal_err(void)
{
    return isatty(STDERR_FILENO) == 1;
}

size_t pst_terminal_width(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col < 40 ? 40 : size.ws_col > 200 ? 200 : size.ws_col;
}

static void write_all(int fd, pst_str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a closed pipe: there is nobody to tell */
        text = pst_str_sub(text, (size_t)n, text.len);
    }
}

void pst_terminal_print(pst_str text)
{
    write_all(STDOUT_FILENO, text);
}

void pst_terminal_note(pst_str text)
{
    write_all(STDERR_FILENO, text);
}

/* Bytes of the UTF-8 character at s[at]. */
static size_t character_len(pst_str s, size_t at)
{
    size_t len = 1;
    while (at + len < s.len && ((unsigned char)s.ptr[at + len] & 0xC0) == 0x80)
        len++;
    return len;
}

static size_t count_characters(pst_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i += character_len(s, i))
        n++;
    return n;
}

/* C0 and C1 control characters and DEL. */
static bool is_control(pst_str s, size_t at)
{
    unsigned char c = (unsigned char)s.ptr[at];
    if (c < 0x20 || c == 0x7F)
        return true;
    return c == 0xC2 && at + 1 < s.len && (unsigned char)s.ptr[at + 1] < 0xA0;
}

void pst_terminal_clean(struct pst_buf *out, pst_str s, size_t max_columns)
{
    bool cut = count_characters(s) > max_columns;
    size_t room = cut && max_columns > 3 ? max_columns - 3 : max_columns;
    size_t len = 0;
    for (size_t i = 0; i < s.len && room > 0; i += len, room--) {
        len = character_len(s, i);
        if (is_control(s, i))
            pst_buf_add_char(out, ' ');
        else
            pst_buf_add(out, s.ptr + i, len);
    }
    if (cut && max_columns > 3)
        pst_buf_add_lit(out, "...");
}

void pst_terminal_line(pst_str text)
{
    if (!pst_terminal_err())
        return;
    PST_AUTO(buf) struct pst_buf line = {0};
    pst_buf_init(&line, 4096);
    pst_buf_add_lit(&line, "\r");
    pst_terminal_clean(&line, text, pst_terminal_width() - 1);
    pst_buf_add_lit(&line, "\x1b[K");
    pst_terminal_note(pst_buf_str(&line));
}

/* One line, without its end, into buf; false when it ended before anything came. */
static bool read_line(int fd, char *buf, size_t cap, size_t *out_len)
{
    size_t len = 0;
    for (;;) {
        char c = 0;
        ssize_t n = read(fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 && len == 0)
            return false;
        if (n <= 0 || c == '\n')
            break;
        if (len == cap)
            return false;
        buf[len++] = c;
    }
    *out_len = len;
    return true;
}

pst_code pst_terminal_password(struct pst_secret **out, const char *prompt, struct pst_err *err)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios before;
    if (fd < 0 || tcgetattr(fd, &before) != 0) {
        if (fd >= 0)
            (void)close(fd);
        return PST_FAIL(err, PST_E_INVALID,
                        "there is no terminal to ask for the password: give it with "
                        "--password-file FILE (- is standard input) or PENSTOCK_PASSWORD");
    }
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    silent.c_lflag |= ECHONL;
    char text[PASSWORD_MAX];
    size_t len = 0;
    /* Silence first: it drops what was typed before, and nothing typed after the prompt may be
     * dropped or shown. */
    (void)tcsetattr(fd, TCSAFLUSH, &silent);
    write_all(fd, pst_str_from(prompt));
    bool ok = read_line(fd, text, sizeof(text), &len);
    (void)tcsetattr(fd, TCSAFLUSH, &before);
    (void)close(fd);
    pst_code rc = !ok || len == 0 ? PST_FAIL(err, PST_E_CANCELLED, "no password was given")
                                  : pst_secret_new(out, (pst_str){text, len}, err);
    pst_wipe(text, sizeof(text));
    return rc;
}

pst_code pst_terminal_secret_file(struct pst_secret **out, const char *path, struct pst_err *err)
{
    char text[SECRET_FILE_MAX];
    size_t len = 0;
    PST_TRY(pst_file_read_into(text, sizeof(text), &len, path, err));
    pst_str rest = {text, len};
    pst_str line = pst_str_split(&rest, '\n');
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    pst_code rc = line.len == 0 ? PST_FAIL(err, PST_E_INVALID, "'%s' is empty", path)
                                : pst_secret_new(out, line, err);
    pst_wipe(text, sizeof(text));
    return rc;
}

bool pst_terminal_confirm(const char *question)
{
    char answer[16];
    size_t len = 0;
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return false;
    write_all(fd, pst_str_from(question));
    write_all(fd, PST_STR(" [y/N] "));
    bool ok = read_line(fd, answer, sizeof(answer), &len);
    (void)close(fd);
    return ok && len > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}
