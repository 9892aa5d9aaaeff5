/*
 * CRC-32C, and the form in which LevelDB stores it: masked, so that a checksum of bytes that
 * hold checksums stays one.
 */
#ifndef STEM_ENGINE_CRC32C_H
#define STEM_ENGINE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What each byte does to a checksum, at its place and with up to seven behind it. */
typedef struct stem_crc32c {
    uint32_t of[8][256];
} stem_crc32c;

/* What a running checksum begins with. */
#define STEM_CRC32C_START UINT32_MAX

void stem_crc32c_init(stem_crc32c *table);

/* The running checksum with the bytes added. */
uint32_t stem_crc32c_add(const stem_crc32c *table, uint32_t crc,
                         const unsigned char *bytes, size_t len);

static inline uint32_t stem_crc32c_add_byte(const stem_crc32c *table, uint32_t crc,
                                            unsigned char byte)
{
    return crc >> 8 ^ table->of[0][(crc ^ byte) & 0xFF];
}

/* The product of two running checksums as polynomials. With the running checksum of a 1
 * followed by n zero bytes it is the first one with n zero bytes added. */
uint32_t stem_crc32c_multiply(uint32_t a, uint32_t b);

static inline uint32_t stem_read_u32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

/* Whether the stored four bytes, which LevelDB masks, are this running checksum's. */
static inline bool stem_crc32c_is(const unsigned char *stored, uint32_t crc)
{
    crc = ~crc;
    return stem_read_u32(stored) == (crc >> 15 | crc << 17) + UINT32_C(0xA282EAD8);
}

#endif
