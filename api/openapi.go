package api

import _ "embed"

// Spec is the OpenAPI document, for validation in tests and for tools that want it from the binary.
//
//go:embed openapi.yaml
var Spec []byte
