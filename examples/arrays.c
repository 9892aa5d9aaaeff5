/*
 * PCM samples as numeric arrays: every WAV file becomes a sub-database with its metadata
 * as keys and its samples as one i16 array of shape (frames) or (frames, channels). The
 * levels are computed from what is read back, where the engine left it, without a copy.
 *
 *     arrays LOCATION FILE.wav...
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stem.h>

/* One WAV file in memory; `samples` points into `bytes`. */
typedef struct wav {
    unsigned char *bytes;
    uint32_t rate;
    uint16_t channels;
    const unsigned char *samples;
    uint64_t frames;
} wav;

static uint32_t little_endian(const unsigned char *bytes, int n)
{
    uint32_t number = 0;

    while (n-- > 0)
        number = number << 8 | bytes[n];
    return number;
}

static unsigned char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    long size;

    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 &&
        fseek(file, 0, SEEK_SET) == 0 && (bytes = malloc((size_t)size)) != NULL) {
        *len = (size_t)size;
        if (fread(bytes, 1, *len, file) != *len) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}

/* Finds the format and the samples among the chunks of a RIFF file. NULL, or what is
 * wrong with it. */
static const char *parse_wav(wav *sound, size_t len)
{
    const unsigned char *bytes = sound->bytes;
    unsigned bits = 0;
    size_t at = 12;

    if (len < at || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WAVE", 4) != 0)
        return "not a WAV file";
    while (len - at >= 8) {
        const unsigned char *chunk = bytes + at;
        size_t size = little_endian(chunk + 4, 4);

        at += 8;
        if (size > len - at)
            return "cut short";
        if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
            if (little_endian(chunk + 8, 2) != 1)
                return "not PCM";
            sound->channels = (uint16_t)little_endian(chunk + 10, 2);
            sound->rate = little_endian(chunk + 12, 4);
            bits = little_endian(chunk + 22, 2);
        } else if (memcmp(chunk, "data", 4) == 0) {
            if (bits != 16 || sound->channels == 0)
                return "not 16-bit PCM";
            sound->samples = bytes + at;
            sound->frames = size / (2 * (size_t)sound->channels);
            return NULL;
        }
        /* Chunks begin at even offsets. */
        size += size % 2;
        at += size < len - at ? size : len - at;
    }
    return "without samples";
}

static int store(stem_db *db, const wav *sound)
{
    const uint64_t shape[] = {sound->frames, sound->channels};
    int ndim = sound->channels > 1 ? 2 : 1;
    int code;

    if ((code = stem_put(db, "rate", sound->rate)) != STEM_OK ||
        (code = stem_put(db, "channels", sound->channels)) != STEM_OK)
        return code;
    return stem_put(db, "samples", stem_array(STEM_I16, sound->samples, ndim, shape));
}

static double decibels(double level)
{
    return 20 * log10(level / 32768);
}

/* Reads one sound back and prints its levels, relative to full scale. */
static int report(stem_db *db, const char *name)
{
    stem_value samples;
    double squares = 0, peak = 0;
    int code = stem_get_array(db, "samples", STEM_I16, &samples);

    if (code != STEM_OK)
        return code;
    const int16_t *sample = samples.as.array.data;
    uint64_t n = samples.as.array.count;
    for (uint64_t i = 0; i < n; i++) {
        squares += (double)sample[i] * sample[i];
        peak = fmax(peak, fabs((double)sample[i]));
    }
    printf("%s: %" PRId64 " Hz, %" PRId64 " channel(s), %" PRIu64
           " frames, RMS %.2f dBFS, peak %.2f dBFS\n",
           name, stem_get_int_or(db, "rate", 0), stem_get_int_or(db, "channels", 0),
           samples.as.array.shape[0], decibels(sqrt(squares / (double)(n > 0 ? n : 1))),
           decibels(peak));
    stem_value_free(&samples);
    return STEM_OK;
}

/* Stores one file under its name and reports it; false after saying what failed. */
static bool take(stem_db *sounds, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t len = 0;
    wav sound = {.bytes = read_file(path, &len)};
    const char *wrong = sound.bytes ? parse_wav(&sound, len) : "cannot be read";
    stem_db *db = NULL;

    if (!wrong) {
        db = stem_sub(sounds, name);
        if (store(db, &sound) != STEM_OK || report(db, name) != STEM_OK)
            wrong = stem_errmsg();
    }
    if (wrong)
        fprintf(stderr, "arrays: %s: %s\n", path, wrong);
    stem_close(db);
    free(sound.bytes);
    return wrong == NULL;
}

int main(int argc, char **argv)
{
    stem_db *db, *sounds;
    int failures = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: arrays LOCATION FILE.wav...\n");
        return 2;
    }
    if (stem_open(&db, argv[1], NULL) != STEM_OK) {
        fprintf(stderr, "arrays: %s\n", stem_errmsg());
        return 1;
    }
    sounds = stem_sub(db, "sounds");
    for (int i = 2; i < argc; i++)
        failures += !take(sounds, argv[i]);
    stem_close(sounds);
    stem_close(db);
    return failures > 0 ? 1 : 0;
}
