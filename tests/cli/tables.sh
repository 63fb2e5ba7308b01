# Tables and texts of other habits say the same: other separators, decimals, quotes, line ends, remarks, a byte order mark, names with
# blanks; gaps by their many words; dates of other forms, which forecasts continue.
. "$SRC/tests/lib.sh"
head -n 61 "$SRC/examples/sunspots.csv" >plain.csv
# forecast FILE MORE: what a model that `rondo new` made of FILE forecasts, without the dates
forecast() {
    rm -f t.rondo
    expect 0 "$RONDO" new forecast t --data "$1"
    expect 0 "$RONDO" train t.rondo -q --set epochs=2 --set H=3 --seed 1
    expect 0 "$RONDO" predict t.rondo -w t.safetensors --future 2 -o "$2"
    cut -d, -f3 "$2" >"$2.numbers"
}
forecast plain.csv plain.out
says t.rondo 'date = "year"'
[ "$(tail -n 1 plain.out | cut -d, -f1)" = 1761 ] || fail "the year after the last: $(tail -n 1 plain.out)"
# same NAME: NAME.csv is plain.csv in another form
same() {
    forecast "$1.csv" "$1.out"
    cmp plain.out.numbers "$1.out.numbers" || fail "$1.csv was read otherwise"
}
sed 's/$/\r/' plain.csv >crlf.csv
same crlf
(printf '\357\273\277' && cat plain.csv) >mark.csv
same mark
sed 's/,/;/' plain.csv >semicolon.csv
same semicolon
sed 's/,/;/; s/\./,/' plain.csv >comma.csv
same comma
says t.rondo 'separator = ";"'
says t.rondo 'decimal = ","'
expect 0 "$RONDO" fmt --check t.rondo
sed 's/,/   /; s/^/ /; s/$/ /' plain.csv >blanks.csv
same blanks
says t.rondo 'separator = "blanks"'
sed 's/,/	 /' plain.csv >mixed.csv
same mixed
sed 's/,/|/' plain.csv >bar.csv
same bar
sed 's/^/"/; s/,/", "/; s/$/"/' plain.csv >quotes.csv
same quotes
awk -F, -v OFS=, 'NR == 1 { print " year ", "\"remark\non it\"", " sunspots (°) "; next } { print $1, "\"a \"\"b\"\",\nc\"", " " $2 " " }' plain.csv >cells.csv
same cells
says t.rondo 'column = "sunspots (°)"'
(printf '# from an observatory, since 1700\n# with care\n' && cat plain.csv) >remarks.csv
same remarks
sed '1s/^/# /' plain.csv >named.csv
same named
says t.rondo 'date = "year"'
awk -F, -v OFS=, 'NR == 1 { print "", $0; next } { print NR - 2, $0 }' plain.csv >index.csv
same index
says t.rondo 'date = "year"'
sed '1s/year/sunspots/' plain.csv | awk -F, -v OFS=, '{ print $2, $1 }' >twice.csv
same twice
says t.rondo 'column = "0"'

# gaps: each word of them the same
sed '9s/,.*/,/; 30s/,.*/,/' plain.csv >gaps.csv
forecast gaps.csv gaps.out
says t.rondo 'gaps = interpolate'
for word in NA n/a NaN -nan '#N/A' null None nil '?' - -- . ' '; do
    sed "9s:,.*:,$word:; 30s:,.*:,$word:" plain.csv >word.csv
    forecast word.csv word.out
    cmp gaps.out.numbers word.out.numbers || fail "'$word' is another gap"
done
sed "9s:,.*:,unknown:" plain.csv >word.csv
expect 1 "$RONDO" new forecast word --data word.csv
says err "E0612.*word.csv:9: column 'sunspots' holds 'unknown', which is not a number"

