/* base/banned.h: unsafe libc functions do not compile. Included by the build before every
 * source of ours (-include). */
#ifndef PST_BASE_BANNED_H
#define PST_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strncpy strcat strncat sprintf vsprintf gets strtok atoi atol atof
#pragma GCC poison gmtime localtime ctime asctime

#endif
