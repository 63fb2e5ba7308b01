# gnuplot picture.gp: what device.elf printed.
set terminal svg size 860,320 font "sans,12" background rgb "white"
set output "sensor.svg"
set key top left horizontal
set xlabel "windows of 32 samples"
set ylabel "mean squared error"
set logscale y
set yrange [0.0003:0.06]
set format y "%g"
set grid ytics lc rgb "#dddddd"
set arrow from 250, graph 0 to 250, graph 1 nohead dt 2 lc rgb "#888888"
set arrow from 310, graph 0 to 310, graph 1 nohead dt 2 lc rgb "#c03030"
set label "watches" at 252, graph 0.06 tc rgb "#888888"
set label "fault" at 312, graph 0.06 tc rgb "#c03030"
plot "log.txt" using 1:2 with lines lc rgb "#bbbbbb" title "as it came", "log.txt" using 1:3 with lines lw 1.5 lc rgb "#2060b0" title "learning on the device"
