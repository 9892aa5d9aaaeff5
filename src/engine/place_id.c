/*
 * Ids of stores and places; see place_id.h. SipHash is as its authors publish it
 * (https://www.aumasson.jp/siphash/siphash.pdf, and their code for 128 bits).
 */
#include "place_id.h"

#include <endian.h>

int stem_place_id_make(stem_place_id *id)
{
    const int code = stem_id_make(&id->store);

    return code == STEM_OK ? stem_id_make(&id->place) : code;
}

/* ---- SipHash ---------------------------------------------------------------------- */

enum { WORD = sizeof(uint64_t), ROUNDS = 2, LAST_ROUNDS = 4 };

static uint64_t read_word(const void *bytes, size_t len)
{
    uint64_t word = 0;

    memcpy(&word, bytes, len);
    return le64toh(word);
}

static void write_word(uint64_t word, unsigned char *bytes)
{
    word = htole64(word);
    memcpy(bytes, &word, WORD);
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4], int rounds)
{
    for (int i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static void take_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v, ROUNDS);
    v[0] ^= word;
}

static uint64_t finish(uint64_t v[4])
{
    mix(v, LAST_ROUNDS);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static stem_id hash(const stem_id *key, stem_slice data)
{
    const uint64_t k0 = read_word(key->bytes, WORD),
                   k1 = read_word(key->bytes + WORD, WORD);
    uint64_t v[] = {k0 ^ UINT64_C(0x736F6D6570736575),
                    k1 ^ UINT64_C(0x646F72616E646F6D) ^ 0xEE,
                    k0 ^ UINT64_C(0x6C7967656E657261), k1 ^ UINT64_C(0x7465646279746573)};
    const size_t left = data.len % WORD;
    stem_id made;

    for (size_t i = 0; i + WORD <= data.len; i += WORD)
        take_word(v, read_word(data.data + i, WORD));
    take_word(v, (uint64_t)data.len << 56 | read_word(data.data + data.len - left, left));
    v[2] ^= 0xEE;
    write_word(finish(v), made.bytes);
    v[1] ^= 0xDD;
    write_word(finish(v), made.bytes + WORD);
    return made;
}

void stem_place_id_narrow(stem_place_id *id, stem_slice scope)
{
    if (scope.len > 0)
        id->place = hash(&id->place, scope);
}
