/* main.c: the program `penstock`; nothing but the way to its command line. */
#include "cli/cli.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    return pst_cli_main(argc, argv, environ);
}
