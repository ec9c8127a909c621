// Package ops is how a running Lakepulse is observed: logs, the health and
// readiness of its parts, and the operators' listener with Prometheus metrics
// and profiles.
//
// # Invariants
//
//   - /health says that the process runs; it never asks another system.
//   - /ready is true only while every part that is needed answers, and false
//     from the moment a shutdown begins, so that a balancer turns away first.
package ops
