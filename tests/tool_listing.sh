#!/bin/sh
# stem ls, tree, count and stat: what there is, and nothing that a terminal would obey.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

"$stem" put ./x a 7
"$stem" put ./x a/x 1.5
"$stem" put ./x a/y/z null
"$stem" put ./x b 'two words'
"$stem" put ./x c/m '{"$array": {"type": "f32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}}'
"$stem" put ./x c/l '[1, 2, 3]'
"$stem" put ./x c/o '{"k": 1}'
"$stem" put ./x 'c/\x1B[31m' 'true'

# Names, one a line; a value and a sub-database of one name are two.
prints 'a
a/
b
c/' "$stem" ls ./x
prints 'x
y/' "$stem" ls ./x a
prints '\x1B[31m
l
m
o' "$stem" ls ./x c
prints 'int                      -  a
-                        -  a/
str                    9 B  b
-                        -  c/' "$stem" ls -l ./x
prints 'bool                     -  \x1B[31m
list[3]                4 B  l
f32[2×3]              24 B  m
map[1]                 4 B  o' "$stem" ls ./x c --long

# Each line is a PATH, whatever the name: the value, or what lies below it.
for name in a 'a b' ' ' '\/' 'a\/' '\/\/' '\\' 'a\\' '\\\/' 'a\\\/' '\x0A' '\x01\/' \
    '\xFF' ü . .. '*' '$a' '"' "'" 7; do
    "$stem" put ./odd "$name" 1
    "$stem" put ./odd "$name/$name" 2
    "$stem" put ./odd "below/$name/x" 3
    "$stem" put ./odd "below/$name/x/y" 4
done
"$stem" cp -r ./odd below/ '' --to ./below
"$stem" rm -r ./odd below
"$stem" ls ./odd >lines
[ "$(wc -l <lines)" -eq 42 ] || die "$(wc -l <lines) lines"
while IFS= read -r line && IFS= read -r sub; do
    [ "$sub" = "$line/" ] || die "'$sub' is behind '$line'"
    prints 1 "$stem" get ./odd "$line"
    prints 1 "$stem" get ./odd "$sub"
    prints 2 "$stem" get ./odd "$sub$line"
    prints "$line" "$stem" ls ./odd "$line"
    prints "$line" "$stem" ls ./odd "$sub"
done <lines
"$stem" ls ./below >lines
[ "$(wc -l <lines)" -eq 21 ] || die "$(wc -l <lines) lines of sub-databases"
while IFS= read -r line; do
    prints 3 "$stem" get ./below "${line}x"
    prints 2 "$stem" count ./below "$line"
    answers 0 "$stem" rm -r ./below "$line"
    answers 1 "$stem" ls ./below "$line"
    says "nothing at "
done <lines
prints 0 "$stem" count ./below

# So it is for all that looks at sub-databases or takes them whole, and nothing is stored under it
# or taken by itself.
"$stem" put ./slash a/b/c 1
"$stem" put ./slash a/b 2
for command in ls tree count stat export; do
    answers 0 "$stem" $command ./slash a/b
    prints "$(cat out)" "$stem" $command ./slash a/b/
done
prints 2 "$stem" get ./slash a/b/
for command in 'put a/b/ 3' 'incr a/b/' 'pop a/b/' 'rm a/b/' 'mv a/b/ d' 'cp a/b/ d' 'cp a/b d/'; do
    # shellcheck disable=SC2086
    set -- $command
    name=$1
    shift
    answers 2 "$stem" "$name" ./slash "$@"
    says "leave out the '/' at its end"
done
prints '{"a": {"b": {"": 2, "c": 1}}}' "$stem" export ./slash
answers 0 "$stem" cp -r ./slash a/ d/
echo '{"e/": 1, "f": {"g": 2}}' | "$stem" import ./slash - d/
prints '{"b": {"": 2, "c": 1}, "e/": 1, "f": {"g": 2}}' "$stem" export ./slash d/
echo '[{"expect_empty": "h/"}, {"put": "h/i", "value": 1}]' | "$stem" batch ./slash
prints '{"path": "h/i", "value": 1}' "$stem" pop ./slash h/ --first
answers 0 "$stem" mv -r ./slash d/b/ k/
answers 0 "$stem" rm -r ./slash a/ d/
prints '{"k": {"": 2, "c": 1}}' "$stem" export ./slash

