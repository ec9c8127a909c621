// Package collection measures what recording a request costs the app that does
// it, beside what others cost: the handler alone, two clock reads and a bounded
// channel, promhttp, otelhttp with traces and metrics, and Lakepulse's middleware.
package collection
