/* peoplesim/stamp.c: dates and date-times without a zone. */
#include "peoplesim/stamp.h"

#include "base/time.h"

static void put_digits(char *out, int width, int64_t value)
{
    for (int i = width - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days to year, month, day: the era method, exact over the whole range. */
static void split_day(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

void pst_sim_date_write(char out[PST_SIM_DATE_TEXT], int64_t days)
{
    int64_t year = 0;
    int month = 0;
    int day = 0;
    split_day(days, &year, &month, &day);
    put_digits(out, 4, year);
    out[4] = '-';
    put_digits(out + 5, 2, month);
    out[7] = '-';
    put_digits(out + 8, 2, day);
}

void pst_sim_dttm_write(char out[PST_SIM_DTTM_TEXT], int64_t local_us)
{
    int64_t days = pst_sim_day_of(local_us);
    int64_t us = local_us - days * PST_SIM_DAY_US;
    int64_t s = us / 1000000;
    pst_sim_date_write(out, days);
    out[10] = '-';
    put_digits(out + 11, 2, s / 3600);
    out[13] = '.';
    put_digits(out + 14, 2, s / 60 % 60);
    out[16] = '.';
    put_digits(out + 17, 2, s % 60);
    out[19] = '.';
    put_digits(out + 20, 6, us % 1000000);
}

static bool get_digits(pst_str text, size_t at, size_t width, int *out)
{
    int value = 0;
    for (size_t i = at; i < at + width; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *out = value;
    return true;
}

bool pst_sim_date_read(int64_t *days, pst_str text)
{
    int year = 0;
    int month = 0;
    int day = 0;
    if (text.len != PST_SIM_DATE_TEXT || text.ptr[4] != '-' || text.ptr[7] != '-' ||
        !get_digits(text, 0, 4, &year) || !get_digits(text, 5, 2, &month) ||
        !get_digits(text, 8, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > pst_days_in_month(year, month))
        return false;
    *days = pst_days_from_civil(year, month, day);
    return true;
}

bool pst_sim_dttm_read(int64_t *local_us, pst_str text)
{
    int64_t days = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int micro = 0;
    if (text.len != PST_SIM_DTTM_TEXT || !pst_sim_date_read(&days, pst_str_sub(text, 0, 10)))
        return false;
    if (text.ptr[10] != '-' || text.ptr[13] != '.' || text.ptr[16] != '.' || text.ptr[19] != '.' ||
        !get_digits(text, 11, 2, &hour) || !get_digits(text, 14, 2, &minute) ||
        !get_digits(text, 17, 2, &second) || !get_digits(text, 20, 6, &micro))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *local_us = days * PST_SIM_DAY_US + ((hour * 60LL + minute) * 60 + second) * 1000000 + micro;
    return true;
}
