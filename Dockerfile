# The agent as PID 1 of a container: it reaps orphans, and `docker stop` ends all services in order.
#
#   docker build -t gitproc .
#   docker run -v /srv/services:/etc/gitproc/services -v gitproc-state:/var/lib/gitproc gitproc
FROM debian:12 AS build
WORKDIR /source
COPY dev .
RUN ./dev setup
COPY . .
RUN cmake --preset release && cmake --build build/release --target gitproc && strip build/release/gitproc

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libgit2-1.5 libspdlog1.10 libfmt9 libcurl4 ca-certificates \
      libcpp-httplib0.11 libprometheus-cpp-core1.0 openssh-client gpgv \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/build/release/gitproc /usr/bin/gitproc
VOLUME /var/lib/gitproc
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/gitproc"]
CMD ["agent"]
