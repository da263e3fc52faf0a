FROM golang:1.26 AS build
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath \
    -ldflags "-s -w -X github.com/prometheus/common/version.Version=${VERSION}" \
    -o /out/alertchat ./cmd/alertchat
# There is no mkdir in the final image.
RUN mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/alertchat /alertchat
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# The only folder that is written to: the root file system may be read-only.
VOLUME /data
EXPOSE 9098
# With TLS: CMD ["/alertchat", "healthcheck", "--url=https://127.0.0.1:9098/-/ready", "--tls.insecure-skip-verify"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/alertchat", "healthcheck"]
ENTRYPOINT ["/alertchat"]
CMD ["--config.file=/etc/alertchat/config.yml", "--storage.path=/data"]
