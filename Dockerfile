# The agent as PID 1 of a container: it reaps orphans, and `docker stop` ends all services in order. Each has its
# TimeoutStopSec= for that (90 s unless set), but Docker kills everything after the stop timeout (10 s unless set).
#
#   docker build -t gitproc .
#   docker run --stop-timeout 120 -v /srv/services:/etc/gitproc/services -v gitproc-state:/var/lib/gitproc gitproc
FROM debian:12 AS build
WORKDIR /source
COPY dev .
RUN ./dev setup
COPY . .
RUN cmake --preset release && cmake --build build/release --target gitproc && strip build/release/gitproc

FROM debian:12-slim
# The first row is what the binary names as its own, the second what it loads when it is needed first (libgit2, libcurl,
# what `http.listen` takes), the third the authorities of https and the programs that check signatures.
RUN apt-get update && apt-get install -y --no-install-recommends \
      libspdlog1.10 libfmt9 \
      libgit2-1.5 libcurl4 libcpp-httplib0.11 libprometheus-cpp-core1.0 libssl3 \
      ca-certificates openssh-client gpgv \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/build/release/gitproc /usr/bin/gitproc
RUN gitproc version && ! gitproc version | grep -q missing
VOLUME /var/lib/gitproc
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/gitproc"]
CMD ["agent"]
