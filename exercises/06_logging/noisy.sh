# Ten kilobytes a second, for ever: a program whose debug messages somebody forgot to turn off.
while printf '%01000d\n' "$((++line))"; do sleep 0.1; done
