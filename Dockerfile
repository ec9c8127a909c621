# The image of docker-compose.yml: one binary, every role.
FROM node:22-bookworm AS web
WORKDIR /src
COPY web web
RUN cd web && npm ci --no-audit --no-fund && cd tracker && npm ci --no-audit --no-fund && cd .. && npm run build

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY clients/go/go.mod clients/go/
RUN go mod download
COPY . .
COPY --from=web /src/web/dist web/dist
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /lakepulse .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /lakepulse /lakepulse
ENTRYPOINT ["/lakepulse"]
