/*
 * CRC-32C: see crc32c.h.
 */
#include "crc32c.h"

static const uint32_t polynomial = UINT32_C(0x82F63B78); /* lowest power in the top bit */

void stem_crc32c_init(stem_crc32c *table)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        table->of[0][byte] = crc;
    }
    for (int behind = 1; behind < 8; behind++)
        for (int byte = 0; byte < 256; byte++) {
            const uint32_t crc = table->of[behind - 1][byte];

            table->of[behind][byte] = crc >> 8 ^ table->of[0][crc & 0xFF];
        }
}

uint32_t stem_crc32c_add(const stem_crc32c *table, uint32_t crc,
                         const unsigned char *bytes, size_t len)
{
    const unsigned char *end = bytes + len;

    for (; end - bytes >= 8; bytes += 8) {
        crc ^= stem_read_u32(bytes);
        crc = table->of[7][crc & 0xFF] ^ table->of[6][crc >> 8 & 0xFF] ^
              table->of[5][crc >> 16 & 0xFF] ^ table->of[4][crc >> 24] ^
              table->of[3][bytes[4]] ^ table->of[2][bytes[5]] ^ table->of[1][bytes[6]] ^
              table->of[0][bytes[7]];
    }
    for (; bytes < end; bytes++)
        crc = stem_crc32c_add_byte(table, crc, *bytes);
    return crc;
}

uint32_t stem_crc32c_multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? polynomial : 0);
    }
    return product;
}
