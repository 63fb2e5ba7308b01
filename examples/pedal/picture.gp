# gnuplot picture.gp: 20 ms of a chord that training did not see, straight from the WAV files.
set terminal svg size 860,320 font "sans,12" background rgb "white"
set output "pedal.svg"
set key top right horizontal
set xlabel "ms"
set xrange [0:20]
set grid ytics lc rgb "#dddddd"
first = 48000 * 4.3
plot for [k = 1:3] word("in.wav out.wav network.wav", k) binary skip=44 + 2 * int(first) format="%int16" \
    using ($0 / 48.0):($1 / 32768.0) with lines lw (k == 2 ? 3 : 1.2) lc rgb word("#bbbbbb #f0b040 #2060b0", k) \
    title word("guitar circuit network", k)
