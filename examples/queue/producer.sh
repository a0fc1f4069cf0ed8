# Puts a job on the queue every second.
set -u

while redis-cli -p "$REDIS_PORT" RPUSH jobs "job of $(date +%T)" >/dev/null; do
  sleep 1
done
exit 1
