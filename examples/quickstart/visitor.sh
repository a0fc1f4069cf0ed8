# Visits the page every few seconds and writes down what it says.
set -u

visit() {
  exec 3<>"/dev/tcp/127.0.0.1/$PAGE_PORT" || return
  printf 'GET / HTTP/1.0\r\n\r\n' >&3
  sed '1,/^\r$/d' <&3
}

while true; do
  (visit)
  sleep "$PAUSE"
done