# dates: the columns of dates is found, wherever it is, and goes on
dated() { # FORMAT EXPECTED: rows an hour or a day apart
    awk -F, -v OFS=, 'NR > 1 { print $2 }' plain.csv | while read -r v; do
        n=$((${n:--1} + 1))
        echo "$v,$(date -u -d "@$((1206921600 + n * ${3:-86400}))" "+$1")"
    done >rows.csv
    (echo sunspots,when && cat rows.csv) >dated.csv
    same dated
    says t.rondo 'date = "when"'
    [ "$(tail -n 1 dated.out | cut -d, -f1)" = "$2" ] || fail "$1 goes on with $(tail -n 1 dated.out)"
}
dated %d.%m.%Y 31.05.2008
dated %m/%d/%Y 05/31/2008
dated %d/%m/%Y 31/05/2008
dated '%Y-%m-%dT%H:%M:00Z' 2008-04-02T13:00:00Z 3600
dated '%d %b %Y' '31 May 2008'
dated %d-%b-%y 31-May-08
dated '%Y %B %d %H:%M' '2008 April 02 13:00' 3600
# months by name or number, in a column of their own or not; days and times in columns of their own
months() { # NAMES HEADER EXPECTED DATE: as many as the file has rows, from January 1949 on
    awk -F, -v OFS=, -v names="$1" -v header="$2" 'BEGIN { split(names, m, " "); print header } NR > 1 {
        k = NR - 2; y = 1949 + int(k / 12); n = m[k % 12 + 1]; d = header; sub("year", y, d); sub("yy", substr(y, 3), d); sub("month", n, d); sub("sunspots", $2, d); print d }' plain.csv >dated.csv
    same dated
    says t.rondo "date = $4"
    tail -n 1 dated.out | grep -q "^$3" || fail "$1 in $2 goes on with $(tail -n 1 dated.out)"
}
short="Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
months "$short" 'year,month,sunspots' 1954-Feb, '\["year", "month"\]'
months "$short" 'month yy,sunspots' 'Feb 54,' '"month yy"'
months "JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER" 'sunspots,month. year' 'FEBRUARY. 1954,' '"month. year"'
months "1 2 3 4 5 6 7 8 9 10 11 12" 'sunspots,month,year' 2-1954, '\["month", "year"\]'
awk -F, -v OFS=, 'NR == 1 { print "year,month,day,hour,sunspots" } NR > 1 { k = NR - 2; print 2008, 3, 1 + int(k / 24) % 31, k % 24 ":00", $2 }' plain.csv | head -n 200 >dated.csv
cp dated.csv days.csv
expect 0 "$RONDO" new forecast days --data days.csv
says days.rondo 'date = \["year", "month", "day", "hour"\]'
sed 's/epochs = .*/epochs = 1/' days.rondo >t.rondo
expect 0 "$RONDO" train t.rondo -q --seed 1 --set epochs=1 -o t.safetensors
expect 0 "$RONDO" predict t.rondo -w t.safetensors --future 2
says out '^2008-3-3 13:00,,'
sed 's/:00//' days.csv >hours.csv
expect 0 "$RONDO" predict t.rondo -w t.safetensors --data hours.csv --future 2
says out '^2008-3-3 13,,'
for date in '["year", "mont"]' '[]' 'years'; do
    expect 1 "$RONDO" train t.rondo -q -o no.safetensors --set "date=$date"
    says err 'E0611.*days.csv has no column\|E0501.*`date` is the name of a column, or a list'
done
sed '1s/year/season/; 2,$s/^\(.*\),/spring of \1,/' plain.csv >season.csv
same season
! grep -q 'date =' t.rondo || fail "a date that does not go on"

# texts: a byte order mark and Windows line ends are no words
cp "$SRC"/examples/*.txt "$SRC"/examples/sentiment.rondo "$SRC"/examples/tagging.rondo "$SRC"/examples/names.jsonl .
for f in praise.txt blame.txt names.jsonl; do (printf '\357\273\277' && sed 's/$/\r/' "$SRC/examples/$f") >"w_$f"; done
for k in '' w_; do
    expect 0 "$RONDO" train sentiment.rondo -q --seed 1 --set epochs=1 --set "lines=[\"${k}praise.txt\": 1, \"${k}blame.txt\": 0]" -o "${k}s.safetensors"
    expect 0 "$RONDO" train tagging.rondo -q --seed 1 --set epochs=1 --data "${k}names.jsonl" -o "${k}t.safetensors"
done
cmp s.safetensors w_s.safetensors || fail "a byte order mark or a carriage return is read as a word"
cmp t.safetensors w_t.safetensors || fail "a byte order mark in JSON lines"

# a column that is read for an input and for a target has its gaps said once
cat >shared.rondo <<'R'
model shared {
    input x: seq [2]
    target y: [1]
    p = dense[1](gru[3](x).last)
    output p
    loss mse(p, y)
    train { epochs = 1 }
    data { csv = "shared.csv", column = ["a", "b"], target_column = "a", window = 4, gaps = interpolate }
}
R
awk 'BEGIN { print "a,b"; for (i = 0; i < 40; i++) print (i == 9 ? "" : i) "," (i % 20 == 5 ? "" : i % 7) }' >shared.csv
expect 0 "$RONDO" train shared.rondo --seed 1
[ "$(cat out err | grep -c 'filled in$')" = 2 ] || { cat out err; fail "gaps are said more than once"; }
says err "1 gap of column 'a' was filled in"
says err "2 gaps of column 'b' were filled in"
