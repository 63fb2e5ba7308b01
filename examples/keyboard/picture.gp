# gnuplot picture.gp: what type printed.
set terminal svg size 860,280 font "sans,12" background rgb "white"
set output "keyboard.svg"
set key top right
set ylabel "bits"
set yrange [0:*]
set grid ytics lc rgb "#dddddd"
set style fill solid 0.9
set boxwidth 0.7
set xtics scale 0
lines = system("grep -c offered log.txt") + 0
key(n) = system(sprintf("sed -n '%dp' log.txt | cut -c1", int(n) + 1))
set xrange [-1:lines]
set for [n = 0:lines - 1] xtics add (key(n) n)
plot "< grep offered log.txt | sed 's/.*\\] \\([*-]\\) \\([0-9.]*\\) bits/\\1 \\2/'" using 0:(strcol(1) eq "*" ? $2 : NaN) with boxes lc rgb "#2060b0" title "among the three offered", \
    "" using 0:(strcol(1) eq "-" ? $2 : NaN) with boxes lc rgb "#e0a0a0" title "not"
