package ingest

import "github.com/lakepulse/lakepulse/pkg/httpapi"

// otlpRoutes returns the endpoints that speak OTLP.
func (s *Service) otlpRoutes() []httpapi.Route { return nil }
