/*
 * Rights as text, both ways.
 */
#include "access.h"

typedef struct named_right {
    const char *name;
    unsigned rights;
} named_right;

static const named_right rights_by_name[] = {
    {"read", STEM_MAY_READ},
    {"write", STEM_MAY_WRITE},
    {"admin", STEM_MAY_ADMIN},
    {"all", STEM_MAY_READ | STEM_MAY_WRITE | STEM_MAY_ADMIN},
};

const char *stem_rights_text(unsigned rights)
{
    static const char *const texts[] = {
        "none",  "read",       "write",       "read,write",
        "admin", "read,admin", "write,admin", "read,write,admin",
    };

    return texts[rights & (STEM_MAY_READ | STEM_MAY_WRITE | STEM_MAY_ADMIN)];
}

/* 0 for what names no right. */
static unsigned right_of(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof rights_by_name / sizeof *rights_by_name; i++) {
        const char *each = rights_by_name[i].name;

        if (strlen(each) == len && memcmp(each, name, len) == 0)
            return rights_by_name[i].rights;
    }
    return 0;
}

bool stem_rights_parse(const char *text, size_t len, unsigned *rights)
{
    unsigned sum = 0;

    *rights = 0;
    if (len == 4 && memcmp(text, "none", 4) == 0)
        return true;
    for (;;) {
        const char *comma = memchr(text, ',', len);
        const size_t word = comma ? (size_t)(comma - text) : len;
        const unsigned right = right_of(text, word);

        if (right == 0 || (sum & right) != 0)
            return false;
        sum |= right;
        if (!comma)
            break;
        text += word + 1;
        len -= word + 1;
    }
    *rights = sum;
    return true;
}
