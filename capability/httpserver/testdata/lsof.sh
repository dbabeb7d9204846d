# Answers as lsof does when asked with -Fpc.
test "$*" = "-nP -iTCP:8080 -sTCP:LISTEN -Fpc" || exit 1
printf 'p123\ncnginx: \033[31mmaster\nf6\np124\ncnginx\nf6\n'