# The drawing.
prints './x
├── a/  int  7
│   ├── x  float  1.5
│   └── y/
│       └── z  nil
├── b  str  "two words"
└── c/
    ├── \x1B[31m  bool  true
    ├── l  list[3]  4 B
    ├── m  f32[2×3]  24 B
    └── o  map[1]  4 B

3 sub-databases, 8 values' "$stem" tree ./x
prints './x
├── a/  int  7 …
├── b  str  "two words"
└── c/ …

2 sub-databases, 2 values, to a depth of 1' "$stem" tree ./x --depth 1
prints 'a/  int  7
├── x  float  1.5
└── y/
    └── z  nil

1 sub-database, 2 values' "$stem" tree ./x a
prints 'a/x  float  1.5

0 sub-databases, 0 values' "$stem" tree ./x a/x
LC_ALL=C prints 'a/  int  7
|-- x  float  1.5
`-- y/ ...

1 sub-database, 1 value, to a depth of 1' "$stem" tree ./x a --depth=1
LC_ALL=C prints 'f32[2x3]              24 B  m' sh -c "'$stem' ls -l ./x c | grep -F f32"

# Strings are cut, and nothing in them reaches the terminal as it is.
"$stem" put ./s long "$(head -c 3000 /dev/zero | tr '\0' x)"
"$stem" put ./s odd "$(printf 'a\033[31mb\tc\nd\177 \302\233 "\\')"
"$stem" put ./s wide '日本語日本語日本語日本語日本語日本語日本語日本語日本語'
"$stem" put ./s 'nameé' '{"$str": "YcP/"}'
"$stem" put ./s time '{"$time": "2026-01-31T12:00:00.5Z"}'
"$stem" put ./s old '{"$time": [-62167219201, 5]}'
"$stem" put ./s nan '{"$float": "NaN"}'
"$stem" put ./s uint '{"$uint": "18446744073709551615"}'
"$stem" put ./s ext '{"$ext": {"code": 5, "data": "aGVsbG8="}}'
"$stem" put ./s bin --bin hello
prints './s
├── bin  bin  5 B
├── ext  ext 5  5 B
├── long  str  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" (2.9 KiB)
├── nameé  str  "a\xC3\xFF"
├── nan  float  NaN
├── odd  str  "a\x1B[31mb\tc\nd\x7F \xC2\x9B \"\\"
├── old  time  [-62167219201, 5]
├── time  time  2026-01-31T12:00:00.5Z
├── uint  uint  18446744073709551615
└── wide  str  "日本語日本語日本語日本語日本語日本語日本語日本語…" (81 B)

0 sub-databases, 10 values' "$stem" tree ./s
LC_ALL=C "$stem" tree ./s >out
LC_ALL=C grep '[^ -~]' out && die "more than ASCII in the C locale"
grep -F '"a\x1B[31mb\tc\nd\x7F \xC2\x9B \"\\"' out >/dev/null || die "odd string in C"

# Colours only where they are asked for.
"$stem" tree ./x --color >out
grep "$(printf '\033\[1;34ma\033\[0m/')" out >/dev/null || die "no colour"
NO_COLOR=1 "$stem" tree ./x --color=always | grep "$(printf '\033')" >/dev/null ||
    die "always is always"
for when in auto never; do
    "$stem" tree ./x --color=$when | grep "$(printf '\033')" && die "colour in a pipe"
done
answers 2 "$stem" tree ./x --color=blue
for depth in 0 -1 x 1x ''; do
    answers 2 "$stem" tree ./x --depth "$depth"
done

# Counts.
prints 8 "$stem" count ./x
prints 2 "$stem" count ./x a
prints 0 "$stem" count ./x b
prints 0 "$stem" count ./x none

# Sizes.
answers 0 "$stem" stat ./x
grep '^entries  *8$' out >/dev/null || die "stat: entries"
grep '^format  *1$' out >/dev/null || die "stat: format"
grep '^one level down  *2 values, 2 sub-databases$' out >/dev/null || die "stat: names"
answers 0 "$stem" stat ./x c/m
grep '^value  *f32\[2×3\], 24 B$' out >/dev/null || die "stat: value"
answers 0 "$stem" stat "leveldb:./x" a
grep '^path  *a$' out >/dev/null || die "stat: path"

# What is not there, and is not made.
for command in ls tree stat; do
    answers 1 "$stem" $command ./x none
    says 'nothing at none in ./x'
    answers 1 "$stem" $command ./typo
    says 'no database at ./typo'
done
answers 1 "$stem" count ./typo
answers 1 "$stem" ls ./x b
says 'b is a value, and nothing lies below it'
[ ! -e typo ] || die "looking made a database"

# An empty database is there.
"$stem" put ./e v 1
"$stem" del ./e v
answers 0 "$stem" ls ./e
[ ! -s out ] || die "an empty database has names"
prints 0 "$stem" count ./e
prints './e

0 sub-databases, 0 values' "$stem" tree ./e
answers 0 "$stem" stat ./e

# Many levels.
path=n
for i in 1 2 3 4 5 6 7 8; do
    path=$path/$path
done
"$stem" put ./deep "$path" 1
answers 0 "$stem" tree ./deep
[ "$(wc -l <out)" -eq 259 ] || die "a tree of 256 levels has $(wc -l <out) lines"
