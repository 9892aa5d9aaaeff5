#!/bin/sh
# What the header has to say of every function: its errors, by names that there are, and, where
# it takes or makes a stem_value, the function that does the same by pointer.
set -eu

header=$STEM_SOURCE/include/stem.h
failures=0

# Each function belongs to the comment above it, with no empty line between.
silent=$(awk '
    /^$/ { comment = ""; has_comment = 0 }
    /^\/\*/ { comment = "" }
    /^\/\*/, /\*\// { comment = comment $0 }
    /^STEM_API/ && comment !~ /Errors: / {
        sub(/^STEM_API[^(]*[ *]/, ""); sub(/\(.*/, ""); print
    }' "$header")
if [ -n "$silent" ]; then
    echo "no \"Errors:\" in the comment of:" $silent
    failures=1
fi

codes=$(sed -n '/^enum stem_code {/,/^};/s/^ *\(STEM_[A-Z]*\) = .*/\1/p' "$header")
named=$(awk '
    /Errors: / { is_listing = 1; sub(/.*Errors: /, "") }
    is_listing { print }
    /\*\// { is_listing = 0 }' "$header" | grep -o 'STEM_[A-Z]*' | sort -u)
for code in $named; do
    case " $(echo $codes) " in
    *" $code "*) ;;
    *)
        echo "$code is listed under \"Errors:\", but there is no such code"
        failures=1
        ;;
    esac
done

# Declarations in one line each; those with a stem_value that is no pointer.
by_value=$(awk '
    /^STEM_API/ { text = "" ; is_open = 1 }
    is_open { text = text $0 }
    is_open && /;/ { print text; is_open = 0 }' "$header" |
    grep -E 'stem_value [a-z_]+ *[,)]|^STEM_API stem_value stem_' |
    sed 's/^STEM_API[^(]*[ *]\(stem_[a-z0-9_]*\)(.*/\1/')
[ -n "$by_value" ] || failures=1
for name in $by_value; do
    case $name in
    stem_value_itself) continue ;;
    stem_array1) other=stem_set_vec ;;
    *_value) other=${name%_value}_ref ;;
    *) other=stem_set_${name#stem_} ;;
    esac
    if ! grep -q "[ *]$other(" "$header"; then
        echo "$name takes or makes a value by value, and there is no $other"
        failures=1
    fi
done
exit $failures
