/*
 * Moments as RFC 3339 text, both ways, in the proleptic Gregorian calendar and without
 * the C library's calendar: no time zone, no locale, no range but the text's own.
 */
#include <stdio.h>

#include "json.h"

enum { SECONDS_PER_DAY = 86400, DAYS_PER_ERA = 146097 /* 400 years */ };

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z. */
static const int64_t first_second = -62167219200;
static const int64_t last_second = 253402300799;

/* Years are counted from March here: the leap day then ends the year, and the months
 * before it follow one rule, 153 days to every five. */

/* Days from 1970-01-01 to a date of a year from 0 on. */
static int64_t days_to(int year, int month, int day)
{
    int march_year = month > 2 ? year : year - 1;
    int march_month = month > 2 ? month - 3 : month + 9;
    /* One era more keeps the division among positive numbers. */
    int64_t y = march_year + 400;
    int64_t day_of_year = (153 * march_month + 2) / 5 + day - 1;
    int64_t days = y * 365 + y / 4 - y / 100 + y / 400 + day_of_year;

    return days - DAYS_PER_ERA - 719468; /* 0000-03-01 to 1970-01-01 */
}

static void date_of(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468 + DAYS_PER_ERA;
    int64_t era = z / DAYS_PER_ERA;
    int64_t day_of_era = z % DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *year = (int)(year_of_era + (era - 1) * 400 + (*month <= 2));
}

bool stem_time_format(const stem_timestamp *time, char out[STEM_TIME_TEXT_MAX])
{
    int64_t since_first = time->seconds - first_second;
    int year, month, day, second, len;

    if (time->seconds < first_second || time->seconds > last_second)
        return false;
    date_of(since_first / SECONDS_PER_DAY + first_second / SECONDS_PER_DAY, &year, &month,
            &day);
    second = (int)(since_first % SECONDS_PER_DAY);
    len = snprintf(out, STEM_TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", year, month,
                   day, second / 3600, second / 60 % 60, second % 60);
    if (time->nanoseconds > 0) {
        len += snprintf(out + len, STEM_TIME_TEXT_MAX - (size_t)len, ".%09u",
                        (unsigned)time->nanoseconds);
        while (out[len - 1] == '0')
            len--;
    }
    snprintf(out + len, STEM_TIME_TEXT_MAX - (size_t)len, "Z");
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads `pattern`, in which a 0 stands for a digit and anything else for itself. The
 * digits between two other characters are one number. */
static bool parse_fields(const char *text, const char *pattern, int *fields)
{
    bool in_number = false;

    for (; *pattern; pattern++, text++) {
        if (*pattern != '0') {
            if (*text != *pattern)
                return false;
            fields += in_number;
            in_number = false;
            continue;
        }
        if (!is_digit(*text))
            return false;
        *fields = (in_number ? *fields * 10 : 0) + (*text - '0');
        in_number = true;
    }
    return true;
}

static int days_in(int year, int month)
{
    if (month == 2)
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* "Z", or hours and minutes ahead of UTC. */
static bool parse_offset(const char *text, size_t len, int *seconds)
{
    int fields[2];

    *seconds = 0;
    if (len == 1)
        return text[0] == 'Z';
    if (len != 6 || (text[0] != '+' && text[0] != '-') ||
        !parse_fields(text + 1, "00:00", fields) || fields[0] > 23 || fields[1] > 59)
        return false;
    *seconds = (fields[0] * 60 + fields[1]) * (text[0] == '-' ? -60 : 60);
    return true;
}

bool stem_time_parse(const char *text, size_t len, stem_timestamp *time)
{
    static const char pattern[] = "0000-00-00T00:00:00";
    enum { FIXED = sizeof pattern - 1 };
    int f[6];
    uint32_t nanoseconds = 0;
    size_t at = FIXED;
    int offset;

    if (len <= FIXED || !parse_fields(text, pattern, f))
        return false;
    if (f[1] < 1 || f[1] > 12 || f[2] < 1 || f[2] > days_in(f[0], f[1]) || f[3] > 23 ||
        f[4] > 59 || f[5] > 59)
        return false;
    if (text[at] == '.') {
        uint32_t unit = 100000000;

        for (at++; at < len && is_digit(text[at]) && unit > 0; at++, unit /= 10)
            nanoseconds += (uint32_t)(text[at] - '0') * unit;
        if (at == FIXED + 1)
            return false;
    }
    if (!parse_offset(text + at, len - at, &offset))
        return false;
    time->seconds = days_to(f[0], f[1], f[2]) * SECONDS_PER_DAY + f[3] * 3600L +
                    f[4] * 60L + f[5] - offset;
    time->nanoseconds = nanoseconds;
    return true;
}
