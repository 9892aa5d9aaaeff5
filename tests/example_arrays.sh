#!/bin/sh
# examples/arrays stores real WAV files as numeric arrays and computes their levels. The
# same levels are computed here from the samples in the files, with od and awk.
set -eu

sounds=/usr/share/sounds/alsa
work=$(mktemp -d "${TMPDIR:-/tmp}/stem-arrays-XXXXXX")
trap 'rm -rf "$work"' EXIT

set -- "$sounds"/*.wav
[ -e "$1" ] || {
    echo "no WAV files in $sounds (Debian: alsa-utils)"
    exit 77
}

"$STEM_BUILD/examples/arrays" "$work/sounds.db" "$@" >"$work/got"

# These files are 16-bit mono with a header of 44 bytes, which od is told to skip.
for file in "$@"; do
    od -An -v -td2 -w2 -j44 "$file" | awk -v name="${file##*/}" '
        { squares += $1 * $1; level = $1 < 0 ? -$1 : $1; if (level > peak) peak = level }
        function decibels(x) { return 20 * log(x / 32768) / log(10) }
        END {
            printf "%s: 48000 Hz, 1 channel(s), %d frames, RMS %.2f dBFS, peak %.2f dBFS\n",
                name, NR, decibels(sqrt(squares / NR)), decibels(peak)
        }'
done >"$work/want"
diff -u "$work/want" "$work/got"

# What is no sound is refused by name, and the others are stored all the same.
echo "not a sound" >"$work/fake.wav"
if "$STEM_BUILD/examples/arrays" mem: "$work/fake.wav" "$1" >"$work/got" 2>"$work/errors"; then
    echo "a file that is no sound was taken"
    exit 1
fi
grep -q "fake.wav: not a WAV file" "$work/errors"
[ "$(wc -l <"$work/got")" -eq 1 ]
