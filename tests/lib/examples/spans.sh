#!/bin/sh
# No span of the program strays: a script to copy, for any sh. Put your program's command in place of this.
# Its status is 0 where all is well, else 1. A program that ends with 66 itself wants another --exitcode.
program=${PROGRAM:-target/release/app}

: >spans.txt || exit
RUST_LOG=${RUST_LOG:-trace} strayspan run --require-hooked --deny warnings --output spans.txt -- "$program" &&
    status=0 || status=$?
case $status in
0) echo "spans: none strayed" ;;
66)
    echo "spans: some strayed"
    cat spans.txt
    ;;
125)
    echo "spans: nothing was checked"
    cat spans.txt
    ;;
126 | 127) echo "spans: $program cannot be run" ;;
*)
    echo "spans: $program failed with status $status"
    cat spans.txt
    ;;
esac
[ "$status" -eq 0 ]
